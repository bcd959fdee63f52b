"""What `make ui` shows has jobs of each behavior that the demo server knows."""

from __future__ import annotations

import runpy

from airflow.sdk import DAG

from airflow_provider_asyncapi.operators.asyncapi import AsyncApiTriggerOperator
from airflow_provider_asyncapi.operators.job import AsyncApiJobOperator
from demo.connections import connections
from demo.run import SCHEDULED, UI_DAGS
from demo.server.studio import BEHAVIOURS, LONGEST_MINUTES


def studio_dags() -> list[DAG]:
    files = sorted(UI_DAGS.glob("*.py"))
    found = {dag.dag_id: dag for file in files for dag in runpy.run_path(str(file)).values() if isinstance(dag, DAG)}
    return list(found.values())


def test_each_behaviour_has_a_job_with_a_link() -> None:
    seen = set()
    for dag in studio_dags():
        for task in dag.tasks:
            if isinstance(task, AsyncApiJobOperator):
                assert task.job_url == "{page}"
                assert task.submit is not None
                seen.add(task.submit["json"]["behaviour"])
                assert task.submit["json"]["minutes"] <= LONGEST_MINUTES
            elif isinstance(task, AsyncApiTriggerOperator):
                assert task.job_url == "{page}"
            assert getattr(task, "asyncapi_conn_id", None) in connections("http://127.0.0.1:1")
    assert seen == set(BEHAVIOURS)


def test_they_run_by_a_schedule_so_that_there_are_always_new_jobs() -> None:
    dags = studio_dags()
    assert dags
    for dag in dags:
        assert SCHEDULED in dag.tags
        assert dag.schedule is not None
        assert dag.doc_md
