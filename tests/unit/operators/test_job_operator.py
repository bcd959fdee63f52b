"""One task for the whole job does what the three tasks do: it submits once, waits, and fetches."""

from __future__ import annotations

import asyncio
import importlib
import json
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowFailException,
    AirflowSkipException,
    DownstreamTasksSkipped,
    TaskDeferred,
)
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, Asset
from airflow.triggers.base import TaskSuccessEvent

from airflow_provider_asyncapi import exceptions
from airflow_provider_asyncapi.airflow_private.versions import HAS_TRIGGER_ON_KILL
from airflow_provider_asyncapi.core.callbacks.calls import ReceivedCallback, dump_callbacks
from airflow_provider_asyncapi.core.errors import ConfigurationError, UnknownVariableError
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.outcome import RERUN_PARAMETERS
from airflow_provider_asyncapi.monitoring.xcoms import CALLS_KEY, POLL_KEY, WAIT_KEY
from airflow_provider_asyncapi.operators.asyncapi import AsyncApiFetchOperator
from airflow_provider_asyncapi.operators.job import AsyncApiJobOperator
from airflow_provider_asyncapi.tasks.stages import FETCH, STATUS, SUBMIT
from airflow_provider_asyncapi.triggers import cancellation
from airflow_provider_asyncapi.triggers.events import WaitEvent
from tests.unit.fake_airflow import TI, ApiServer, Store, Supervisor, context_of, reply

pytestmark = pytest.mark.usefixtures("connection", "run_outside_of_airflow")

POST, POLL, GET, CANCEL = "POST /jobs", "GET /jobs/j-1", "GET /jobs/j-1/rows", "POST /jobs/j-1/cancel"
STAGES: dict[str, Any] = {
    "submit": {"endpoint": "/jobs", "identifier": "id"},
    "status": {
        "endpoint": "/jobs/{identifier}",
        "completion_key": "status",
        "completion_value": "done",
        "failure_value": "failed",
        "no_data_value": "empty",
        "poke_interval": 0.1,
        "timeout": 20,
    },
    "fetch": {"endpoint": "/jobs/{identifier}/rows"},
}
RUNNING, DONE, ROWS = reply({"status": "running"}), reply({"status": "done"}), reply([{"id": 1}])
MODES = ("deferred", "poke")
needs_trigger_end = pytest.mark.skipif(not HAS_TRIGGER_ON_KILL, reason="needs Airflow 3.3")


def make(mode: str = "poke", **given: Any) -> AsyncApiJobOperator:
    """Make the task; a mapping is added to that of its stage, None leaves the stage out."""
    stages: dict[str, Any] = {
        name: None if name in given and given[name] is None else {**usual, **(given.pop(name, None) or {})}
        for name, usual in STAGES.items()
    }
    given = {name: value for name, value in given.items() if name not in STAGES}
    with DAG("dag", schedule=None):
        task = AsyncApiJobOperator(task_id="wait", deferrable=mode == "deferred", **stages, **given)
        task >> [EmptyOperator(task_id="next"), EmptyOperator(task_id="always", trigger_rule="all_done")]
    return task


def run(mode: str, ti: TI | None = None, store: Store | None = None, **given: Any) -> Any:
    """Run one try of the task as Airflow does; deferred, the trigger goes through the database."""
    ti = TI() if ti is None else ti
    more = {} if store is None else {"task_state_store": store}
    try:
        return make(mode, **given).execute(context_of(ti, **more))
    except TaskDeferred as deferral:
        event = asyncio.run(event_of(deferral.trigger)).payload
        arguments = {**(deferral.kwargs or {}), "event": event}
        return make(mode, **given).resume_execution(deferral.method_name, arguments, context_of(ti, **more))


async def event_of(trigger: Any, task_instance: Any = None) -> Any:
    from airflow.serialization.serialized_objects import BaseSerialization

    path, kwargs = trigger.serialize()
    module, _, name = path.rpartition(".")
    stored = BaseSerialization.deserialize(BaseSerialization.serialize(kwargs))
    rebuilt = getattr(importlib.import_module(module), name)(**stored)
    rebuilt.task_instance = task_instance
    (event,) = [event async for event in rebuilt.run()]
    return event


class Events:
    """Return the event of any outlet; assets have no hash in Airflow 3.1."""

    def __init__(self) -> None:
        self.event = SimpleNamespace(extra={})

    def __getitem__(self, _: Any) -> Any:
        return self.event


def try_number(number: int, retries: int = 2) -> TI:
    ti = TI()
    ti.try_number, ti.max_tries = number, retries
    return ti


def says(api: ApiServer, *, poll: Any = (RUNNING, DONE), fetch: Any = (ROWS,)) -> None:
    api.respond_to(POST, reply({"id": "j-1"}))
    api.respond_to(POLL, *poll)
    api.respond_to(GET, *fetch)


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
    assert POLL_KEY in ti.xcoms


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


# Mistakes


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"submit": {"idntifier": "x"}},
            r"submit: idntifier: .* did you mean identifier\?",
        ),
        (
            {"submit": {"identifier": None, "identifiers": "x"}},
            "submit: identifiers: this task waits for one job; take",
        ),
        ({"status": {"failure_values": "x"}}, r"status: failure_values: .* did you mean failure_value\?"),
        ({"fetch": {"destinationx": "x"}}, r"fetch: destinationx: .* did you mean destination\?"),
        ({"status": {"mode": "reschedule"}}, "status: mode: isn't an argument of status"),
        ({"fetch": {"params": {}}}, "fetch: params: is called query_params here"),
        ({"status": {"retries": 3}}, "status: retries: is an argument of the task itself, not of status"),
        ({"fetch": {"profile": "x"}}, "fetch: profile: is an argument of the task itself"),
        ({"status": {"variables": {}}}, "status: variables: is an argument of the task itself"),
        ({"fetch": {"job": "j-1"}}, "fetch: job: the task submits the job itself"),
        ({"submit": {"rules": 3}}, "submit: rules"),
        ({"status": {"timeout": -1}}, "status: timeout: has to be a number of seconds"),
        ({"status": {"end_from_trigger": True}}, "status: end_from_trigger: needs deferrable=True"),
        ({"fetch": {"output_type": "zip"}}, "fetch: destination"),
        ({"fetch": {"endpoint": "/{nothing}"}}, r"fetch: endpoint: .* nothing sets the variable {nothing}"),
        ({"status": {"endpoint": "/{part}", "capture": {"part": "p"}}}, "status: endpoint"),
    ],
)
def test_a_mistake_in_a_mapping_is_named_when_the_dag_is_parsed(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=f"task 'wait': {message}"):
        make(**given)


@pytest.mark.parametrize("stage", ["submit", "status", "fetch"])
def test_what_is_no_mapping_is_refused(stage: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{stage}: has to be a mapping of arguments, not list"):
        AsyncApiJobOperator(task_id="wait", **{**STAGES, stage: []})


@pytest.mark.parametrize("stage", [{"status": {}}, {"fetch": {}, "fetch_in_trigger": True}])
def test_a_secret_that_would_be_stored_with_the_trigger_is_refused(stage: dict[str, Any]) -> None:
    (name, *_) = stage
    secret = {name: {"headers": {"Authorization": "Bearer planted"}}}
    with pytest.raises(ConfigurationError, match=f"{name}: headers: 'Authorization' looks like a secret"):
        make("deferred", **{**stage, **secret})


def test_a_mistake_in_a_template_is_found_before_a_job_is_submitted(api: ApiServer) -> None:
    for stage, wrong in (("status", {"nothing": 1}), ("fetch", {"nothing": 1}), ("fetch", {"rules": 3})):
        task = AsyncApiJobOperator(task_id="wait", **{**STAGES, stage: "{{ params.described }}"})
        setattr(task, stage, wrong)
        with pytest.raises(exceptions.AsyncApiConfigurationError):
            task.execute(context_of(TI()))
    assert not api.requests


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
def test_a_mapping_takes_the_arguments_of_the_task_for_its_stage(stage: Any) -> None:
    import inspect

    from airflow_provider_asyncapi.operators.asyncapi import AsyncApiTriggerOperator
    from airflow_provider_asyncapi.sensors.asyncapi import AsyncApiSensor

    single: Any = {SUBMIT: AsyncApiTriggerOperator, STATUS: AsyncApiSensor, FETCH: AsyncApiFetchOperator}[stage]
    own = set(inspect.signature(single.__init__).parameters) - {"self", "kwargs"}
    of_the_task = {"asyncapi_conn_id", "profile", "job_url", "job", "deferrable", "on_warning_callback"}
    of_the_task |= {"submit", *RERUN_PARAMETERS}
    assert own - of_the_task == set(stage.arguments) - {"soft_fail"}
    further = {"prepare", "start", "lookup", "cancel", "cleanup", "batch", "locate", "logs"}
    further |= {"status_details", "failure_details"}
    # A form of a sensor has no files.
    files = {"files"} if stage is STATUS else set()
    assert set(single.template_fields) - of_the_task - further == stage.templated - files


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
    monkeypatch.setattr(cancellation, "_CHECK_INTERVAL", 0.0)
    supervisor.task_states = {"run": {"wait": state}}
    supervisor.xcoms[WAIT_KEY] = summary
    job = JobHandle("j-1", task={"dag_id": "dag", "run_id": "run", "task_id": "wait", "map_index": -1})
    found = asyncio.run(cancellation.reason_to_cancel(TI(), job, is_last_try=last_try))
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


def test_errors_are_those_of_airflow(api: ApiServer) -> None:
    api.respond_to(POST, reply({"error": "no"}, 422))
    with pytest.raises(AirflowException) as refused:
        run("poke")
    assert type(refused.value) is exceptions.AsyncApiRejected


@pytest.mark.parametrize(
    ("stage", "given", "message"),
    [
        ("submit", {"method": "FLY"}, "submit: method 'FLY' isn't one of"),
        ("submit", {"rules": 7}, "submit: rules: has to be a list of rules"),
        ("submit", {"start": {"method": "FLY"}}, "submit: start: method 'FLY' isn't one of"),
        ("status", {"method": "FLY"}, "status: status request: method 'FLY' isn't one of"),
        ("fetch", {"method": "FLY"}, "fetch: method 'FLY' isn't one of"),
        ("fetch", {"rules": 7}, "fetch.rules: has to be a list of rules"),
        ("fetch", {"locate": {"method": "FLY"}}, "fetch: locate: method 'FLY' isn't one of"),
    ],
)
def test_an_error_names_the_stage_once(stage: str, given: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {stage: {"endpoint": "/x", **given}}
    with pytest.raises(ConfigurationError) as caught:
        make(**arguments)
    assert str(caught.value).startswith(f"task 'wait': {message}")
