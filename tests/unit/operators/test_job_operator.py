"""One task for the whole job does what the three tasks do: it submits once, waits, and fetches."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSkipException,
    DownstreamTasksSkipped,
    TaskDeferred,
)
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, Asset

from airflow_provider_asyncapi import exceptions
from airflow_provider_asyncapi.core.callbacks.calls import ReceivedCallback, dump_callbacks
from airflow_provider_asyncapi.core.errors import UnknownVariableError
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.requests.request_template import SUBREQUESTS
from airflow_provider_asyncapi.monitoring.xcoms import CALLS_KEY, POLL_KEY, WAIT_KEY
from airflow_provider_asyncapi.operators.asyncapi import AsyncApiFetchOperator, AsyncApiTriggerOperator
from airflow_provider_asyncapi.operators.job import AsyncApiJobOperator
from airflow_provider_asyncapi.sensors.asyncapi import AsyncApiSensor
from airflow_provider_asyncapi.tasks.stages import FETCH, STATUS, SUBMIT
from airflow_provider_asyncapi.triggers.events import WaitEvent
from tests.unit.fake_airflow import TI, ApiServer, Store, context_of, reply
from tests.unit.operators.whole_jobs import (
    CANCEL,
    DONE,
    GET,
    MODES,
    POLL,
    POST,
    ROWS,
    RUNNING,
    STAGES,
    Events,
    make,
    run,
    says,
    try_number,
)

pytestmark = pytest.mark.usefixtures("connection", "run_outside_of_airflow")


# What it does
@pytest.mark.parametrize("mode", MODES)
def test_a_job_is_submitted_waited_for_and_fetched(api: ApiServer, mode: str) -> None:
    says(api)
    ti = TI()
    assert run(mode, ti) == [{"id": 1}]
    assert [api.count(request) for request in (POST, POLL, GET)] == [1, 2, 1]
    job = ti.xcoms["job"]
    assert (job["identifier"], job["outcome"], job["task"]["task_id"]) == ("j-1", "success", "wait")
    assert ti.xcoms[WAIT_KEY]["identifier"] == "j-1"
    assert (POLL_KEY in ti.xcoms) is (mode != "deferred")
    assert ("poll" in ti.xcoms[WAIT_KEY]) is (mode == "deferred")


@pytest.mark.parametrize("mode", MODES)
def test_without_a_fetch_it_returns_what_the_sensor_returns(api: ApiServer, mode: str) -> None:
    says(api, poll=[RUNNING, reply({"status": "done", "file": 7})])
    assert run(mode, fetch=None) == "j-1"
    assert run(mode, fetch=None, status={"result_identifier": "file"}) == 7


def test_a_job_that_ends_with_the_first_poll_needs_no_deferral(api: ApiServer) -> None:
    says(api, poll=[DONE])
    assert make("deferred").execute(context_of(TI())) == [{"id": 1}]
    api.respond_to(POST, reply({"id": "j-1", "state": "over"}))
    rules = [{"selector": "state", "in": "over", "outcome": "success"}]
    assert make("deferred", submit={"rules": rules}).execute(context_of(TI())) == [{"id": 1}]
    assert api.count(POLL) == 1


@pytest.mark.parametrize("mode", MODES)
def test_variables_and_captures_of_a_stage_are_known_to_the_later_ones(api: ApiServer, mode: str) -> None:
    api.respond_to("POST /orders", reply({"id": "j-1"}))
    api.respond_to("GET /orders/j-1", RUNNING, reply({"status": "done", "part": 3}))
    api.respond_to("GET /orders/j-1/eu/3", ROWS)
    given: dict[str, Any] = {
        "submit": {"endpoint": "/{table}", "variables": {"region": "eu"}},
        "status": {"endpoint": "/{table}/{identifier}", "capture": {"part": "part"}},
        "fetch": {"endpoint": "/{table}/{identifier}/{region}/{part}"},
    }
    assert run(mode, variables={"table": "orders"}, **given) == [{"id": 1}]


def test_a_destination_gets_the_result_and_the_outlets_its_manifest(api: ApiServer, tmp_path: Any) -> None:
    says(api)
    lake = Asset("lake")
    task = make(fetch={"destination": f"file://{tmp_path}/rows.json"}, outlets=[lake])
    events = Events()
    manifest = task.execute(context_of(TI(), outlet_events=events))
    assert json.loads((tmp_path / "rows.json").read_bytes()) == [{"id": 1}]
    assert events.event.extra["paths"] == manifest["paths"]


@pytest.mark.parametrize("mode", MODES)
def test_without_data_the_task_is_skipped_if_it_fetches_and_else_the_tasks_that_need_the_data(
    api: ApiServer, mode: str
) -> None:
    says(api, poll=[RUNNING, reply({"status": "empty"})])
    with pytest.raises(AirflowSkipException, match="nothing to fetch"):
        run(mode)
    ti = TI()
    with pytest.raises(DownstreamTasksSkipped) as skipped:
        run(mode, ti, fetch=None)
    assert skipped.value.tasks == ["next"]
    assert ti.xcoms["return_value"] == "j-1"
    assert api.count(GET) == 0


@pytest.mark.parametrize("mode", MODES)
def test_at_the_deadline_the_job_is_cancelled(api: ApiServer, mode: str) -> None:
    says(api, poll=[RUNNING])
    api.respond_to(CANCEL, reply(status=200))
    with pytest.raises(exceptions.AsyncApiTimeout):
        run(mode, status={"timeout": 0.3, "cancel": {"endpoint": "/jobs/{identifier}/cancel"}})
    assert (api.count(CANCEL), api.count(GET)) == (1, 0)


def test_a_retry_has_the_deadline_of_the_first_try_which_begins_with_the_submit(api: ApiServer) -> None:
    says(api, poll=[RUNNING])
    store, checkpoints = Store(), []
    for number in (1, 2):
        with pytest.raises(TaskDeferred) as deferral:
            make("deferred").execute(context_of(try_number(number), task_state_store=store))
        checkpoints.append(deferral.value.trigger.wait)
    first, second = checkpoints
    # The stored handle has microseconds.
    assert second.started_at == pytest.approx(first.started_at, abs=1e-5) == first.handle.submitted_at
    assert second.deadline == pytest.approx(first.started_at + STAGES["status"]["timeout"], abs=1e-5)
    assert api.count(POST) == 1


@pytest.mark.parametrize("mode", MODES)
def test_soft_fail_skips_after_a_failed_wait_and_not_after_a_failed_fetch(api: ApiServer, mode: str) -> None:
    says(api, poll=[RUNNING, reply({"status": "failed"})])
    with pytest.raises(AirflowSkipException, match="soft_fail"):
        run(mode, status={"soft_fail": True})
    says(api, fetch=[reply({"error": "gone"}, 410)])
    ti = TI()
    with pytest.raises(exceptions.AsyncApiResultFailed):
        run(mode, ti, status={"soft_fail": True})
    assert "410" in ti.xcoms[POLL_KEY]["error"], "the page shows why the task has failed"


def test_soft_fail_skips_if_the_trigger_itself_has_failed() -> None:
    with pytest.raises(AirflowSkipException):
        make("deferred", status={"soft_fail": True}).resume_execution("__fail__", {"error": "x"}, context_of(TI()))


def test_a_callback_resumes_the_wait(api: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__ASYNCAPI__CALLBACK_BASE_URL", "https://airflow.example.com")
    says(api, poll=[RUNNING])
    given = {
        "submit": {"callback": True, "json": {"url": "{callback_url}"}},
        "status": {"callback": True, "poke_interval": 500, "timeout": 1000},
    }
    ti = TI()
    with pytest.raises(TaskDeferred) as deferral:
        make("deferred", **given).execute(context_of(ti))
    (awaited,) = [name for name in ti.xcoms if name.startswith("asyncapi_awaited_")]
    assert ti.xcoms[awaited]["heard"] == 0
    ti.pulled[CALLS_KEY] = dump_callbacks([ReceivedCallback("1", 0.0, "application/json", b'{"status": "done"}')])
    arguments = {**(deferral.value.kwargs or {}), "event": WaitEvent.of_callback().dump()}
    assert make("deferred", **given).resume_execution("execute_complete", arguments, context_of(ti)) == [{"id": 1}]
    assert ti.xcoms["job"]["call"] == 0


@pytest.mark.parametrize("job_url", ["https://vendor.example.com/{identifier}", None])
def test_the_link_is_pushed_once_the_job_is_known(api: ApiServer, job_url: str | None) -> None:
    says(api, poll=[RUNNING])
    ti = TI()
    with pytest.raises(TaskDeferred):
        make("deferred", job_url=job_url).execute(context_of(ti))
    assert ti.xcoms.get("job_url") == (job_url and "https://vendor.example.com/j-1")


def test_the_wait_finds_its_job_if_the_event_holds_none(api: ApiServer) -> None:
    ti = TI()
    ti.pulled["job"] = JobHandle("j-1").dump()
    says(api, poll=[DONE])
    event = {"status": "callback", "message": "", "version": 2}
    assert make("deferred").resume_execution("execute_complete", {"event": event}, context_of(ti)) == [{"id": 1}]


# Trying again
@pytest.mark.parametrize("mode", MODES)
def test_a_retry_after_a_failed_fetch_resumes_the_job(api: ApiServer, mode: str) -> None:
    says(api, fetch=[reply(status=503), ROWS])
    store, fetch = Store(), {"max_consecutive_errors": 1}
    with pytest.raises(exceptions.AsyncApiUnavailable):
        run(mode, try_number(1), store, fetch=fetch)
    assert run(mode, try_number(2), store, fetch=fetch) == [{"id": 1}]
    assert api.count(POST) == 1


@pytest.mark.parametrize("mode", MODES)
def test_a_retry_after_a_failed_job_submits_another_one_with_another_key(api: ApiServer, mode: str) -> None:
    says(api, poll=[RUNNING, reply({"status": "failed", "error": {"message": "no such table"}})])
    store, submit = Store(), {"headers": {"Idempotency-Key": "{idempotency_key}"}}
    ti = try_number(1)
    with pytest.raises(exceptions.AsyncApiAttemptFailed, match="no such table") as failed:
        run(mode, ti, store, submit=submit)
    assert AirflowFailException not in failed.type.__mro__, "Airflow retries the task"
    assert (failed.value.job, failed.value.status) == ("j-1", "failed")
    assert ti.xcoms["job"]["outcome"] == "failure"
    api.respond_to(POST, reply({"id": "j-2"}))
    api.respond_to("GET /jobs/j-2", DONE)
    api.respond_to("GET /jobs/j-2/rows", ROWS)
    assert run(mode, try_number(2), store, submit=submit) == [{"id": 1}]
    keys = [each.headers["Idempotency-Key"] for each in api.requests if each.method == "POST"]
    assert len(keys) == len(set(keys)) == 2


@pytest.mark.parametrize("mode", MODES)
def test_a_retry_after_any_other_failure_of_the_wait_resumes_the_job(api: ApiServer, mode: str) -> None:
    says(api, poll=[RUNNING, reply(status=503), DONE])
    store, status = Store(), {"max_consecutive_errors": 1}
    with pytest.raises(exceptions.AsyncApiUnavailable):
        run(mode, try_number(1), store, status=status)
    assert run(mode, try_number(2), store, status=status) == [{"id": 1}]
    assert api.count(POST) == 1


def test_a_job_that_fails_when_it_is_submitted_is_submitted_again_by_a_retry(api: ApiServer) -> None:
    says(api, poll=[DONE])
    rules = [{"selector": "state", "in": "broken", "outcome": "failure"}]
    store = Store()
    api.respond_to(POST, reply({"state": "broken"}), reply({"id": "j-1"}))
    with pytest.raises(exceptions.AsyncApiAttemptFailed):
        run("poke", try_number(1), store, submit={"rules": rules})
    assert run("poke", try_number(2), store, submit={"rules": rules}) == [{"id": 1}]
    assert api.count(POST) == 2


def test_before_airflow_3_3_a_retry_after_a_failed_job_is_a_retry_of_airflow_all_the_same(api: ApiServer) -> None:
    says(api, poll=[reply({"status": "failed"})])
    with pytest.raises(exceptions.AsyncApiAttemptFailed):
        run("poke")


# In a DAG
def test_the_next_task_knows_what_the_job_provides() -> None:
    with DAG("dag", schedule=None):
        export = AsyncApiJobOperator(task_id="export", **{**STAGES, "fetch": None}, variables={"table": "orders"})
        AsyncApiFetchOperator(task_id="fetch", job=export.handle, endpoint="/{table}/{identifier}")
        with pytest.raises(UnknownVariableError, match=r"{nothing}; known: {id}, {identifier}, .*{table}"):
            AsyncApiFetchOperator(task_id="other", job=export.handle, endpoint="/{nothing}")


def test_a_stage_that_is_a_template_as_a_whole_provides_nothing_that_is_known() -> None:
    with DAG("dag", schedule=None):
        export = AsyncApiJobOperator(task_id="export", **{**STAGES, "submit": "{{ params.submit }}", "fetch": None})
        AsyncApiFetchOperator(task_id="fetch", job=export.handle, endpoint="/{anything}")


def test_strings_in_the_mappings_are_rendered(api: ApiServer) -> None:
    task = make(
        submit={"json": {"day": "{{ ds }}"}},
        status={"query_params": {"day": "{{ ds }}"}},
        fetch={"destination": "file:///lake/{{ ds }}/"},
        variables={"day": "{{ ds }}"},
    )
    task.render_template_fields({"ds": "2026-11-01"})
    assert task.explicit_params(SUBMIT)["json"] == {"day": "2026-11-01"}
    assert task.explicit_params(SUBMIT)["variables"] == {"day": "2026-11-01"}
    assert task.explicit_params(STATUS)["query_params"] == {"day": "2026-11-01"}
    assert task.fetch == {**STAGES["fetch"], "destination": "file:///lake/2026-11-01/"}


def test_it_can_be_mapped_over_variables() -> None:
    with DAG("dag", schedule=None):
        tables = EmptyOperator(task_id="tables")
        mapped = AsyncApiJobOperator.partial(task_id="wait", **STAGES).expand(variables=tables.output)
    task: Any = mapped.unmap({"variables": {"table": "orders"}})
    assert task.explicit_params(SUBMIT)["variables"] == {"table": "orders"}


def test_times_may_be_timedeltas() -> None:
    task = make(status={"poke_interval": timedelta(minutes=1), "timeout": timedelta(hours=1)})
    assert task.effective_params(STATUS)["poke_interval"] == 60


@pytest.mark.parametrize("stage", [SUBMIT, STATUS, FETCH])
def test_what_is_rendered_in_a_mapping_is_rendered_in_the_task_for_its_stage(stage: Any) -> None:
    single: Any = {SUBMIT: AsyncApiTriggerOperator, STATUS: AsyncApiSensor, FETCH: AsyncApiFetchOperator}[stage]
    of_the_task = {"asyncapi_conn_id", "job_url", "job", "submit"}
    further = set(SUBREQUESTS)
    # A form of a sensor has no files.
    files = {"files"} if stage is STATUS else set()
    assert set(single.template_fields) - of_the_task - further == stage.templated - files
