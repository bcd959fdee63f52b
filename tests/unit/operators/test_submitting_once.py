"""What Airflow keeps from try to try, and what follows where it keeps nothing."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_asyncapi import exceptions
from airflow_provider_asyncapi.hooks.asyncapi import AsyncApiHook
from airflow_provider_asyncapi.operators.asyncapi import AsyncApiTriggerOperator
from airflow_provider_asyncapi.tasks.submission_state import count_clears, make_idempotency_key
from tests.unit.fake_airflow import TI, ApiServer, Store, context_of, reply

pytestmark = pytest.mark.usefixtures("connection", "run_outside_of_airflow")

POST = "POST /jobs"
START = "POST /jobs/j-1/run"


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collect what is logged; Airflow's loggers write past pytest's."""
    lines: list[str] = []
    log = SimpleNamespace(log=lambda _level, text, *values: lines.append(text % values), warning=lines.append)
    monkeypatch.setattr(AsyncApiHook, "log", log)
    return lines


def attempt(number: int, store: Store | None, *, clears: int = 0, retries: int = 3, **given: Any) -> TI:
    """Run one try of the task; with each Clear it has so many retries more."""
    ti = TI()
    ti.try_number = number
    ti.max_tries = retries + clears
    operator = AsyncApiTriggerOperator(task_id="submit", **{"endpoint": "/jobs", "identifier": "id", **given})
    more = {} if store is None else {"task_state_store": store}
    operator.execute(context_of(ti, retries=retries, **more))
    return ti


def test_a_retry_goes_on_with_the_job_that_was_submitted_and_only_starts_it(api: ApiServer) -> None:
    api.respond_to(POST, reply({"id": "j-1"}))
    api.respond_to(START, reply(status=429), reply(status=200))
    store, start = Store(), {"endpoint": "/jobs/{identifier}/run"}
    with pytest.raises(exceptions.AsyncApiUnavailable):
        attempt(1, store, start=start, max_consecutive_errors=1)
    ti = attempt(2, store, start=start, max_consecutive_errors=1)
    assert ti.xcoms["job"]["identifier"] == "j-1"
    assert (api.count(POST), api.count(START)) == (1, 2)


def test_a_clear_submits_a_new_job(api: ApiServer, said: list[str]) -> None:
    api.respond_to(POST, reply({"id": "j-1"}), reply({"id": "j-2"}))
    store = Store()
    attempt(1, store)
    assert attempt(2, store, clears=1).xcoms["job"]["identifier"] == "j-2"
    assert "Submitting a new job, since the task was cleared; the previous one is j-1" in said


def test_a_clear_of_a_running_task_is_told_from_a_retry_once_it_has_more_tries_than_retries(
    api: ApiServer, said: list[str]
) -> None:
    api.respond_to(POST, *(reply({"id": f"j-{number}"}) for number in (1, 2, 3)))
    store = Store()
    attempt(1, store, retries=0)
    # Airflow raises max_tries by a Clear of a task that isn't running, and only then.
    assert attempt(2, store, retries=0).xcoms["job"]["identifier"] == "j-2"
    assert "Submitting a new job, since the task was cleared; the previous one is j-1" in said
    assert attempt(3, store, retries=0).xcoms["job"]["identifier"] == "j-3"
    attempt(2, None, retries=0)
    assert "two jobs" not in str(said)


def test_how_often_the_run_was_cleared_is_kept_for_the_next_try(api: ApiServer) -> None:
    api.respond_to(POST, reply({"id": "j-1"}))
    store = Store()
    operator = AsyncApiTriggerOperator(task_id="submit", endpoint="/jobs", identifier="id")
    operator.execute(context_of(TI(), task_state_store=store, dag_run=SimpleNamespace(clear_number=3)))
    assert store["asyncapi_submission"]["clears"] == 3


def test_a_retry_with_another_request_fails_and_says_what_has_changed(api: ApiServer) -> None:
    api.respond_to(POST, reply({"id": "j-1"}))
    store = Store()
    attempt(1, store, json={"asked_at": "12:00:01", "table": "orders"})
    with pytest.raises(
        exceptions.AsyncApiRequestChanged, match=r"differ in json.asked_at\), which has submitted job j-1"
    ):
        attempt(2, store, json={"asked_at": "12:00:02", "table": "orders"})
    assert api.count(POST) == 1


def test_a_retry_with_another_request_may_cancel_the_first_job(api: ApiServer) -> None:
    api.respond_to(POST, reply({"id": "j-1"}), reply({"id": "j-2"}))
    api.respond_to("DELETE /jobs/j-1", reply(status=204))
    store = Store()
    switch: dict[str, Any] = {"cancel": {"method": "DELETE", "endpoint": "/jobs/{identifier}"}}
    attempt(1, store, json={"day": 1}, on_changed_request="cancel", **switch)
    ti = attempt(2, store, json={"day": 2}, on_changed_request="cancel", **switch)
    assert ti.xcoms["job"]["identifier"] == "j-2"
    assert [f"{each.method} {each.path}" for each in api.requests] == [POST, "DELETE /jobs/j-1", POST]


def test_what_is_kept_holds_no_secret(api: ApiServer, connect: Any) -> None:
    connect(extra={"auth": "bearer"}, password="planted-token")
    api.respond_to(POST, reply({"id": "j-1"}))
    store = Store()
    attempt(1, store, json={"note": "{connection.host}"}, headers={"X-Api-Key": "planted-key"})
    assert "planted" not in str(store)


def test_before_airflow_3_3_a_retry_asks_the_api_where_it_can(api: ApiServer) -> None:
    lookup = {"endpoint": "/jobs/by-key/{idempotency_key}"}
    found = f"GET /jobs/by-key/{make_idempotency_key(context_of(cleared(0)))}"
    api.respond_to(POST, reply({"id": "j-1"}))
    api.respond_to(found, reply({"id": "j-1"}))
    attempt(1, None, lookup=lookup)
    assert api.count(found) == 0
    assert attempt(2, None, lookup=lookup).xcoms["job"]["identifier"] == "j-1"
    assert (api.count(POST), api.count(found)) == (1, 1)


def test_before_airflow_3_3_a_retry_says_that_there_may_be_two_jobs(api: ApiServer, said: list[str]) -> None:
    api.respond_to(POST, reply({"id": "j-1"}))
    attempt(1, None)
    attempt(3, None, headers={"Idempotency-Key": "{idempotency_key}"})
    attempt(5, None, clears=4)
    assert "two jobs" not in str(said)
    attempt(2, None)
    assert "there are two jobs now" in str(said)


def cleared(clears: int, map_index: int = -1, try_number: int = 1) -> TI:
    ti = TI(map_index)
    ti.try_number, ti.max_tries = try_number, 3 + clears
    return ti


def test_the_key_is_the_same_for_all_tries_of_one_task_and_no_other() -> None:
    keys = [make_idempotency_key(context_of(ti)) for ti in (cleared(0), cleared(0, 0), cleared(0, 1), cleared(1))]
    assert len(set(keys)) == 4
    assert make_idempotency_key(context_of(cleared(0, try_number=2))) == keys[0]
    assert count_clears(cleared(0, try_number=2)) == count_clears(cleared(0))
