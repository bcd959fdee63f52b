"""Whatever JSON an API answers, it is carried through Airflow, or refused in our own words."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from airflow_provider_asyncapi.core.effects import Polled
from airflow_provider_asyncapi.core.errors import read_error
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.jobs.storable import MAX_DEPTH
from airflow_provider_asyncapi.core.submit.flow import submit
from airflow_provider_asyncapi.core.submit.plan import SubmitPlan
from airflow_provider_asyncapi.core.submit.submission import Submission
from airflow_provider_asyncapi.core.wait.checkpoint import WaitCheckpoint
from airflow_provider_asyncapi.core.wait.flow import wait
from airflow_provider_asyncapi.core.wait.plan import WaitPlan
from airflow_provider_asyncapi.monitoring.xcoms import JOB_KEY
from airflow_provider_asyncapi.sensors.asyncapi import AsyncApiSensor
from airflow_provider_asyncapi.triggers.events import WaitEvent, make_event
from tests.loopback import Server, reply
from tests.unit.airflow_storage import store_event, store_trigger, store_xcom
from tests.unit.core.jobs.test_storable import VALUES
from tests.unit.fake_airflow import TI, context_of
from tests.unit.transports.driving import DRIVERS, Outcome, make_api, run

NUMBERS = st.sampled_from(["NaN", "-Infinity", "1e999", "-1E400", "1.50", "99999999999999999999"])
#: JSON as APIs write it; `json.dumps` escapes halves of characters and writes NaN.
TEXTS = VALUES.map(json.dumps) | NUMBERS | st.integers(1, 300).map(lambda levels: '{"a":' * levels + "1" + "}" * levels)
SUBMIT = SubmitPlan.parse({"endpoint": "/jobs", "identifier": "id", "capture": {"note": "note"}})
WAIT: dict[str, Any] = {
    "endpoint": "/jobs/7",
    "completion_key": "state",
    "completion_value": "done",
    "progress": "percent",
    "capture": {"note": "note"},
    "result_identifier": "result",
}
#: The first answer that can't be read ends the wait.
PLAN = WaitPlan.parse({**WAIT, "max_consecutive_errors": 1})
KINDS = ("UnstorableValueError", "MissingValueError", "ResultTooLargeError", "ContentError", "UnavailableError")
#: How our messages name what can't be kept.
NAMES = (
    "job identifier at 'id'",
    "capture 'note'",
    "capture 'result_identifier'",
    "no result_identifier",
    "capture: ",
    "expected JSON",
)


@pytest.fixture(autouse=True, scope="module")
def connection() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW_CONN_ASYNCAPI_DEFAULT", '{"conn_type": "asyncapi", "host": "http://127.0.0.1"}')
        yield


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.close()


def answer(**fields: str) -> Any:
    body = ", ".join(f'"{name}": {text}' for name, text in fields.items())
    return reply(f"{{{body}}}".encode("utf-8", "surrogatepass"), content_type="application/json")


def check_refusal(outcome: Outcome) -> None:
    assert outcome.error is not None
    kind, message, _ = outcome.error
    assert any(name in message for name in NAMES), message
    assert kind in KINDS
    event = WaitEvent.of_error(read_error({"kind": kind, "message": message}))
    assert store_event(make_event(event).payload)["event"] == event.dump()


def alike(one: Any, other: Any) -> bool:
    """Return whether values are equal in a database that stores the digits of numbers, not their bits."""
    return bool(json.loads(json.dumps(one), parse_int=float) == json.loads(json.dumps(other), parse_int=float))


def check_handle(handle: JobHandle) -> None:
    """Check that a job handle stays what it is on all ways through Airflow."""
    state = WaitCheckpoint(handle, 1_700_000_000.0)
    assert WaitCheckpoint.parse(store_trigger({"wait": state.dump()})["wait"]) == state
    assert alike(JobHandle.parse(store_xcom(handle.dump())).dump(), handle.dump())
    assert alike(store_xcom(handle.result_identifier), handle.result_identifier)
    kwargs = store_event(make_event(WaitEvent.of_success(handle)).payload, {"wait": state.dump()})
    assert alike(JobHandle.parse(kwargs["event"]["handle"]).dump(), handle.dump())


def check_resumed(handle: JobHandle) -> None:
    """Check that the task goes on with what the trigger has found, and hands it on."""
    sensor = AsyncApiSensor(task_id="wait", job="7", **WAIT)
    ti = TI()
    event = store_event(make_event(WaitEvent.of_success(handle)).payload)["event"]
    result = sensor.execute_complete(context_of(ti), event)
    assert alike(JobHandle.parse(store_xcom(ti.xcoms[JOB_KEY])).dump(), handle.dump())
    assert alike(store_xcom(result), handle.result_identifier)


@pytest.mark.parametrize("driver", DRIVERS)
@settings(max_examples=50, deadline=None)
@given(identifier=TEXTS, note=TEXTS)
@example(identifier="18446744073709551616", note="1")
@example(identifier='"x \\ud83d"', note="1")
@example(identifier='"7"', note='"x \\ud83d"')
@example(identifier='"7"', note='{"__type": "set", "__var": [1]}')
def test_any_answer_to_a_submit_is_kept_or_refused_by_name(
    server: Server, driver: str, identifier: str, note: str
) -> None:
    server.respond_with(answer(id=identifier, note=note))
    outcome = run(driver, make_api(server.url), submit(make_api(server.url), SUBMIT, Submission("key")))
    if outcome.result is None:
        check_refusal(outcome)
    else:
        check_handle(outcome.result)


@pytest.mark.parametrize("driver", DRIVERS)
@settings(max_examples=50, deadline=None)
@given(state=TEXTS, percent=TEXTS, note=TEXTS, result=TEXTS)
@example(state="99999999999999999999", percent="1e999", note="1", result="1")
@example(state='"x \\ud83d"', percent="NaN", note="1", result='"r"')
@example(state="1" + "0" * 400, percent="1", note="1", result="1")
@example(state="1.2345678901234568e18", percent="1", note="1e300", result="-1e19")
@example(state="NaN", percent="1", note="1", result="[1e999]")
@example(state='"a\\u0000b"', percent="1", note="1", result='"a\\u0000b"')
@example(state="1", percent="1", note="1", result="[" * 200 + "]" * 200)
@example(state="1", percent="1", note="1", result='{"a":' * MAX_DEPTH + "1" + "}" * MAX_DEPTH)
def test_any_answer_to_a_poll_is_carried_to_the_resumed_task_or_refused_by_name(
    server: Server, driver: str, state: str, percent: str, note: str, result: str
) -> None:
    server.respond_with(
        answer(state=state, percent=percent, note=note),
        answer(state='"done"', percent=percent, note=note, result=result),
    )
    api = make_api(server.url)
    outcome = run(driver, api, wait(api, PLAN, WaitCheckpoint(JobHandle(7), api.clock())))
    for event in outcome.events:
        if isinstance(event, Polled):
            check_handle(event.handle)
    if outcome.result is None:
        check_refusal(outcome)
    else:
        check_resumed(outcome.result)
