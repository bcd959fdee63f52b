"""What becomes of the job of one task when its worker is killed, and when the triggerer ends it."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import (
    TaskDeferred,
)
from airflow.sdk import DAG, Asset
from airflow.triggers.base import TaskSuccessEvent

from airflow_provider_asyncapi.airflow_private.versions import HAS_TRIGGER_ON_KILL
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.monitoring.xcoms import WAIT_KEY
from airflow_provider_asyncapi.operators.asyncapi import AsyncApiFetchOperator
from airflow_provider_asyncapi.operators.job import AsyncApiJobOperator
from airflow_provider_asyncapi.tasks.stages import FETCH
from airflow_provider_asyncapi.triggers import cancel_reasons
from tests.unit.fake_airflow import TI, ApiServer, Supervisor, context_of, reply
from tests.unit.operators.whole_jobs import (
    CANCEL,
    DONE,
    GET,
    MODES,
    RUNNING,
    STAGES,
    event_of,
    make,
    needs_trigger_end,
    run,
    says,
    try_number,
)

pytestmark = pytest.mark.usefixtures("connection", "run_outside_of_airflow")


# Killing
@pytest.mark.parametrize(("state", "cancels"), [("failed", 1), ("success", 1), ("running", 0)])
def test_a_task_that_is_killed_while_it_waits_cancels_its_job_if_nobody_needs_it(
    api: ApiServer, supervisor: Supervisor, state: str, cancels: int
) -> None:
    says(api, poll=[RUNNING])
    api.respond_to(CANCEL, reply(status=200))
    supervisor.task_states = {"run": {"wait": state}}
    task = make(status={"cancel": {"endpoint": "/jobs/{identifier}/cancel"}})

    class Killed(BaseException):
        """Ends a task as Airflow does."""

    def kill(_: object) -> None:
        task.on_kill()
        raise Killed

    task.hook.get_conn()._sleep = kill
    with pytest.raises(Killed):
        task.execute(context_of(try_number(1)))
    assert api.count(CANCEL) == cancels


def test_a_task_that_is_killed_while_it_fetches_ends_and_cancels_nothing(api: ApiServer) -> None:
    task = make(status={"cancel": {"endpoint": "/jobs/{identifier}/cancel"}})
    task.on_kill()
    task.is_fetching = True
    with pytest.raises(SystemExit):
        task.on_kill()
    assert not api.requests


ANOTHER_TRY = {"task_instance": "another", "identifier": "j-2"}


SAME_JOB = {"task_instance": "another", "identifier": "j-1"}


SAME_TRY = {"task_instance": TI.id, "identifier": "j-1"}


@pytest.mark.parametrize(
    ("state", "summary", "last_try", "reason"),
    [
        # It was cleared, and hasn't submitted another job yet.
        ("none", None, False, None),
        ("failed", None, False, "the task is failed"),
        ("running", None, True, "the task was killed in its last try"),
        # Airflow retries it, and the retry may resume the job.
        ("restarting", None, True, None),
        ("deferred", SAME_TRY, False, None),
        ("deferred", ANOTHER_TRY, False, "the task was cleared, and waits for another job"),
        ("running", ANOTHER_TRY, False, "the task was cleared, and waits for another job"),
        ("running", SAME_JOB, False, None),
        # It was resumed, or the next try hasn't submitted yet.
        ("queued", SAME_TRY, False, None),
        ("running", None, False, None),
    ],
)
def test_the_job_of_a_task_that_has_submitted_it_is_cancelled_once_the_task_needs_another(
    supervisor: Supervisor,
    monkeypatch: pytest.MonkeyPatch,
    state: str,
    summary: Any,
    last_try: bool,
    reason: str | None,
) -> None:
    monkeypatch.setattr(cancel_reasons, "_CHECK_INTERVAL", 0.0)
    monkeypatch.setattr(cancel_reasons, "_LATER_INTERVAL", 0.0)
    supervisor.task_states = {"run": {"wait": state}}
    supervisor.xcoms[WAIT_KEY] = summary
    job = JobHandle("j-1", task={"dag_id": "dag", "run_id": "run", "task_id": "wait", "map_index": -1})
    found = asyncio.run(cancel_reasons.reason_to_cancel(TI(), job, is_last_try=last_try))
    assert found == reason


# Without a second worker
def in_triggerer() -> Any:
    return SimpleNamespace(id=TI.id, dag_id="dag", run_id="run", task_id="wait", map_index=-1, try_number=1)


def ends_in(api: ApiServer, **given: Any) -> Any:
    """Return the event of the trigger in Airflow's triggerer."""
    with pytest.raises(TaskDeferred) as deferral:
        make("deferred", **given).execute(context_of(TI()))
    return asyncio.run(event_of(deferral.value.trigger, in_triggerer()))


def pushed(supervisor: Supervisor) -> dict[str, Any]:
    return {each.key: each.value for each in supervisor.of_kind("SetXCom")}


@needs_trigger_end
@pytest.mark.parametrize("value", [[{"id": 1}], {"id": 1}, "text", None])
def test_the_triggerer_fetches_a_small_result_and_ends_the_task(
    api: ApiServer, supervisor: Supervisor, value: Any
) -> None:
    says(api, fetch=[reply({"rows": value})])
    if value is None:
        api.respond_to(GET, reply(status=204))
    fetch = {} if value is None else {"result_path": "rows"}
    assert isinstance(ends_in(api, fetch=fetch, fetch_in_trigger=True), TaskSuccessEvent)
    assert pushed(supervisor).get("return_value") == value
    assert pushed(supervisor)["job"]["outcome"] == "success"
    assert api.count(GET) == 1


@needs_trigger_end
@pytest.mark.parametrize(
    ("answer", "fetch"),
    [
        (reply("x" * 100), {"max_xcom_bytes": 50}),
        (reply({"rows": [1], "more": "x" * 1024 * 1024}), {"result_path": "rows"}),
        (reply({"error": "gone"}, 404), {}),
        (reply(b"{", content_type="application/json"), {}),
        (reply({"state": "nothing"}), {"rules": [{"selector": "state", "in": "nothing", "outcome": "no_data"}]}),
    ],
    ids=["too large for XCom", "more than a poll reads", "gone", "broken", "no data"],
)
def test_a_worker_fetches_what_the_triggerer_does_not(
    api: ApiServer, supervisor: Supervisor, answer: Any, fetch: dict[str, Any]
) -> None:
    says(api, fetch=[answer])
    event = ends_in(api, fetch=fetch, fetch_in_trigger=True)
    assert event.payload["status"] == "success"
    assert "return_value" not in pushed(supervisor)


@needs_trigger_end
def test_the_wait_can_end_in_the_triggerer_without_a_fetch(api: ApiServer, supervisor: Supervisor) -> None:
    says(api)
    event = ends_in(api, fetch=None, status={"end_from_trigger": True})
    assert isinstance(event, TaskSuccessEvent)
    assert pushed(supervisor)["return_value"] == "j-1"


@needs_trigger_end
@pytest.mark.parametrize("mode", MODES)
def test_fetching_in_the_triggerer_changes_nothing_in_the_result(api: ApiServer, mode: str) -> None:
    says(api)
    assert run(mode, fetch_in_trigger=True) == [{"id": 1}]


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"fetch": {"destination": "file:///lake/rows.json"}}, "destination: a worker writes files"),
        ({"fetch": {"next_page": "next"}}, "output_type: the triggerer fetches no 'pages'"),
        ({"fetch": {"cleanup": {"endpoint": "/jobs/{identifier}"}}}, "cleanup: a worker sends the cleanup request"),
        ({"fetch": {"callback": True}}, "callback: a worker reads the result from the callback"),
        ({"outlets": [Asset("lake")]}, "it has outlets"),
    ],
)
@needs_trigger_end
def test_the_log_says_why_a_worker_fetches(
    api: ApiServer, monkeypatch: pytest.MonkeyPatch, given: dict[str, Any], why: str
) -> None:
    says(api, poll=[RUNNING])
    task, lines = make("deferred", fetch_in_trigger=True, **given), list[str]()
    monkeypatch.setattr(type(task), "log", SimpleNamespace(info=lambda text, *values: lines.append(text % values)))
    with pytest.raises(TaskDeferred) as deferral:
        task.execute(context_of(TI()))
    assert deferral.value.trigger.fetch is None
    assert f"fetch_in_trigger is set, but a worker is needed: {why}" in lines


def test_a_job_is_submitted_on_a_worker_whatever_start_from_trigger_says(
    api: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    says(api, poll=[DONE])
    task, lines = make("deferred", status={"start_from_trigger": True}), list[str]()
    assert task.start_from_trigger is False
    monkeypatch.setattr(type(task), "log", SimpleNamespace(info=lambda text, *values: lines.append(text % values)))
    assert task.execute(context_of(TI())) == [{"id": 1}]
    assert "start_from_trigger is set, but a worker is needed: a task that submits a job begins on a worker" in lines


def test_a_mapped_task_over_the_result_needs_its_length_from_a_worker(api: ApiServer) -> None:
    from airflow_provider_asyncapi.tasks.without_worker import why_unsupported_fetch

    with DAG("dag", schedule=None):
        export = AsyncApiJobOperator(task_id="export", **STAGES, deferrable=True, fetch_in_trigger=True)
        AsyncApiFetchOperator.partial(task_id="each", endpoint="/x").expand(job=export.output)
    why = why_unsupported_fetch(export, export.effective_params(FETCH), None)
    expected = "mapped over its result" if HAS_TRIGGER_ON_KILL else "before 3.3"
    assert expected in str(why)
