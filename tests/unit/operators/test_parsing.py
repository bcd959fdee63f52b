"""What is wrong in a DAG is said when it is parsed; what only a run can tell is left for the run."""

from __future__ import annotations

import copy
import inspect
import json
import os
import pickle
import runpy
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException
from airflow.sdk import DAG, task, task_group

from airflow_provider_asyncapi.core.errors import ConfigurationError, SelectorError, UnknownVariableError
from airflow_provider_asyncapi.job import async_api_job
from airflow_provider_asyncapi.operators.asyncapi import AsyncApiFetchOperator, AsyncApiTriggerOperator
from airflow_provider_asyncapi.sensors.asyncapi import AsyncApiSensor
from airflow_provider_asyncapi.tasks.stages import STATUS, SUBMIT
from tests.unit.recorded_calls import recorded

ROOT = Path(__file__).parents[3]
EXAMPLES = sorted(map(str, (ROOT / "example_dags").glob("*.py")))
PAGED = {"p": "{page}"}
HEAVY = (
    "requests",
    "aiohttp",
    "lxml",
    "jsonpath_ng",
    "re2",
    "urllib3",
    "wtforms",
    "airflow_provider_asyncapi.transports.receiver",
)


def submit(**given: Any) -> AsyncApiTriggerOperator:
    return AsyncApiTriggerOperator(**{"task_id": "submit", "endpoint": "/jobs", "identifier": "id", **given})


def sensor(**given: Any) -> AsyncApiSensor:
    given = {"job": "j-1", "endpoint": "/jobs/{identifier}", "completion_key": "status", **given}
    return AsyncApiSensor(**{"task_id": "wait", "completion_value": "done", **given})


def fetch(**given: Any) -> AsyncApiFetchOperator:
    return AsyncApiFetchOperator(**{"task_id": "fetch", "job": "j-1", "endpoint": "/result", **given})


@pytest.mark.parametrize(
    ("make", "given", "kind", "said"),
    [
        (submit, {"identifier": "data..["}, SelectorError, "identifier"),
        (submit, {"capture": {"pages": "xpath:///["}}, SelectorError, r"capture\['pages'\]"),
        (submit, {"json": {"a": 1}, "xml": "<a/>", "start": {"json": {}, "data": "x"}}, ConfigurationError, "body"),
        (
            submit,
            {"json": {"a": 1}, "data": "{{ ds }}"},
            ConfigurationError,
            "only one body is possible, but json and data",
        ),
        (submit, {"identifier": "//job/@id"}, SelectorError, "begins with 'xpath:'"),
        (submit, {"lookup": {"json": {}}}, ConfigurationError, "lookup: endpoint is missing"),
        (submit, {"start": [{"endpoint": "/"}, {}]}, ConfigurationError, "start: endpoint is missing"),
        (submit, {"profile": "http_202", "endpoint": None}, ConfigurationError, "submit: endpoint is missing"),
        (sensor, {"profile": "panoply", "completion_value": None}, ConfigurationError, "needs completion_value"),
        (submit, {"method": "FETCH"}, ConfigurationError, "FETCH"),
        (submit, {"rules": {"selector": "a"}}, ConfigurationError, "rules"),
        (submit, {"rules": [{"selector": "a", "equals": 1, "outcome": "failure"}]}, ConfigurationError, r"rules\[0\]"),
        (submit, {"start": "/start"}, ConfigurationError, "start"),
        (submit, {"callback": "hint"}, ConfigurationError, "callback: has to be True or False"),
        (
            submit,
            {"headers": {"X": "{callback_url}"}},
            UnknownVariableError,
            "of a submit operator with callback=True",
        ),
        (submit, {"start": {"url": "/start"}}, ConfigurationError, "url"),
        (submit, {"profile": "no_such"}, ConfigurationError, "no_such.*celigo"),
        (submit, {"profile": "../x"}, ConfigurationError, "name"),
        (submit, {"profile": 5}, ConfigurationError, "profile: 5 can.t be the name of a profile"),
        (sensor, {"completion_key": "$.["}, SelectorError, "completion_key"),
        (sensor, {"completion_value": ["a", "b"], "failure_value": ["b"]}, ConfigurationError, "'b'"),
        (sensor, {"max_iterations": 0}, ConfigurationError, "max_iterations"),
        (sensor, {"backoff": 0.5}, ConfigurationError, "backoff"),
        (sensor, {"poke_interval": 100, "max_interval": 10}, ConfigurationError, "max_interval"),
        (sensor, {"jitter": 2}, ConfigurationError, "jitter"),
        (sensor, {"progress": {"done": "a"}}, ConfigurationError, "progress"),
        (sensor, {"cancel": {"method": "STOP"}}, ConfigurationError, "STOP"),
        (sensor, {"cancel": ["/cancel"]}, ConfigurationError, "cancel"),
        (
            sensor,
            {"batch": {"query_params": {"ids": "{identifiers}"}, "items": "jobs[*]"}},
            ConfigurationError,
            "id is missing",
        ),
        (sensor, {"rules": [{"selector": "a", "in": "b", "outcome": "well"}]}, ConfigurationError, "well"),
        (sensor, {"retry_delays": {200: 5}}, ConfigurationError, "retry_delays"),
        (fetch, {"output_type": "zipp"}, ConfigurationError, "zipp"),
        (fetch, {"result_path": "a[", "output_type": "result"}, SelectorError, "result_path"),
        (fetch, {"locate": {"endpoint": "/", "capture": {"link": "a["}}}, SelectorError, "link"),
        (fetch, {"locate": {"capture": {"link": "a"}}}, ConfigurationError, "locate: endpoint is missing"),
        (fetch, {"locate": 5}, ConfigurationError, "locate"),
        (fetch, {"cleanup": {"method": "TIDY"}}, ConfigurationError, "TIDY"),
        (sensor, {"cancel": {"method": "DELETE"}}, ConfigurationError, "cancel: endpoint is missing"),
        (
            sensor,
            {"cancel": {"endpoint": "/", "params": {}}},
            ConfigurationError,
            "params: is called query_params here",
        ),
        (sensor, {"poke_interval": "30 s"}, ConfigurationError, "poke_interval"),
        (sensor, {"silent_fail": True}, ConfigurationError, "silent_fail"),
        (sensor, {"callback": "yes"}, ConfigurationError, "callback: has to be True"),
        (
            fetch,
            {"callback": True, "output_type": "file", "destination": "/x"},
            ConfigurationError,
            "callback: a callback holds one value",
        ),
        (sensor, {"deferrable": True, "headers": {"X-API-Key": "abc"}}, ConfigurationError, "X-API-Key.*connection"),
        (sensor, {"deferrable": True, "query_params": {"token": "abc"}}, ConfigurationError, "query_params: 'token'"),
        (fetch, {"output_type": "file"}, ConfigurationError, "destination: output_type='file' needs one"),
        (fetch, {"output_type": "zip"}, ConfigurationError, "destination: output_type='zip' needs one"),
        (fetch, {"profile": "vayana"}, ConfigurationError, "destination: output_type='zip' needs one"),
        (fetch, {"output_type": "zip", "destination": "/{{ ds }}/x.zip"}, ConfigurationError, "with a slash"),
        (fetch, {"output_type": "pages"}, ConfigurationError, "has to name {page} or {offset}"),
        (fetch, {"cursor": "next"}, ConfigurationError, "has to name {cursor}"),
        (fetch, {"on_partial": "warn"}, ConfigurationError, "failed_records"),
        (
            fetch,
            {"failed_records": {"selector": "a", "in": 1}, "output_type": "file"},
            ConfigurationError,
            "failed_records",
        ),
        (fetch, {"on_partial": "shrug"}, ConfigurationError, "on_partial"),
        (fetch, {"concurrency": 0}, ConfigurationError, "concurrency"),
    ],
)
def test_what_cannot_be_meant_is_said_with_the_task_and_the_parameter(
    make: Any, given: dict[str, Any], kind: type[Exception], said: str
) -> None:
    with pytest.raises(kind, match=said) as caught:
        make(**given)
    assert str(caught.value).startswith("task '")


@pytest.mark.parametrize("interval", [0, -1, timedelta(seconds=-5), float("nan"), float("inf"), "30", True])
def test_an_impossible_interval_is_refused(interval: Any) -> None:
    with pytest.raises(ConfigurationError, match="poke_interval"):
        sensor(poke_interval=interval)


@pytest.mark.parametrize("name", ["exponential_backoff", "max_wait", "silent_fail"])
def test_parameters_of_airflow_that_would_be_dropped_are_refused_with_what_to_take(name: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        sensor(**{name: 5})


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
            ({"query_params": PAGED, "pages": 4, "cleanup": {"endpoint": "/{page}"}}, r"cleanup\.endpoint: .*page"),
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


def test_default_args_count_for_all_three() -> None:
    arguments = {"asyncapi_conn_id": "other", "profile": "celigo", "poke_interval": 7, "retries": 2}
    with DAG("dag", schedule=None, default_args=arguments):
        before = AsyncApiTriggerOperator(task_id="submit", variables={"flow": "f"})
        waiting = AsyncApiSensor(task_id="wait", job=before.handle)
        after = AsyncApiFetchOperator(task_id="fetch", job=waiting.handle)
    for each in (before, waiting, after):
        assert (each.asyncapi_conn_id, each.profile, each.retries) == ("other", "celigo", 2)
    assert waiting.poke_interval == 7


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


@pytest.mark.parametrize("make", [submit, sensor, fetch])
def test_templated_fields_exist_and_are_rendered(make: Any) -> None:
    with DAG("dag", schedule=None):
        operator = make()
        for name in operator.template_fields:
            assert hasattr(operator, name)
            setattr(operator, name, {"deep": ["{{ word }}"]})
        assert set(operator.template_fields_renderers) <= set(operator.template_fields)
        operator.render_template_fields({"word": "rendered"})
    for name in operator.template_fields:
        assert getattr(operator, name) == {"deep": ["rendered"]}


#: Arguments that say how the task works; all others describe the API.
OF_THE_TASK = {"task_id", "job", "job_url", "profile", "asyncapi_conn_id", "kwargs"}


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


OF_THE_SENSOR = {"submit", "timeout", "deferrable", "start_from_trigger", "end_from_trigger", "on_warning_callback"}
OF_THE_FETCH = {"destination", "unpack", "max_bytes", "max_members", "max_ratio", "max_xcom_bytes"}


def test_a_group_needs_no_arguments_for_what_the_profile_says_completely(monkeypatch: pytest.MonkeyPatch) -> None:
    profile = {
        "submit": {"endpoint": "/jobs", "identifier": "id"},
        "status": {"endpoint": "/jobs/{identifier}", "completion_key": "status", "completion_value": "done"},
    }
    monkeypatch.setattr("airflow_provider_asyncapi.tasks.base.load_profile", {"whole": profile}.get)
    with DAG("dag", schedule=None):
        group = async_api_job("job", profile="whole")
    assert group.submit.effective_params(SUBMIT)["endpoint"] == "/jobs"


@pytest.mark.parametrize("make", [sensor, fetch])
def test_the_attribute_job_is_the_argument_and_is_rendered(make: Any) -> None:
    with DAG("dag", schedule=None):
        task = make(job="{{ params.job_id }}")
    assert task.job == "{{ params.job_id }}"
    assert "job" in task.template_fields


@pytest.mark.parametrize(
    ("make", "of_the_task", "left_out"),
    [
        (submit, OF_THE_TASK, set()),
        # A status request has no file to upload, and nothing comes after the fetch that could use a capture.
        (sensor, OF_THE_TASK | OF_THE_SENSOR, {"files"}),
        (fetch, OF_THE_TASK | OF_THE_FETCH, {"capture"}),
    ],
)
def test_what_describes_the_api_is_what_the_plan_reads(make: Any, of_the_task: set[str], left_out: set[str]) -> None:
    operator = make()
    arguments = set(inspect.signature(type(operator)).parameters)
    assert arguments - of_the_task == set(operator.stage.plan_type.parameters) - left_out


@pytest.mark.parametrize("make", [submit, sensor, fetch])
def test_each_argument_reaches_the_description(make: Any) -> None:
    operator = make()
    for name in operator.stage.plan_type.parameters:
        vars(operator).clear()
        # Airflow would look at the type of a start, and at the upstream tasks.
        vars(operator).update({"poke_interval": None, name: "given"})
        assert operator.explicit_params(operator.stage) == {name: "given"}


@pytest.mark.parametrize("make", [submit, sensor, fetch])
def test_arguments_are_attributes_that_copies_have_too(make: Any) -> None:
    with DAG("dag", schedule=None):
        operator = make(headers={"X": "1"}, method="PUT", job_url="https://vendor.example", asyncapi_conn_id="c")
    for each in (operator, copy.copy(operator), copy.deepcopy(operator), operator.prepare_for_execution()):
        assert (each.headers, each.method, each.profile) == ({"X": "1"}, "PUT", None)
        assert (each.job_url, each.asyncapi_conn_id) == ("https://vendor.example", "c")
        assert each.effective_params(each.stage, with_connection=False) == operator.effective_params(
            operator.stage, with_connection=False
        )
        assert not {"self", "kwargs", "__class__"} & vars(each).keys()


@pytest.mark.parametrize("timeout", [float("inf"), 1e300, 1e12, timedelta.max])
def test_a_timeout_whose_end_cannot_be_stored_is_refused(timeout: Any) -> None:
    with pytest.raises(ConfigurationError, match="timeout: has to be at most 200 years, in seconds, not"):
        sensor(timeout=timeout)


def test_a_timeout_that_is_no_number_is_refused_by_airflow() -> None:
    # Up to Airflow 3.1 its own exception, then a ValueError.
    with pytest.raises((ValueError, AirflowException), match="timeout"):
        sensor(timeout="5")


def test_times_are_described_in_seconds() -> None:
    waiting = sensor(poke_interval=timedelta(minutes=1), initial_delay=timedelta(seconds=5), timeout=timedelta(hours=1))
    described = waiting.effective_params(STATUS, with_connection=False)
    assert (described["poke_interval"], described["initial_delay"]) == (60, 5)
    assert waiting.poke_interval == timedelta(minutes=1)
    assert waiting.timeout == 3600


PROFILE = {"paced": {"status": {"poke_interval": 5}}}


@pytest.mark.parametrize(
    ("given", "attribute", "described"),
    [
        ({}, 60, 5),
        # What the DAG says goes before the profile, also if Airflow has the same as its default.
        ({"poke_interval": 60}, 60, 60),
        ({"poke_interval": 60.0}, 60, 60),
        ({"poke_interval": timedelta(minutes=2)}, timedelta(minutes=2), 120),
    ],
)
def test_the_poke_interval_is_what_was_given_and_else_the_profiles(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, Any], attribute: Any, described: float
) -> None:
    monkeypatch.setattr("airflow_provider_asyncapi.tasks.base.load_profile", PROFILE.get)
    with DAG("dag", schedule=None):
        waiting = sensor(profile="paced", **given)
    for each in (waiting, copy.copy(waiting), copy.deepcopy(waiting), waiting.prepare_for_execution()):
        assert each.poke_interval == attribute
        each.poke_interval = pickle.loads(pickle.dumps(each.poke_interval))
        assert each.effective_params(STATUS)["poke_interval"] == described


def test_a_poke_interval_that_a_policy_sets_holds() -> None:
    waiting = sensor()
    waiting.poke_interval = 600
    assert waiting.effective_params(STATUS, with_connection=False)["poke_interval"] == 600


def test_tasks_that_are_described_alike_are_checked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow_provider_asyncapi.core.plans import SubmitPlan

    checked: list[Any] = []
    parse = SubmitPlan.parse
    monkeypatch.setattr(SubmitPlan, "parse", recorded(parse, checked, lambda given, **_: given))
    for number, identifier in enumerate(["once.a", "once.a", "once.b", "once.b"]):
        submit(task_id=f"submit_{number}", identifier=identifier, endpoint=f"/jobs/{number}")
    assert [given["identifier"] for given in checked] == ["once.a", "once.b"]


def test_a_mistake_is_said_each_time() -> None:
    for _ in range(2):
        with pytest.raises(SelectorError, match="identifier"):
            submit(identifier="again[")


def test_what_is_not_plain_data_is_checked_too() -> None:
    class Word(str):
        __slots__ = ()

    assert submit(method=Word("PUT")).method == "PUT"
    with pytest.raises(ConfigurationError, match="FETCH"):
        submit(method=Word("FETCH"))


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
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=env, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {}
