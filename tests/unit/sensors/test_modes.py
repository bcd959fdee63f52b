"""Deferred, in poke and in reschedule mode the sensor does the same; only who waits differs."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import re
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.exceptions import AirflowRescheduleException
from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowFailException,
    AirflowSkipException,
    DownstreamTasksSkipped,
    TaskDeferred,
)
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG

from airflow_provider_asyncapi import exceptions
from airflow_provider_asyncapi.airflow_private.versions import HAS_TRIGGER_ON_KILL
from airflow_provider_asyncapi.core import outcome as names
from airflow_provider_asyncapi.core.errors import RequestRejectedError
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.wait.poll_summary import PollSummary, parse_time
from airflow_provider_asyncapi.exceptions import AsyncApiJobFailed
from airflow_provider_asyncapi.monitoring import metrics
from airflow_provider_asyncapi.monitoring.xcoms import POLL_KEY, WAIT_KEY
from airflow_provider_asyncapi.sensors.asyncapi import AsyncApiSensor
from airflow_provider_asyncapi.tasks import job_wait
from airflow_provider_asyncapi.triggers.events import WaitEvent
from tests.unit.fake_airflow import TI, ApiServer, Store, Supervisor, context_of, reply
from tests.unit.recorded_calls import recorded

pytestmark = pytest.mark.usefixtures("connection", "run_outside_of_airflow")

MODES = ("deferred", "poke", "reschedule", "reschedule without a store")
POLL = "GET /jobs/j-1"


@dataclass
class Outcome:
    """How a wait ended."""

    returned: Any = None
    error: BaseException | None = None
    xcoms: dict[str, Any] = field(default_factory=dict)

    @property
    def summary(self) -> tuple[Any, type | None, str, dict[str, Any]]:
        # How long it took is the machine's affair; polls that a slow start of the trigger had time for count as made.
        said = re.sub(r"after \d+ s and \d+ polls", "…", str(self.error or ""))
        said = re.sub(r"after \d+ s|\d+ s later", "… s", said)
        # What is in XCom after a failure is how far the job had come, for people to look at.
        is_good = self.error is None or isinstance(self.error, DownstreamTasksSkipped)
        # What people are shown of the polls goes by the clock, and by how each mode makes them.
        handed_on = {key: value for key, value in self.xcoms.items() if key not in (WAIT_KEY, POLL_KEY)}
        return self.returned, type(self.error) if self.error else None, said, handed_on if is_good else {}


def make_sensor(mode: str, **given: Any) -> AsyncApiSensor:
    given = {
        "job": "j-1",
        "endpoint": "/jobs/{identifier}",
        "completion_key": "status",
        "completion_value": "done",
        "failure_value": "failed",
        "no_data_value": "empty",
        "poke_interval": 0.1,
        "timeout": 20,
        **given,
    }
    with DAG("dag", schedule=None):
        sensor = AsyncApiSensor(
            task_id="wait",
            deferrable=mode == "deferred",
            mode="reschedule" if mode.startswith("reschedule") else "poke",
            **given,
        )
        sensor >> [EmptyOperator(task_id="next"), EmptyOperator(task_id="always", trigger_rule="all_done")]
    return sensor


def wait(mode: str, ti: TI | None = None, **given: Any) -> Outcome:
    """Wait in one of the modes, as Airflow would have it done."""
    ti = ti or TI()
    outcome = Outcome(xcoms=ti.xcoms)
    try:
        outcome.returned = {"deferred": _deferred, "poke": _poke}.get(mode, _rescheduled)(mode, ti, given)
    except (AirflowException, TaskDeferred) as error:
        outcome.error = error
    return outcome


def _poke(mode: str, ti: TI, given: dict[str, Any]) -> Any:
    return make_sensor(mode, **given).execute(context_of(ti))


def _rescheduled(mode: str, ti: TI, given: dict[str, Any]) -> Any:
    store = {} if mode.endswith("without a store") else {"task_state_store": Store(stale="of an earlier try")}
    for pokes in range(100):
        ti.xcoms.clear()
        began = time.time()
        try:
            return make_sensor(mode, **given).execute(context_of(ti, task_reschedule_count=pokes, **store))
        except AirflowRescheduleException as pause:
            ti.first_poke = ti.first_poke or began
            ti.pauses.append(pause.reschedule_date.timestamp() - time.time())
            time.sleep(max(0.0, pause.reschedule_date.timestamp() - time.time()))
    raise AssertionError("no end")


def _deferred(mode: str, ti: TI, given: dict[str, Any]) -> Any:
    resume: Callable[[], Any] = partial(make_sensor(mode, **given).execute, context_of(ti))
    for _ in range(3):
        try:
            return resume()
        except TaskDeferred as deferral:
            event = asyncio.run(_run(rebuilt(deferral.trigger)))
            given_kwargs = {**(deferral.kwargs or {}), "event": event}
            sensor = make_sensor(mode, **given)
            resume = partial(sensor.resume_execution, deferral.method_name, given_kwargs, context_of(ti))
    raise AssertionError("no end")


def rebuilt(trigger: Any) -> Any:
    """Send a trigger through the metadata database, so to speak."""
    from airflow.serialization.serialized_objects import BaseSerialization

    path, kwargs = trigger.serialize()
    kwargs = BaseSerialization.deserialize(BaseSerialization.serialize(kwargs))
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)(**kwargs)


async def _run(trigger: Any) -> Any:
    events = [event.payload async for event in trigger.run()]
    assert len(events) == 1
    return events[0]


def running(**more: Any) -> Any:
    return reply({"status": "running", **more})


def in_all_modes(script: Callable[[], None], **given: Any) -> Outcome:
    """Wait in all modes, see that they agree, and give what they agree on."""
    outcomes = {}
    for mode in MODES:
        script()
        outcomes[mode] = wait(mode, **given)
    summaries = {mode: outcome.summary for mode, outcome in outcomes.items()}
    assert all(summary == summaries["poke"] for summary in summaries.values()), "\n".join(map(str, summaries.items()))
    return outcomes["poke"]


def test_success_returns_the_identifier_and_hands_on_the_job(api: ApiServer) -> None:
    outcome = in_all_modes(lambda: api.respond_to(POLL, running(), reply({"status": "done"})))
    assert outcome.error is None
    assert outcome.returned == "j-1"
    job = outcome.xcoms["job"]
    assert (job["identifier"], job["outcome"], job["status"], job["progress"]) == ("j-1", "success", "done", 1.0)


def test_a_result_identifier_is_what_is_returned(api: ApiServer) -> None:
    def script() -> None:
        api.respond_to(POLL, running(), reply({"status": "done", "result": {"id": 7}, "pages": 3}))

    outcome = in_all_modes(script, result_identifier="result.id", capture={"pages": "pages"})
    assert outcome.returned == 7
    assert outcome.xcoms["job"]["variables"] == {"result_identifier": 7, "result.id": 7, "pages": 3}


def test_a_value_that_only_an_early_answer_held_is_kept(api: ApiServer) -> None:
    for mode in MODES[:3]:
        api.respond_to(POLL, running(place="eu"), running(), reply({"status": "done"}))
        assert wait(mode, capture={"region": "place"}).xcoms["job"]["variables"]["region"] == "eu", mode


def test_a_failed_job_fails_the_task_for_good(api: ApiServer) -> None:
    def script() -> None:
        api.respond_to(POLL, running(), reply({"status": "failed", "error": {"message": "no such table"}}))

    outcome = in_all_modes(script)
    assert type(outcome.error) is exceptions.AsyncApiJobFailed
    assert isinstance(outcome.error, AirflowFailException)
    assert "no such table" in str(outcome.error)


def test_no_data_skips_what_needs_the_data_and_nothing_else(api: ApiServer) -> None:
    outcome = in_all_modes(lambda: api.respond_to(POLL, running(), reply({"status": "empty"})))
    assert isinstance(outcome.error, DownstreamTasksSkipped)
    assert outcome.error.tasks == ["next"]
    # Airflow skips them again when they are cleared.
    assert outcome.xcoms["skipmixin_key"] == {"skipped": ["next"]}
    assert outcome.xcoms["return_value"] == "j-1"
    assert outcome.xcoms["job"]["outcome"] == "no_data"


@pytest.mark.parametrize("mode", MODES)
def test_no_data_is_a_good_end_also_with_soft_fail(api: ApiServer, mode: str) -> None:
    api.respond_to(POLL, reply({"status": "empty"}))
    assert isinstance(wait(mode, soft_fail=True).error, DownstreamTasksSkipped)


@pytest.mark.parametrize("mode", MODES)
def test_no_data_of_a_mapped_task_is_told_by_its_handle(api: ApiServer, mode: str) -> None:
    api.respond_to(POLL, reply({"status": "empty"}))
    outcome = wait(mode, TI(map_index=2))
    assert outcome.returned == "j-1"
    assert outcome.error is None
    assert outcome.xcoms["job"]["outcome"] == "no_data"
    assert "skipmixin_key" not in outcome.xcoms


REMOVE = "DELETE /jobs/j-1"


def test_a_job_with_an_unknown_status_is_not_removed_since_it_may_be_running(api: ApiServer) -> None:
    for mode in MODES[:3]:
        api.respond_to(POLL, running(), reply({"status": "paused"}))
        outcome = wait(mode, cleanup={"endpoint": "/jobs/{identifier}"}, running_value="running")
        assert isinstance(outcome.error, exceptions.AsyncApiUnknownStatus), mode
    assert api.count(REMOVE) == 0


@pytest.mark.parametrize(
    ("status", "cleanup_on", "sent"),
    [
        ("empty", None, 1),
        ("failed", None, 1),
        ("done", None, 0),
        ("done", "success", 1),
        ("empty", "failure", 0),
        ("failed", ["no_data", "success"], 0),
    ],
)
def test_a_job_after_which_nothing_is_fetched_is_removed_where_the_author_says_so(
    api: ApiServer, status: str, cleanup_on: Any, sent: int
) -> None:
    for mode in MODES[:3]:
        before = api.count(REMOVE)
        api.respond_to(POLL, running(), reply({"status": status}))
        api.respond_to(REMOVE, reply(b"", 204))
        wait(mode, cleanup={"endpoint": "/jobs/{identifier}"}, cleanup_on=cleanup_on)
        assert api.count(REMOVE) - before == sent, mode


def test_a_job_that_had_failed_when_submitted_is_removed_and_a_failing_removal_changes_nothing(api: ApiServer) -> None:
    api.respond_to(REMOVE, reply({"why": "no"}, 405))
    outcome = wait("poke", job=handle("failure"), cleanup={"endpoint": "/jobs/{identifier}"})
    assert type(outcome.error) is exceptions.AsyncApiJobFailed
    assert api.count(REMOVE) == 1


def test_a_wait_that_ends_by_its_deadline_removes_nothing(api: ApiServer) -> None:
    api.respond_to(POLL, running())
    outcome = wait("poke", cleanup={"endpoint": "/jobs/{identifier}"}, max_iterations=1)
    assert type(outcome.error) is exceptions.AsyncApiTimeout
    assert api.count(REMOVE) == 0


def test_airflow_is_told_that_the_sensor_may_skip_what_comes_after() -> None:
    assert make_sensor("poke").inherits_from_skipmixin is True


def test_too_many_polls_are_a_timeout(api: ApiServer) -> None:
    api.respond_to("DELETE /jobs/j-1", reply(status=204))
    outcome = in_all_modes(
        lambda: api.respond_to(POLL, running()),
        max_iterations=3,
        poke_interval=0.5,
        cancel={"method": "DELETE", "endpoint": "/jobs/{identifier}"},
    )
    assert type(outcome.error) is exceptions.AsyncApiTimeout
    assert "3 polls; the API has accepted the cancel, but the job still has status" in str(outcome.error)
    assert api.count(POLL) == (3 + 1) * len(MODES), "and one to see what the cancel has done"
    assert api.count("DELETE /jobs/j-1") == len(MODES)


@pytest.mark.parametrize("mode", MODES)
def test_the_deadline_is_a_timeout_with_a_last_poll_at_it(api: ApiServer, mode: str) -> None:
    api.respond_to(POLL, running())
    began = time.time()
    outcome = wait(mode, timeout=0.7, poke_interval=0.4)
    assert type(outcome.error) is exceptions.AsyncApiTimeout
    assert "wasn't done by the deadline" in str(outcome.error)
    assert 0.7 <= time.time() - began < 5
    assert api.count(POLL) >= 2


def test_too_many_errors_in_a_row_are_for_a_retry_to_mend(api: ApiServer) -> None:
    outcomes = {}
    for mode in MODES[:3]:
        api.respond_to(POLL, reply(status=503), running(), reply(status=503), reply(status=503), reply(status=503))
        outcomes[mode] = wait(mode, max_consecutive_errors=3).summary
    assert outcomes["deferred"] == outcomes["poke"] == outcomes["reschedule"]
    _, kind, said, _ = outcomes["poke"]
    assert kind is exceptions.AsyncApiUnavailable
    assert not issubclass(kind, AirflowFailException)
    assert "3 errors in a row" in said


def test_without_a_task_state_store_other_limits_end_a_row_of_errors(api: ApiServer) -> None:
    api.respond_to(POLL, reply(status=503))
    outcome = wait("reschedule without a store", max_consecutive_errors=3, max_iterations=5)
    assert type(outcome.error) is exceptions.AsyncApiTimeout
    assert api.count(POLL) == 5


def test_refused_credentials_end_the_wait_at_once(api: ApiServer) -> None:
    outcome = in_all_modes(lambda: api.respond_to(POLL, reply({"message": "who are you?"}, 401)))
    assert type(outcome.error) is exceptions.AsyncApiUnauthorized
    assert isinstance(outcome.error, AirflowFailException)
    assert api.count(POLL) == len(MODES)


def test_an_unknown_job_ends_the_wait_at_once(api: ApiServer) -> None:
    outcome = in_all_modes(lambda: api.respond_to(POLL, reply(status=404)))
    assert type(outcome.error) is exceptions.AsyncApiJobNotFound


def test_an_unknown_status_is_a_failure_where_running_values_are_given(api: ApiServer) -> None:
    outcome = in_all_modes(lambda: api.respond_to(POLL, running(), reply({"status": "odd"})), running_value="running")
    assert type(outcome.error) is exceptions.AsyncApiUnknownStatus
    assert "odd" in str(outcome.error)


def test_an_unknown_status_counts_as_running_otherwise(api: ApiServer) -> None:
    outcome = in_all_modes(lambda: api.respond_to(POLL, reply({"status": "odd"}), reply({"status": "done"})))
    assert outcome.returned == "j-1"


def handle(outcome: str, **more: Any) -> dict[str, Any]:
    return {"version": 1, "identifier": "j-1", "outcome": outcome, **more}


def test_a_job_that_was_over_when_submitted_is_not_polled(api: ApiServer) -> None:
    outcome = in_all_modes(lambda: None, job=handle("success", variables={"rows": [1]}))
    assert outcome.returned == "j-1"
    assert outcome.xcoms["job"]["variables"] == {"rows": [1]}
    assert not api.requests


def test_a_job_that_had_failed_when_submitted_fails(api: ApiServer) -> None:
    outcome = in_all_modes(lambda: None, job=handle("failure"))
    assert type(outcome.error) is exceptions.AsyncApiJobFailed
    assert not api.requests


def test_a_handle_of_a_newer_version_is_refused_until_this_one_is_upgraded(api: ApiServer) -> None:
    outcome = in_all_modes(lambda: None, job=handle("running") | {"version": 9})
    assert type(outcome.error) is exceptions.AsyncApiException
    assert "layout 9" in str(outcome.error)
    assert not api.requests


@pytest.mark.parametrize("forgiving", ["soft_fail", "never_fail"])
@pytest.mark.parametrize("answer", [reply({"status": "failed"}), reply(status=401), running()])
def test_a_failure_is_a_skip_where_the_author_wants_that(api: ApiServer, forgiving: str, answer: Any) -> None:
    outcome = in_all_modes(lambda: api.respond_to(POLL, answer), max_iterations=2, **{forgiving: True})
    assert type(outcome.error) is AirflowSkipException
    assert "j-1" in str(outcome.error)


@pytest.mark.parametrize("forgiving", [{}, {"soft_fail": True}, {"never_fail": True}])
def test_a_trigger_that_broke_fails_or_skips_the_task(forgiving: dict[str, Any]) -> None:
    with pytest.raises(AirflowException) as caught:
        make_sensor("deferred", **forgiving).resume_execution(
            "__fail__", {"error": "Trigger failure"}, context_of(TI())
        )
    assert isinstance(caught.value, AirflowSkipException) is bool(forgiving)


@pytest.mark.parametrize(
    "event",
    [
        *(None, {}, "done", {"error": "text"}, {"error": {"kind": "JobFailedError"}}, {"begin": 3}, {"called": False}),
        *({"status": "success", "message": "done"}, {"status": "success", "handle": {}}),
        *({"status": "error", "message": "no"}, {"status": "error", "message": "no", "error": "text"}),
        # As other providers' triggers yield them.
        *({"status": "failed", "message": "no", "handle": {}}, {"status": ["success"], "message": ""}),
        {"status": "success", "message": "done", "handle": {}, "version": "2"},
    ],
    ids=str,
)
def test_an_event_that_is_not_ours_is_an_error_and_no_success(event: Any) -> None:
    with pytest.raises(exceptions.AsyncApiException, match="event"):
        make_sensor("deferred").execute_complete(context_of(TI()), event)


def test_a_poke_is_rescheduled_no_sooner_than_the_scheduler_knows_of_its_end(
    api: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_wait, "SHORTEST_RESCHEDULE", 10.0)
    api.respond_to(POLL, reply(status=429, retry_after="1"))
    now = time.time()
    with pytest.raises(AirflowRescheduleException) as pause:
        make_sensor("reschedule").execute(context_of(TI(), task_state_store=Store()))
    assert pause.value.reschedule_date.timestamp() >= now + 10


@pytest.mark.parametrize("mode", ["reschedule", "reschedule without a store"])
def test_the_initial_delay_passes_once(api: ApiServer, mode: str) -> None:
    api.respond_to(POLL, running(), running(), reply({"status": "done"}))
    ti = TI()
    assert wait(mode, ti, initial_delay=2, poke_interval=0.1).returned == "j-1"
    assert [pause > 0.5 for pause in ti.pauses] == [True, False, False]
    assert api.count(POLL) == 3


def test_what_an_earlier_try_has_stored_does_not_count(api: ApiServer) -> None:
    api.respond_to(POLL, reply(status=503), reply({"status": "done"}))
    sensor = make_sensor("reschedule", max_consecutive_errors=3, initial_delay=0.1)
    store = Store(asyncapi_poke={"errors": 2, "handle": handle("running") | {"identifier": "other"}})
    ti = TI()
    ti.first_poke = time.time() - 1
    with pytest.raises(AirflowRescheduleException):
        sensor.execute(context_of(ti, task_reschedule_count=1, task_state_store=store))
    assert store["asyncapi_poke"]["errors"] == 1
    assert api.count(POLL) == 1


def test_the_deadline_is_fixed_once_for_all_tries_of_one_wait(api: ApiServer) -> None:
    api.respond_to(POLL, running())
    api.respond_to("GET /jobs/j-2", running())

    def deadline(store: Store | None, *, job: str = "j-1", max_tries: int = 0) -> float:
        ti = TI()
        ti.max_tries = max_tries
        with pytest.raises(TaskDeferred) as deferral:
            make_sensor("deferred", job=job).execute(
                context_of(ti, **({} if store is None else {"task_state_store": store}))
            )
        return float(deferral.value.trigger.wait.deadline)

    store = Store()
    first = deadline(store)
    assert first - 20 <= time.time()
    assert deadline(store) == first
    assert deadline(store, max_tries=1) > first
    other = deadline(store, job="j-2")
    assert other > first
    assert deadline(store, job="j-2") == other
    assert deadline(None) < deadline(None)


def deadline_of_poke(store: Store, ti: TI, pokes: int = 0, **given: Any) -> float:
    with contextlib.suppress(AirflowRescheduleException):
        make_sensor("reschedule", **given).execute(
            context_of(ti, task_reschedule_count=pokes, task_state_store=store, retries=2)
        )
    return parse_time(ti.xcoms[WAIT_KEY]["deadline"]) or 0.0


def test_in_reschedule_mode_too_the_deadline_is_the_same_for_all_pokes_and_tries_until_a_clear(api: ApiServer) -> None:
    api.respond_to(POLL, running())
    store, ti = Store(), TI()
    ti.max_tries = 2
    first = deadline_of_poke(store, ti)
    ti.first_poke = first - 20
    assert deadline_of_poke(store, ti, pokes=1) == first
    # Airflow knows no pokes of an earlier try.
    ti.try_number, ti.first_poke = 2, None
    assert deadline_of_poke(store, ti) == first
    ti.first_poke = time.time()
    assert deadline_of_poke(store, ti, pokes=1) == first
    ti.max_tries = 4
    assert deadline_of_poke(store, ti) > first


@pytest.mark.parametrize("mode", ["deferred", "poke", "reschedule"])
def test_a_retry_after_the_deadline_polls_once_more_and_ends(api: ApiServer, mode: str) -> None:
    api.respond_to(POLL, running())
    store, ti = Store(), TI()
    store["asyncapi_began"] = {"identifier": "j-1", "generation": 0, "at": time.time() - 30}
    sensor = make_sensor(mode)
    with pytest.raises((exceptions.AsyncApiTimeout, TaskDeferred)) as ended:
        sensor.execute(context_of(ti, task_state_store=store))
    if isinstance(ended.value, TaskDeferred):
        event = asyncio.run(_run(rebuilt(ended.value.trigger)))
        assert event["error"]["kind"] == "DeadlineError"
    assert api.count(POLL) == 1


@pytest.mark.parametrize("mode", ["deferred", "poke", "reschedule"])
def test_no_last_poll_is_made_at_the_deadline_that_retry_after_forbids(api: ApiServer, mode: str) -> None:
    api.respond_to(POLL, reply({"status": "running"}, retry_after="30"))
    outcome = wait(mode, timeout=0.5)
    assert isinstance(outcome.error, exceptions.AsyncApiTimeout)
    assert api.count(POLL) == 1


@pytest.mark.parametrize("mode", ["deferred", "poke"])
def test_an_execution_timeout_ends_each_try_like_the_deadline_of_the_wait(api: ApiServer, mode: str) -> None:
    api.respond_to(POLL, running())
    api.respond_to("POST /jobs/j-1/cancel", reply(status=202))
    outcome = wait(
        mode, execution_timeout=timedelta(seconds=0.5), cancel={"endpoint": "/jobs/{identifier}/cancel"}, timeout=20
    )
    assert isinstance(outcome.error, exceptions.AsyncApiTimeout)
    assert api.count("POST /jobs/j-1/cancel") == 1
    assert api.count(POLL) <= 10, "of some two hundred until the timeout"


def test_an_execution_timeout_begins_anew_with_each_try_and_never_comes_after_the_deadline(api: ApiServer) -> None:
    api.respond_to(POLL, running())

    def deadline(began: float, execution_timeout: float | None) -> float:
        store = Store(asyncapi_began={"identifier": "j-1", "generation": 0, "at": began})
        limit = None if execution_timeout is None else timedelta(seconds=execution_timeout)
        with pytest.raises(TaskDeferred) as deferral:
            make_sensor("deferred", execution_timeout=limit, timeout=100).execute(
                context_of(TI(), task_state_store=store)
            )
        return float(deferral.value.trigger.wait.deadline)

    now = time.time()
    assert deadline(now - 50, None) == pytest.approx(now + 50)
    assert now + 10 <= deadline(now - 50, 10) < now + 50
    assert deadline(now - 50, 90) == pytest.approx(now + 50)


def test_in_reschedule_mode_an_execution_timeout_is_that_of_a_poke(api: ApiServer) -> None:
    api.respond_to(POLL, running())
    shorter = deadline_of_poke(Store(), TI(), execution_timeout=timedelta(seconds=1))
    assert shorter > time.time() + 15


def test_a_deferred_wait_begins_on_the_worker_and_goes_on_where_that_stopped(api: ApiServer) -> None:
    api.respond_to(POLL, running(percent=20))
    ti = TI()
    before = time.time()
    with pytest.raises(TaskDeferred) as deferral:
        make_sensor("deferred", progress="percent", poke_interval=30, timeout=600).execute(context_of(ti))
    state = deferral.value.trigger.wait.dump()
    assert (state["polls"], state["errors"], state["handle"]["progress"]) == (1, 0, 0.2)
    assert 30 <= state["next_poll"] - before < 60
    assert state["pause"] == 30
    assert ti.xcoms["job"]["progress"] == 0.2
    api.respond_to(POLL, reply({"status": "done"}))
    assert make_sensor("deferred").execute(context_of(ti)) == "j-1", "no triggerer is needed"
    asked = api.count(POLL)
    with pytest.raises(TaskDeferred) as deferral:
        make_sensor("deferred", initial_delay=30).execute(context_of(ti))
    assert deferral.value.trigger.wait.polls == 0
    assert api.count(POLL) == asked


def test_status_and_progress_are_in_xcom_while_a_worker_waits(api: ApiServer) -> None:
    ti = TI()
    seen: list[Any] = []
    push = ti.xcom_push
    ti.xcom_push = recorded(push, seen, lambda key, value: (key, value))
    api.respond_to(POLL, running(percent=10), running(percent=10), running(percent=60), reply({"status": "done"}))
    wait("poke", ti, progress="percent")
    handles = [(value["status"], value["progress"]) for key, value in seen if key == "job"]
    assert handles == [(None, None), ("running", 0.1), ("running", 0.6), ("done", 1.0)]
    assert [key for key, _ in seen].count(POLL_KEY) == 1, "polls without errors are told of once"


@pytest.mark.parametrize("mode", MODES)
def test_what_people_are_shown_of_a_wait_is_in_xcom(api: ApiServer, mode: str) -> None:
    api.respond_to(POLL, running(), reply({"status": "failed"}))
    began = time.time()
    outcome = wait(mode, error_message="no.such")
    shown = outcome.xcoms[WAIT_KEY]
    assert (shown["asyncapi_conn_id"], shown["identifier"]) == ("asyncapi_default", "j-1")
    assert shown["task_instance"] == TI.id
    started, deadline = parse_time(shown["started_at"]), parse_time(shown["deadline"])
    assert started is not None
    assert deadline is not None
    assert began - 1 <= started <= time.time()
    assert deadline - started == pytest.approx(20)
    poll = PollSummary.parse(outcome.xcoms[POLL_KEY])
    assert poll is not None
    assert (poll.error, poll.pause) == (str(outcome.error), None)
    assert "has status failed" in str(poll.error)
    assert outcome.xcoms["job"]["status"] == "failed"


@pytest.mark.parametrize("mode", ["poke", "reschedule"])
def test_an_error_on_the_way_is_shown_until_a_poll_is_answered(api: ApiServer, mode: str) -> None:
    ti = TI()
    seen: list[Any] = []
    push = ti.xcom_push
    ti.xcom_push = recorded(push, seen, lambda key, value: (key, value))
    api.respond_to(POLL, running(), reply(status=503), running(), reply({"status": "done"}))
    wait(mode, ti)
    errors = [value["error"] for key, value in seen if key == POLL_KEY]
    assert [error and "503" in error for error in errors] == [None, True, None]


def test_that_nothing_can_be_shown_changes_no_outcome(api: ApiServer) -> None:
    ti = TI()
    push, refused = ti.xcom_push, []

    def broken(key: str, value: Any) -> None:
        if ti.xcoms:
            refused.append(key)
            raise RuntimeError("the API server is away")
        push(key, value)

    ti.xcom_push = broken
    api.respond_to(POLL, running(), reply({"status": "failed"}))
    assert isinstance(wait("poke", ti).error, AsyncApiJobFailed)
    assert refused == [WAIT_KEY, WAIT_KEY, "job", POLL_KEY, "job", POLL_KEY]


def test_what_could_not_be_shown_while_airflow_was_away_is_shown_with_the_next_poll(api: ApiServer) -> None:
    ti = TI()
    seen: list[Any] = []
    push = ti.xcom_push

    def away_at_times(key: str, value: Any) -> None:
        # The wait itself, and the end of the error, are told in vain at first.
        seen.append(key)
        if seen.count(key) == {WAIT_KEY: 1, POLL_KEY: 3}.get(key):
            raise RuntimeError("the API server is away")
        push(key, value)
        if key == POLL_KEY:
            errors.append(value["error"] and "503" in value["error"])

    errors: list[Any] = []
    ti.xcom_push = away_at_times
    api.respond_to(POLL, running(), reply(status=503), running(), running(), reply({"status": "done"}))
    wait("poke", ti)
    assert errors == [None, True, None]
    assert ti.xcoms[WAIT_KEY]["deadline"]


def test_the_link_to_the_job_is_there_while_it_is_waited_for(api: ApiServer) -> None:
    api.respond_to(POLL, running())
    ti = TI()
    with pytest.raises(TaskDeferred):
        make_sensor("deferred", job_url="https://vendor.example/jobs/{identifier}").execute(context_of(ti))
    assert ti.xcoms["job_url"] == "https://vendor.example/jobs/j-1"
    assert ti.xcoms["job"]["identifier"] == "j-1"


def test_a_link_that_cannot_be_made_is_no_reason_to_fail(api: ApiServer) -> None:
    outcome = in_all_modes(
        lambda: api.respond_to(POLL, reply({"status": "done"})), job_url="https://vendor.example/{nothing}"
    )
    assert outcome.returned == "j-1"
    assert "job_url" not in outcome.xcoms


def test_a_link_leads_to_web_pages_and_nowhere_else(api: ApiServer, capsys: pytest.CaptureFixture[str]) -> None:
    api.respond_to(POLL, reply({"status": "done"}))
    outcome = wait("poke", job_url="javascript:alert(1)")
    assert outcome.returned == "j-1"
    assert "job_url" not in outcome.xcoms
    assert "isn't an http(s) URL: javascript:alert(1)" in capsys.readouterr().out


@pytest.mark.parametrize("secret", [{"headers": {"X-Org-Key": "hunter2hunter2"}}, {"json": {"token": "{{ abc }}"}}])
def test_a_secret_in_the_request_is_refused_before_it_is_stored(connect: Any, secret: dict[str, Any]) -> None:
    connect(extra={"secrets": {"own": "hunter2hunter2"}})
    sensor = make_sensor("deferred", **secret)
    context: Any = {"abc": "rendered"}
    sensor.render_template_fields(context)
    with pytest.raises(exceptions.AsyncApiConfigurationError, match=next(iter(secret))):
        sensor.execute(context_of(TI()))


def test_a_request_that_cannot_be_made_is_told_before_the_triggerer_is_asked(connect: Any) -> None:
    connect()
    with pytest.raises(exceptions.AsyncApiConfigurationError, match=r"the variable \{shard\} isn't set"):
        make_sensor("deferred", endpoint="/jobs/{shard}").execute(context_of(TI()))


def test_a_wait_without_an_endpoint_asks_nobody(connect: Any) -> None:
    connect()
    for mode in ("deferred", "poke"):
        with pytest.raises(exceptions.AsyncApiConfigurationError, match="endpoint is missing"):
            make_sensor(mode, endpoint=None).execute(context_of(TI()))


def test_what_looks_like_a_secret_is_told_where_it_is_not_stored_with_a_trigger(
    api: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.respond_to(POLL, reply({"status": "done"}))
    sensor = make_sensor("poke", headers={"X-API-Key": "abc"})
    warnings: list[str] = []
    log = SimpleNamespace(log=lambda *_: None, warning=lambda text, *given: warnings.append(text % given))
    monkeypatch.setattr(type(sensor.hook), "log", log)
    sensor.execute(context_of(TI()))
    (warning,) = warnings
    assert warning.startswith("headers: 'X-API-Key' looks like a secret")
    assert "secret_headers" in warning


@pytest.mark.parametrize("mode", MODES)
def test_a_job_in_a_batch_ends_alike_in_all_modes(api: ApiServer, mode: str) -> None:
    batch = {"endpoint": "/jobs", "query_params": {"ids": "{identifiers}"}, "items": "jobs[*]", "id": "id"}
    asked = "GET /jobs?ids=j-1"
    item = {"id": "j-1", "status": "running"}
    api.respond_to(
        asked,
        reply({"jobs": [item]}),
        reply({}, 503),
        reply({"jobs": []}),
        reply({"jobs": [{**item, "status": "done"}]}),
    )
    api.respond_to(POLL, reply({"status": "running"}))
    outcome = wait(mode, batch=batch)
    assert outcome.error is None
    assert (outcome.returned, outcome.xcoms["job"]["status"]) == ("j-1", "done")
    assert (api.count(asked), api.count(POLL)) == (4, 1)


@pytest.mark.parametrize("mode", MODES)
def test_polls_are_counted_alike_in_all_modes(api: ApiServer, mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[str] = []
    monkeypatch.setattr(metrics, "count", lambda name, conn_id: counted.append(f"{name} of {conn_id}"))
    api.respond_to(POLL, running(), reply({}, 503), reply({"status": "done"}))
    outcome = wait(mode)
    assert outcome.error is None
    name = make_sensor(mode).asyncapi_conn_id
    assert Counter(counted) == {f"asyncapi.polls of {name}": 3, f"asyncapi.poll_errors of {name}": 1}


@pytest.mark.parametrize("mode", ["deferred", "poke", "reschedule"])
def test_a_poke_is_one_poll_in_each_mode(api: ApiServer, mode: str) -> None:
    api.respond_to(POLL, running(), reply(status=503), reply({"status": "done"}), reply({"status": "failed"}))
    sensor, pokes = make_sensor(mode), []
    for _ in range(3):
        result = sensor.poke(context_of(TI()))
        pokes.append((result.is_done, result.xcom_value))
    assert pokes == [(False, None), (False, None), (True, "j-1")]
    with pytest.raises(AsyncApiJobFailed, match="has status failed"):
        sensor.poke(context_of(TI()))
    assert api.count(POLL) == 4


class Killed(BaseException):
    """Ends a task as Airflow does."""


def killed(api: ApiServer, *, last_try: bool = False) -> int:
    """Kill a sensor while it waits here; give how often its job was cancelled."""
    ti = TI()
    ti.try_number, ti.max_tries = 2, 1 if last_try else 2
    api.respond_to(POLL, running())
    api.respond_to("POST /jobs/j-1/cancel", reply(status=202))
    sensor = make_sensor("poke", cancel={"endpoint": "/jobs/{identifier}/cancel"})

    def kill(_: object) -> None:
        sensor.on_kill()
        raise Killed

    sensor.hook.get_conn()._sleep = kill
    with pytest.raises(Killed):
        sensor.execute(context_of(ti))
    return api.count("POST /jobs/j-1/cancel")


@pytest.mark.parametrize(
    ("state", "last_try", "cancels"),
    [
        ("failed", False, 1),
        ("success", False, 1),
        # The worker is stopped, or Airflow has heard no heartbeats.
        ("running", False, 0),
        ("running", True, 1),
        # It was cleared alone.
        ("restarting", True, 0),
        (RuntimeError("the API server is away"), True, 0),
    ],
)
def test_a_killed_sensor_cancels_the_job_that_it_waits_for_here_unless_another_try_wants_it(
    api: ApiServer, supervisor: Supervisor, state: Any, last_try: bool, cancels: int
) -> None:
    supervisor.task_states = {"run": {"wait": state}} if isinstance(state, str) else state
    assert killed(api, last_try=last_try) == cancels


@pytest.mark.parametrize("mode", ["deferred", "poke"])
def test_a_killed_sensor_that_does_not_wait_cancels_nothing(api: ApiServer, mode: str) -> None:
    make_sensor(mode, cancel={"endpoint": "/jobs/{identifier}/cancel"}).on_kill()
    assert not api.requests


def test_a_sensor_that_is_killed_before_its_parameters_are_rendered_says_nothing() -> None:
    make_sensor("poke", cancel="{{ params.cancel }}").on_kill()


@pytest.mark.parametrize("answer", [reply({"status": "done"}), reply({"status": "failed"})])
def test_connections_are_closed_whatever_the_outcome(api: ApiServer, answer: Any, monkeypatch: Any) -> None:
    api.respond_to(POLL, answer)
    sensor = make_sensor("poke")
    closed = []
    driver = sensor.hook.get_conn()
    monkeypatch.setattr(driver, "close", lambda: closed.append(driver))
    with contextlib.suppress(AirflowException):
        sensor.execute(context_of(TI()))
    assert closed == [driver]


@pytest.mark.skipif(not HAS_TRIGGER_ON_KILL, reason="needs Airflow 3.3")
def test_what_the_triggerer_could_not_begin_begins_on_a_worker_without_what_an_earlier_try_has_pushed(
    api: ApiServer, supervisor: Supervisor
) -> None:
    api.respond_to(POLL, running())
    sensor = make_sensor("deferred", start_from_trigger=True, end_from_trigger=True)
    ti = TI()
    event = WaitEvent.of_begin("this is try 2").dump()
    with pytest.raises(TaskDeferred) as deferral:
        sensor.resume_execution("execute_complete", {"event": event}, context_of(ti))
    deleted = {(each.task_id, each.key) for each in supervisor.of_kind("DeleteXCom")}
    assert deleted == {
        ("wait", key) for key in ("job", "job_url", "job_wait", "job_poll", "return_value", "skipmixin_key")
    }
    assert ti.xcoms["job"]["status"] == "running"
    assert deferral.value.trigger.end_from_trigger is True


@pytest.mark.skipif(not HAS_TRIGGER_ON_KILL, reason="needs Airflow 3.3")
@pytest.mark.parametrize("identifier", ["j-1", "j-2"])
def test_a_retry_has_the_deadline_of_a_wait_that_began_in_the_triggerer(api: ApiServer, identifier: str) -> None:
    api.respond_to(POLL, running())
    sensor = make_sensor("deferred", start_from_trigger=True, timeout=100)
    store, ti, began_at = Store(), TI(), time.time() - 50
    ti.max_tries = 1
    failed = replace(WaitEvent.of_error(RequestRejectedError("no"), JobHandle(identifier)), began_at=began_at).dump()
    with pytest.raises(AirflowException, match="no"):
        sensor.resume_execution("execute_complete", {"event": failed}, context_of(ti, task_state_store=store))
    ti.try_number = 2
    event = WaitEvent.of_begin("this is try 2").dump()
    with pytest.raises(TaskDeferred) as deferral:
        sensor.resume_execution("execute_complete", {"event": event}, context_of(ti, task_state_store=store))
    deadline = deferral.value.trigger.wait.deadline
    if identifier == "j-1":
        assert deadline == began_at + 100
    else:
        # The job that was waited for then is another one.
        assert deadline > began_at + 140


@pytest.mark.skipif(not HAS_TRIGGER_ON_KILL, reason="needs Airflow 3.3")
def test_a_store_that_is_away_does_not_change_how_a_wait_ends(api: ApiServer) -> None:
    class Away(Store):
        def get(self, *_: Any) -> Any:
            raise RuntimeError("the API server is away")

    event = replace(WaitEvent.of_success(JobHandle("j-1", outcome=names.Outcome.SUCCESS)), began_at=1.0).dump()
    context = context_of(TI(), task_state_store=Away())
    sensor = make_sensor("deferred", start_from_trigger=True)
    assert sensor.resume_execution("execute_complete", {"event": event}, context) == "j-1"


@pytest.mark.skipif(not HAS_TRIGGER_ON_KILL, reason="needs Airflow 3.3")
@pytest.mark.parametrize(
    ("given", "map_index", "said"),
    [
        ({"execution_timeout": timedelta(hours=1)}, -1, "it has an execution_timeout"),
        ({}, 0, "it is mapped"),
    ],
)
def test_a_worker_says_why_it_is_needed_to_begin(
    api: ApiServer, given: dict[str, Any], map_index: int, said: str
) -> None:
    api.respond_to(POLL, reply({"status": "done"}))
    sensor = make_sensor("deferred", start_from_trigger=True, **given)
    lines: list[str] = []
    sensor.log.info = lambda text, *parts: lines.append(text % parts)
    sensor.execute(context_of(TI(map_index)))
    assert lines == [f"start_from_trigger is set, but a worker is needed: {said}"]
