"""DAGs with the three tasks are mapped, grouped, stored and read, and parsed in a short time."""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG, task, task_group

from airflow_provider_asyncapi.core.errors import SelectorError
from airflow_provider_asyncapi.job import async_api_job
from airflow_provider_asyncapi.operators.asyncapi import AsyncApiFetchOperator, AsyncApiTriggerOperator
from airflow_provider_asyncapi.sensors.asyncapi import AsyncApiSensor
from tests.unit.operators.three_tasks import fetch, sensor, submit

ROOT = Path(__file__).parents[3]


EXAMPLES = sorted(map(str, (ROOT / "example_dags").glob("*.py")))


HEAVY = (
    "requests",
    "aiohttp",
    "lxml",
    "jsonpath_ng",
    "re2",
    "urllib3",
    "wtforms",
    "airflow_provider_asyncapi.transports.receiver",
    # Connections, and the flows of requests.
    "airflow_provider_asyncapi.core.connection.settings",
    "airflow_provider_asyncapi.core.requests.exchange",
)


def test_all_three_can_be_mapped() -> None:
    with DAG("dag", schedule=None) as dag:
        before = AsyncApiTriggerOperator.partial(task_id="submit", endpoint="/jobs", identifier="id").expand(
            json=[{"a": 1}, {"a": 2}]
        )
        waiting = AsyncApiSensor.partial(
            task_id="wait", endpoint="/{identifier}", completion_key="status", completion_value="done"
        ).expand(job=before.output)
        AsyncApiFetchOperator.partial(task_id="fetch", endpoint="/{identifier}/result").expand(job=waiting.output)
    assert dag.get_task("wait").upstream_task_ids == {"submit"}
    assert dag.get_task("fetch").upstream_task_ids == {"wait"}


def test_a_mapped_task_is_checked_when_it_is_unmapped() -> None:
    with DAG("dag", schedule=None):
        mapped = AsyncApiSensor.partial(task_id="wait", endpoint="/x", completion_key="a[").expand(job=["a"])
    with pytest.raises(SelectorError, match="completion_key"):
        mapped.unmap({"job": "a"})


def test_a_job_in_a_mapped_task_group_takes_its_request_from_the_mapping() -> None:
    with DAG("dag", schedule=None) as dag:

        @task_group
        def one(request: Any) -> None:
            async_api_job(
                "job",
                submit={"endpoint": "/jobs", "identifier": "id", "json": request, "variables": {"r": request}},
                status={"endpoint": "/{identifier}", "completion_key": "status", "completion_value": "done"},
                fetch={"endpoint": "/{identifier}/{r}"},
            )

        one.expand(request=[1, 2])
    assert set(dag.task_ids) == {"one.job.submit", "one.job.wait", "one.job.fetch"}
    assert dag.get_task("one.job.wait").upstream_task_ids == {"one.job.submit"}


def test_the_three_tasks_at_once_are_a_group_that_can_be_depended_on() -> None:
    with DAG("dag", schedule=None) as dag:
        group = async_api_job("job", profile="http_202", submit={"endpoint": "/jobs"}, fetch={})
        alone = async_api_job("alone", profile="http_202", submit={"endpoint": "/jobs"}, asyncapi_conn_id="c")

        @task
        def use(value: Any) -> None: ...

        use(group.output)
        use.override(task_id="use_job")(alone.handle)
        use.override(task_id="use_output")(alone.output)
        group >> alone
    assert dag.get_task("use").upstream_task_ids == {"job.fetch"}
    assert dag.get_task("use_job").upstream_task_ids == {"alone.wait"}
    assert dag.get_task("use_output").upstream_task_ids == {"alone.wait"}
    assert dag.get_task("alone.submit").upstream_task_ids == {"job.fetch"}
    assert getattr(dag.get_task("alone.submit"), "asyncapi_conn_id", None) == "c"


def round_trip(dag: DAG) -> Any:
    """Store a DAG as the DAG processor does, and read it as the scheduler does."""
    import json

    from airflow.serialization import serialized_objects

    # Up to Airflow 3.1 one class does both.
    serialized: Any = getattr(serialized_objects, "DagSerialization", serialized_objects.SerializedDAG)
    return serialized.from_dict(json.loads(json.dumps(serialized.to_dict(dag))))


def test_a_dag_with_all_three_can_be_stored_and_read() -> None:
    with DAG("dag", schedule=None) as dag:
        before = submit(json={"a": "{{ ds }}"}, job_url="https://vendor.example/{identifier}")
        waiting = sensor(job=before.handle, poke_interval=timedelta(minutes=1), mode="reschedule")
        fetch(job=waiting.handle)
        AsyncApiSensor.partial(task_id="mapped", endpoint="/x", completion_key="a", completion_value="b").expand(
            job=["a", "b"]
        )
    stored = round_trip(dag)
    assert set(stored.task_ids) == {"submit", "wait", "fetch", "mapped"}
    assert stored.get_task("wait").reschedule is True
    assert stored.get_task("wait").inherits_from_skipmixin is True
    assert tuple(stored.get_task("submit").template_fields) == before.template_fields
    assert stored.get_task("submit").json == {"a": "{{ ds }}"}
    assert stored.get_task("submit").headers is None
    assert {link.name for link in stored.get_task("submit").operator_extra_links} == {"Remote job"}


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: Path(file).stem)
def test_each_example_can_be_parsed_and_stored(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.sdk.definitions._internal.contextmanager import DagContext

    monkeypatch.setattr(DagContext, "current_autoregister_module_name", __name__)
    monkeypatch.setattr(DagContext, "autoregistered_dags", set())
    runpy.run_path(file)
    dags = [dag for dag, _ in DagContext.autoregistered_dags]
    assert dags
    for dag in dags:
        assert set(round_trip(dag).task_ids) == set(dag.task_ids)


@pytest.mark.any_python
def test_parsing_imports_nothing_heavy() -> None:
    """In one process for all examples: the first file after which a heavy module is loaded is the one to blame."""
    script = (
        "import json, runpy, sys\n"
        "import airflow.sdk, airflow.triggers.base, airflow.providers.standard.operators.empty\n"
        "from airflow.sdk import DAG, BaseSensorOperator, task, task_group\n"
        f"wanted = set({HEAVY!r}) - set(sys.modules)\n"
        "loaded_by = {}\n"
        "def check(file):\n"
        "    loaded_by.update((name, file) for name in wanted & set(sys.modules) - set(loaded_by))\n"
        "import airflow_provider_asyncapi.job\n"
        "from airflow_provider_asyncapi.get_provider_info import get_provider_info\n"
        "get_provider_info()\n"
        "from airflow_provider_asyncapi.core.selectors.patterns import parse_pattern\n"
        "parse_pattern('a+')\n"
        "check('the operators alone')\n"
        f"for file in {EXAMPLES!r}:\n"
        "    runpy.run_path(file)\n"
        "    check(file)\n"
        "print(json.dumps(loaded_by))"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=env, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {}
