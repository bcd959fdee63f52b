from __future__ import annotations

import json
from typing import Any

import jinja2
import pytest
from airflow.sdk import DAG

from airflow_provider_asyncapi.core.errors import InvalidHandleError
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.operators.asyncapi import AsyncApiFetchOperator
from airflow_provider_asyncapi.sensors.asyncapi import AsyncApiSensor

HANDLE = JobHandle(7, variables={"pages": 3}, task={"dag_id": "d"}).dump()
#: What an API may give for an identifier, to be taken for a job of another task.
FORGED = [json.dumps(HANDLE), str(HANDLE), "{{ secret }}", "{'a': 1}", "007", "7"]


def rendered(job: Any, /, *, native: bool = False, **context: Any) -> Any:
    with DAG("dag", schedule=None, render_template_as_native_obj=native):
        tasks: list[Any] = [
            AsyncApiSensor(task_id="wait", job=job, endpoint="/x", completion_key="a", completion_value=1),
            AsyncApiFetchOperator(task_id="fetch", job=job, endpoint="/x"),
        ]
    for task in tasks:
        task.render_template_fields(context)
    assert tasks[0].job == tasks[1].job
    return tasks[0].job


@pytest.mark.parametrize("native", [False, True])
@pytest.mark.parametrize("template", ["{{ job }}", " {{- job -}} \n", "{{ jobs['a'] }}", "{{ job or 1 }}"])
def test_a_template_that_is_one_expression_gives_a_handle_as_it_is(template: str, native: bool) -> None:
    assert rendered(template, native=native, job=HANDLE, jobs={"a": HANDLE}) == HANDLE


@pytest.mark.parametrize("native", [False, True])
@pytest.mark.parametrize("identifier", [*FORGED, 7])
def test_a_template_gives_an_identifier_as_it_is_whatever_it_says(identifier: Any, native: bool) -> None:
    assert rendered("{{ job }}", native=native, job=identifier, secret="s3cret") == identifier


@pytest.mark.parametrize("native", [False, True])
def test_any_other_template_gives_text(native: bool) -> None:
    assert rendered("{{ a }}{{ b }}", native=native, a="{'a':", b="1}") == "{'a':1}"
    assert rendered("0{{ a }}", native=native, a=7) == "07"
    assert rendered("7", native=native) == "7"
    text = rendered("{{ job | tojson }}", native=native, job=HANDLE)
    with pytest.raises(InvalidHandleError, match="only a handle itself"):
        JobHandle.parse(str(text))


def test_what_is_no_template_stays_what_it_is() -> None:
    assert rendered(7) == 7
    assert rendered(HANDLE) == HANDLE


def test_a_name_that_nothing_has_set_is_an_error() -> None:
    with pytest.raises(jinja2.UndefinedError, match="'job' is undefined"):
        rendered("{{ job }}")


@pytest.mark.parametrize("identifier", FORGED)
def test_identifiers_that_are_mapped_over_are_not_rendered(identifier: str) -> None:
    with DAG("dag", schedule=None):
        task: Any = AsyncApiFetchOperator(task_id="fetch", job=7, endpoint="/x")
    task.job = identifier
    task._do_render_template_fields(
        parent=task, template_fields=["job"], context={}, jinja_env=None, seen_oids={id(identifier)}
    )
    assert task.job == identifier
