"""A variable that no earlier request sets is refused when the DAG is parsed."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import DAG, task

from airflow_provider_asyncapi.core.errors import ConfigurationError, UnknownVariableError
from airflow_provider_asyncapi.operators.asyncapi import AsyncApiFetchOperator, AsyncApiTriggerOperator
from airflow_provider_asyncapi.sensors.asyncapi import AsyncApiSensor
from tests.unit.operators.three_tasks import fetch, sensor, submit


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"endpoint": "/jobs/{gstn}"}, "endpoint: .*{gstn}.*known: .*{gstin}"),
        ({"endpoint": "/{{ ds }}/{gstn}"}, "{gstn}"),
        ({"query_params": {"q": ["a", "{gstn}"]}}, "query_params: .*{gstn}"),
        ({"headers": {"X": "{% if 1 %}{gstn}{% endif %}"}}, "headers: .*{gstn}"),
        ({"start": {"endpoint": "/jobs/{ident}/start"}}, "start.endpoint: .*{ident}"),
        ({"start": {"endpoint": "/s", "query_params": {"j": "{ident}"}}}, "start.query_params: .*{ident}"),
        (
            {"lookup": {"endpoint": "/jobs", "query_params": {"j": "{identifier}"}}},
            "lookup.query_params: .*{identifier}",
        ),
        ({"identifier": '$.jobs[?(@.ref == "{refs}")].id'}, "selector .*{refs}"),
        ({"rules": [{"selector": "a.{gstn}", "in": 1, "outcome": "failure"}]}, "selector 'a.{gstn}': .*{gstn}"),
        ({"start": {"endpoint": "/s", "capture": {"q": "{gstn}.q"}}}, "start: selector .*{gstn}"),
    ],
)
def test_an_unknown_variable_is_refused_with_those_that_are_known(given: dict[str, Any], named: str) -> None:
    with pytest.raises(UnknownVariableError, match=named):
        submit(variables={"gstin": "x"}, **given)


def test_variables_that_something_sets_are_accepted() -> None:
    with DAG("dag", schedule=None):
        before = submit(
            endpoint="/{{ params.a }}/{tenant}/{connection.account}",
            headers={"Idempotency-Key": "{idempotency_key}", "X": "{{ '{' }}"},
            variables={"tenant": "{{ ds }}"},
            capture={"pages": "p"},
            start={"endpoint": "/jobs/{identifier}/{id}/{+pages}", "capture": {"queue": "q"}},
        )
        waiting = sensor(
            job=before.handle,
            endpoint="/{tenant}/{identifier}/{pages}/{p}/{queue}/{q}",
            result_identifier="result.id",
            capture={"link": "header:Location"},
            cancel={"endpoint": "/jobs/{identifier}/{link}"},
        )
        fetch(
            job=waiting.handle,
            endpoint="/{result_identifier}/{result.id}/{link}/{header:Location}/{tenant}/{found}",
            query_params={"page": "{page}"},
            pages="{pages}",
            locate={"endpoint": "/jobs/{identifier}", "capture": {"found": "f"}},
            cleanup={"endpoint": "/jobs/{identifier}"},
            result_path="rows",
        )


def test_what_calls_back_may_name_the_url_and_need_no_endpoint_after_it() -> None:
    with DAG("dag", schedule=None):
        before = submit(
            callback=True,
            headers={"X-Callback": "{callback_url}"},
            json={"url": "{callback_url}"},
            query_params={"callback": "{callback_url}"},
            start={"endpoint": "/jobs/{identifier}/run", "json": {"url": "{callback_url}"}},
        )
        waiting = AsyncApiSensor(task_id="wait", job=before.handle, callback=True, deferrable=True)
        fetch(job=waiting.handle, endpoint=None, callback=True, result_path="rows")


def test_a_typing_error_further_down_the_chain_is_found() -> None:
    with DAG("dag", schedule=None):
        before = submit(capture={"pages": "p"})
        with pytest.raises(UnknownVariableError, match=r"wait.*\{page\}"):
            sensor(task_id="wait_for_page", job=before.handle, endpoint="/{page}")
        with pytest.raises(UnknownVariableError, match=r"cancel\.endpoint: .*\{ident\}"):
            sensor(task_id="wait_and_cancel", job=before.handle, cancel={"endpoint": "/{ident}"})
        batch = {"query_params": {"ids": "{identifiers}", "one": "{identifier}"}, "items": "jobs[*]", "id": "id"}
        with pytest.raises(UnknownVariableError, match=r"batch\.query_params: .*\{identifier\}.* known: \{ident"):
            sensor(task_id="wait_in_a_batch", job=before.handle, batch=batch)
        with pytest.raises(UnknownVariableError, match=r"selector 'state\.\{page\}'.*\{page\}"):
            sensor(task_id="wait_for_state", job=before.handle, completion_key="state.{page}")
        with pytest.raises(UnknownVariableError, match=r"only the requests of the submit operator have it"):
            sensor(task_id="wait_by_key", job=before.handle, endpoint="/{idempotency_key}")
        waiting = sensor(job=before.handle)
        cases: list[tuple[dict[str, Any], str]] = [
            ({"endpoint": "{lnk}"}, r"\{lnk\}"),
            ({"query_params": {"p": "{page}"}}, r"\{page\}.*output_type='pages'"),
            ({"query_params": {"c": "{cursor}"}, "pages": 4}, r"\{page\}"),
            ({"query_params": {"p": "{page}", "c": "{cursor}"}, "pages": 4}, r"\{cursor\}.*\(set cursor\)"),
            ({"query_params": {"p": "{page}"}, "pages": "{pagez}"}, r"pages: '\{pagez\}'"),
            ({"locate": {"endpoint": "/{found}", "capture": {"found": "f"}}}, r"locate\.endpoint: .*\{found\}"),
            (
                {"query_params": {"p": "{page}"}, "pages": 4, "cleanup": {"endpoint": "/{page}"}},
                r"cleanup\.endpoint: .*page",
            ),
        ]
        for number, (wrong, said) in enumerate(cases):
            with pytest.raises(ConfigurationError, match=said):
                fetch(**{"task_id": f"fetch_{number}", "job": waiting.handle, **wrong})


def test_where_nobody_can_know_the_variables_none_is_refused() -> None:
    with DAG("dag", schedule=None):

        @task
        def other() -> str:
            return "j-1"

        sensor(job=other(), endpoint="/{whatever}")
        # The connection's profile may say where the identifier is, and what is captured.
        before = AsyncApiTriggerOperator(task_id="by_profile", endpoint="/jobs")
        AsyncApiSensor(task_id="wait_by_profile", job=before.handle, endpoint="/{whatever}")
        # So it may say how the pages are found, where the request is its own too.
        AsyncApiFetchOperator(task_id="fetch_by_profile", job="j-1", output_type="pages", query_params={"p": "{page}"})
        AsyncApiFetchOperator(task_id="count_by_profile", job="j-1", on_partial="warn")
        # What a template makes may be what is needed.
        fetch(task_id="pages_by_template", output_type="pages", query_params={"{{ name }}": "{{ page }}"})
        fetch(task_id="zip_by_template", output_type="zip", destination="{{ folder }}")
        fetch(task_id="file_to_template", output_type="file", destination=other())
        sensor(task_id="secret_by_template", deferrable=True, headers={"X-API-Key": "{{ key }}", "token": "{key}"})
        # Unknown braces in a body are the body's own.
        AsyncApiTriggerOperator(task_id="graphql", identifier="id", json={"query": "{ jobs {id} }"})


def test_what_comes_from_other_tasks_is_left_for_the_run() -> None:
    with DAG("dag", schedule=None) as dag:

        @task
        def value() -> Any:
            return {}

        made = value()
        before = submit(
            endpoint=made, json=made, headers={"X": made}, variables=made, start={"endpoint": made}, query_params=made
        )
        waiting = sensor(job=before.handle, cancel={"json": made}, endpoint="/{{ ti.xcom_pull('value') }}")
        fetch(job=waiting.handle, destination=made, locate={"endpoint": made, "capture": {"a": "b"}})
    assert dag.get_task("submit").upstream_task_ids == {"value"}
    assert dag.get_task("wait").upstream_task_ids == {"value", "submit"}
    assert dag.get_task("fetch").upstream_task_ids == {"value", "wait"}


@pytest.mark.parametrize(
    "given",
    [
        {"query_params": {"filter": '[{"field":"x"}]'}},
        {"query_params": {"filter": '{"day": "{{ ds }}", "n": {{ params.n }}, "job": "{identifier}"}'}},
        {"headers": {"Dropbox-API-Arg": '{"path": "/x"}'}},
        {"cancel": {"endpoint": "/", "query_params": {"filter": ['[{"a": 1}]']}}},
    ],
)
def test_json_in_a_parameter_or_a_header_is_no_variable(given: dict[str, Any]) -> None:
    assert sensor(**given)


def test_json_in_an_endpoint_is_an_error_that_says_how_to_write_it() -> None:
    with DAG("json", schedule=None):
        before = submit()
        with pytest.raises(UnknownVariableError, match="pass it as a separate query parameter"):
            sensor(job=before.handle, endpoint='/jobs?filter=[{"field":"x"}]')


def test_the_requests_for_details_may_name_what_was_captured_before_them() -> None:
    with DAG("details", schedule=None):
        before = submit()
        waiting = sensor(
            job=before.handle,
            capture={"error": "errorId"},
            status_details={"endpoint": "/reports/{identifier}/{error}", "capture": {"file": "file"}},
            failure_details=[
                {"endpoint": "/errors/{error}/{file}", "capture": {"log": "log"}},
                {"endpoint": "{log}"},
            ],
        )
        fetch(job=waiting.handle, endpoint="/files/{file}")
        with pytest.raises(
            UnknownVariableError, match=r"status_details.endpoint: .*nothing sets the variable \{file\}"
        ):
            sensor(task_id="one", job=before.handle, status_details={"endpoint": "/{file}", "capture": {"file": "f"}})
        with pytest.raises(UnknownVariableError, match=r"failure_details.endpoint: .*\{nothing\}"):
            sensor(task_id="two", job=before.handle, failure_details={"endpoint": "/{nothing}"})
