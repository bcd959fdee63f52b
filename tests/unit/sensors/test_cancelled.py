"""A user cancels the job on the page: the task cancels it on a worker, and fails."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_asyncapi import exceptions
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.wait.checkpoint import WaitCheckpoint
from airflow_provider_asyncapi.operators.job import AsyncApiJobOperator
from airflow_provider_asyncapi.tasks.cancel_request import CANCEL_KEY, dump_request
from airflow_provider_asyncapi.triggers.events import WaitEvent
from tests.unit.airflow_storage import store_event
from tests.unit.fake_airflow import TI, ApiServer, Store, Supervisor, context_of, reply
from tests.unit.sensors.modes import POLL, make_sensor, running

pytestmark = pytest.mark.usefixtures("connection", "run_outside_of_airflow")

CANCEL = {"method": "DELETE", "endpoint": "/jobs/{identifier}"}
CANCELLED = "DELETE /jobs/j-1"
MESSAGE = "ann has cancelled the job on the page Async API jobs"
STATE = WaitCheckpoint(JobHandle("j-1"), 1000.0, 9e9, polls=1)


def cancel(mode: str = "deferred", wait: WaitCheckpoint | None = STATE, ti: TI | None = None, **given: Any) -> Any:
    """Resume the task as after the user's request; return the exception that fails it."""
    context = context_of(ti or TI(), task_state_store=Store())
    event = WaitEvent.of_cancel(MESSAGE, None if wait is None else wait.dump()).dump()
    sensor = make_sensor(mode, **{"cancel": CANCEL, **given})
    with pytest.raises(exceptions.AsyncApiCancelled) as raised:
        sensor.resume_execution("execute_complete", store_event(event), context)
    return raised.value


@pytest.mark.parametrize("mode", ["deferred", "reschedule"])
@pytest.mark.parametrize("wait", [STATE, None], ids=["known", "unknown"])
def test_the_job_is_cancelled_once_and_the_task_fails_for_good(
    api: ApiServer, mode: str, wait: WaitCheckpoint | None
) -> None:
    api.respond_to(POLL, running(), reply({"status": "failed"}))
    api.respond_to(CANCELLED, reply(None, 204))
    error = cancel(mode, wait)
    assert str(error) == f"{MESSAGE}: the API has accepted the cancel, and the job has status 'failed' now"
    assert error.job == "j-1"
    assert isinstance(error, exceptions.AsyncApiFailException)
    assert api.count(CANCELLED) == 1


def test_the_trigger_is_told_that_the_job_was_cancelled_even_if_the_api_still_reports_that_it_runs(
    api: ApiServer,
) -> None:
    api.respond_to(POLL, running())
    api.respond_to(CANCELLED, reply(None, 204))
    ti = TI()
    cancel(ti=ti)
    # By this, reason_to_cancel finds that no other process has to cancel the job.
    assert (ti.xcoms["job"]["identifier"], ti.xcoms["job"]["outcome"]) == ("j-1", "failure")


def test_the_page_shows_the_status_that_the_job_has_after_the_cancel(api: ApiServer) -> None:
    """The state of the deferral, with which the worker begins, may be hours old."""
    api.respond_to(POLL, running(percent=40), reply({"status": "cancelled", "percent": 41}))
    api.respond_to(CANCELLED, reply(None, 204))
    ti = TI()
    error = cancel(ti=ti, progress="percent")
    assert (ti.xcoms["job"]["status"], ti.xcoms["job"]["progress"]) == ("cancelled", 0.41)
    assert ti.xcoms["job_history"]["entries"][-1]["status"] == error.status == "cancelled"


@pytest.mark.parametrize("is_part", [False, True])
def test_the_history_of_the_job_says_who_has_cancelled_it(api: ApiServer, *, is_part: bool) -> None:
    api.respond_to(POLL, running(), reply({"status": "failed"}))
    api.respond_to(CANCELLED, reply(None, 204))
    earlier = {"at": "2026-03-01T12:00:00+00:00", "kind": "status", "status": "running"}
    ti = TI()
    history = {"entries": [earlier]}
    ti.pulled = {"job_wait": {"history": history}} if is_part else {"job_history": history}
    error = cancel(ti=ti)
    first, last = ti.xcoms["job_history"]["entries"]
    assert first == earlier
    assert (last["kind"], last["message"]) == ("cancelled", str(error))


def test_a_cancelled_task_fails_even_if_failures_are_skipped(api: ApiServer) -> None:
    api.respond_to(POLL, running(), reply({"status": "failed"}))
    api.respond_to(CANCELLED, reply(None, 204))
    assert cancel(soft_fail=True).job == "j-1"


def test_a_job_that_has_ended_meanwhile_is_not_cancelled(api: ApiServer) -> None:
    api.respond_to(POLL, reply({"status": "done"}))
    assert str(cancel()) == f"{MESSAGE}: the job was over already, with status 'done'"
    assert api.count(CANCELLED) == 0


def test_a_task_without_a_cancel_request_fails_and_says_that_the_job_may_run_on(api: ApiServer) -> None:
    assert str(cancel(cancel=None)) == f"{MESSAGE}: there is no cancel request, so it may still be running"
    assert not api.requests


def test_a_cancel_that_the_api_refuses_fails_the_task_all_the_same(api: ApiServer) -> None:
    api.respond_to(POLL, running())
    api.respond_to(CANCELLED, reply({"title": "not allowed"}, 409))
    error = str(cancel())
    assert error.startswith(f"{MESSAGE}: the cancel failed, so it may still be running: ")
    assert "not allowed" in error


def test_a_task_that_cannot_cancel_fails_all_the_same(supervisor: Supervisor) -> None:
    supervisor.connections.clear()
    assert str(cancel()).startswith(f"{MESSAGE}: the job may still be running: ")


class SecondTry(TI):
    """The try after one whose process has died while it cancelled the job."""

    try_number, max_tries = 2, 2


def try_again(mode: str, store: Store | None, ti: TI, job: Any = "j-1", **context: Any) -> Any:
    sensor = make_sensor(mode, job=job, cancel=CANCEL, soft_fail=True)
    more = {} if store is None else {"task_state_store": store}
    return sensor.execute(context_of(ti, retries=2, **more, **context))


@pytest.mark.parametrize("mode", ["deferred", "reschedule", "poke"])
def test_the_next_try_cancels_the_job_if_the_worker_has_died(api: ApiServer, mode: str) -> None:
    api.respond_to(POLL, running(), reply({"status": "failed"}))
    api.respond_to(CANCELLED, reply(None, 204))
    ti = SecondTry()
    with pytest.raises(exceptions.AsyncApiCancelled, match=f"^{MESSAGE}: the API has accepted the cancel"):
        try_again(mode, Store({CANCEL_KEY: dump_request(MESSAGE, 2)}), ti)
    assert api.count(CANCELLED) == 1
    assert (ti.xcoms["job"]["outcome"], ti.xcoms["job_wait"]["identifier"]) == ("failure", "j-1")
    assert MESSAGE in ti.xcoms["job_poll"]["error"]


@pytest.mark.parametrize("index", [-1, 3])
def test_before_airflow_3_3_the_next_try_finds_the_request_beside_the_submit(api: ApiServer, index: int) -> None:
    api.respond_to(POLL, running(), reply({"status": "failed"}))
    api.respond_to(CANCELLED, reply(None, 204))
    ti = SecondTry(index)
    ti.pulled[f"{CANCEL_KEY}_wait_{index}"] = dump_request(MESSAGE, 2)
    submitter = {"dag_id": "dag", "run_id": "run", "task_id": "submit", "map_index": index}
    with pytest.raises(exceptions.AsyncApiCancelled, match=MESSAGE):
        try_again("poke", None, ti, job=JobHandle("j-1", task=submitter).dump())
    assert api.count(CANCELLED) == 1


@pytest.mark.parametrize(
    ("stored", "ti", "context"),
    [
        (dump_request(MESSAGE, 0), SecondTry(), {}),
        (dump_request(MESSAGE, 2), SecondTry(), {"task_reschedule_count": 3}),
        (dump_request(MESSAGE, 0), TI(), {}),
        ("broken", SecondTry(), {}),
    ],
    ids=["before a Clear", "a later poke", "the first try", "broken"],
)
def test_a_try_that_nobody_has_cancelled_waits(api: ApiServer, stored: Any, ti: TI, context: dict[str, Any]) -> None:
    api.respond_to(POLL, reply({"status": "done"}))
    assert try_again("poke", Store({CANCEL_KEY: stored}), ti, **context) == "j-1"
    assert api.count(CANCELLED) == 0


def test_a_request_that_a_newer_version_has_stored_is_left_to_a_later_try(api: ApiServer) -> None:
    stored = {**dump_request(MESSAGE, 2), "version": 99}
    with pytest.raises(
        exceptions.AsyncApiRetryableException, match="the request to cancel the job was stored in layout"
    ):
        try_again("poke", Store({CANCEL_KEY: stored}), SecondTry())
    assert not api.requests


def test_an_action_that_only_a_newer_api_server_knows_is_left_to_a_later_try(api: ApiServer) -> None:
    event = {**WaitEvent.of_cancel(MESSAGE, STATE.dump()).dump(), "status": "hold"}
    with pytest.raises(exceptions.AsyncApiRetryableException, match="The trigger's event can't be read: 'hold'"):
        make_sensor("deferred").resume_execution("execute_complete", store_event(event), context_of(TI()))
    assert not api.requests


def test_the_task_that_does_it_all_cancels_its_job_too(api: ApiServer) -> None:
    api.respond_to(POLL, running(), reply({"status": "failed"}))
    api.respond_to(CANCELLED, reply(None, 204))
    operator = AsyncApiJobOperator(
        task_id="export",
        submit={"endpoint": "/jobs", "identifier": "id"},
        status={
            "endpoint": "/jobs/{identifier}",
            "completion_key": "status",
            "completion_value": "done",
            "failure_value": "failed",
            "cancel": CANCEL,
        },
        resubmit=3,
        deferrable=True,
    )
    event = WaitEvent.of_cancel(MESSAGE, STATE.dump()).dump()
    with pytest.raises(exceptions.AsyncApiCancelled, match="the API has accepted the cancel"):
        operator.resume_execution("execute_complete", store_event(event), context_of(TI()))
    assert (api.count(CANCELLED), api.count("POST /jobs")) == (1, 0)
