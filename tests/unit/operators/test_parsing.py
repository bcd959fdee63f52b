"""What is wrong in a DAG is said when it is parsed; what only a run can tell is left for the run."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException

from airflow_provider_asyncapi.core.errors import ConfigurationError, SelectorError, UnknownVariableError
from tests.unit.operators.three_tasks import fetch, sensor, submit
from tests.unit.recorded_calls import recorded


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


@pytest.mark.parametrize("timeout", [float("inf"), 1e300, 1e12, timedelta.max])
def test_a_timeout_whose_end_cannot_be_stored_is_refused(timeout: Any) -> None:
    with pytest.raises(ConfigurationError, match="timeout: has to be at most 200 years, in seconds, not"):
        sensor(timeout=timeout)


def test_a_timeout_that_is_no_number_is_refused_by_airflow() -> None:
    # Up to Airflow 3.1 its own exception, then a ValueError.
    with pytest.raises((ValueError, AirflowException), match="timeout"):
        sensor(timeout="5")


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
