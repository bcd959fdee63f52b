"""After a job has failed, the task submits the next one, each once and with a key of its own."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, TaskDeferred
from airflow.sdk import DAG

from airflow_provider_asyncapi import exceptions
from airflow_provider_asyncapi.core.errors import ConfigurationError, JobFailedError
from airflow_provider_asyncapi.core.wait.plan import WaitPlan
from airflow_provider_asyncapi.operators.job import AsyncApiJobOperator
from airflow_provider_asyncapi.tasks import resubmit as resubmit_module
from airflow_provider_asyncapi.triggers.events import WaitEvent
from tests.unit.fake_airflow import TI, ApiServer, Store, context_of, reply

pytestmark = pytest.mark.usefixtures("connection", "run_outside_of_airflow")

POST = "POST /jobs"
RUNNING, DONE = reply({"status": "running"}), reply({"status": "done"})
FAILED = reply({"status": "failed", "error": {"message": "out of memory"}})
STATUS: dict[str, Any] = {
    "endpoint": "/jobs/{identifier}",
    "completion_key": "status",
    "completion_value": "done",
    "failure_value": "failed",
    "poke_interval": 0.1,
    "timeout": 20,
}


class OwnTI(TI):
    """Be a task instance that pulls what it has pushed."""

    def xcom_pull(self, *, key: str, **_: Any) -> Any:
        return self.xcoms.get(key)


def make(mode: str = "poke", *, status: dict[str, Any] | None = None, **given: Any) -> AsyncApiJobOperator:
    submit = {
        "endpoint": "/jobs",
        "identifier": "id",
        "headers": {"Idempotency-Key": "{idempotency_key}"},
        **given.pop("submit", {}),
    }
    with DAG("dag", schedule=None):
        return AsyncApiJobOperator(
            task_id="wait", deferrable=mode == "deferred", submit=submit, status={**STATUS, **(status or {})}, **given
        )


def run(mode: str, ti: TI, store: Store | None, **given: Any) -> Any:
    """Run one try of the task, with as many deferrals as it needs; each process has a task of its own."""
    more: dict[str, Any] = {} if store is None else {"task_state_store": store}
    method, arguments = "", dict[str, Any]()
    while True:
        task, context = make(mode, **given), context_of(ti, **more)
        try:
            return task.resume_execution(method, arguments, context) if method else task.execute(context)
        except TaskDeferred as deferral:
            event = asyncio.run(first_event(deferral.trigger)).payload
            method, arguments = deferral.method_name, {**(deferral.kwargs or {}), "event": event}


async def first_event(trigger: Any) -> Any:
    return await anext(trigger.run())


def jobs(api: ApiServer, *polls: Any) -> None:
    """Answer each submit with a new job, its first poll with "running", and its second with the end of the job."""
    numbers = range(1, len(polls) + 1)
    api.respond_to(POST, *(reply({"id": f"j-{number}"}) for number in numbers))
    for number, poll in zip(numbers, polls, strict=True):
        api.respond_to(f"GET /jobs/j-{number}", RUNNING, poll)


def record_sleeps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Let sleeps of the worker pass at once, and return the list that their seconds are added to."""
    slept = list[float]()
    monkeypatch.setattr("airflow_provider_asyncapi.tasks.resubmit.time.sleep", slept.append)
    return slept


def kill_at(monkeypatch: pytest.MonkeyPatch, function: str, store: Store, **given: Any) -> None:
    """Run a task whose process ends when it calls a function."""

    def kill(*_: Any) -> None:
        raise SystemExit

    with monkeypatch.context() as patched:
        patched.setattr(resubmit_module, function, kill)
        with pytest.raises(SystemExit):
            run("poke", OwnTI(), store, **{"resubmit": 1, **given})


def keys(api: ApiServer) -> list[str]:
    return [each.headers["Idempotency-Key"] for each in api.requests if each.method == "POST"]


@pytest.mark.parametrize("mode", ["poke", "deferred"])
@pytest.mark.parametrize("has_store", [True, False], ids=["Airflow 3.3", "before"])
def test_the_next_job_is_submitted_with_another_key_after_a_failure(api: ApiServer, mode: str, has_store: bool) -> None:
    jobs(api, FAILED, FAILED, DONE)
    ti = OwnTI()
    assert run(mode, ti, Store() if has_store else None, resubmit=2) == "j-3"
    assert len(keys(api)) == len(set(keys(api))) == 3
    assert [each["identifier"] for each in ti.xcoms["job_attempts"]] == ["j-1", "j-2"]
    assert {(each["status"], each["message"]) for each in ti.xcoms["job_attempts"]} == {("failed", "out of memory")}
    assert ti.xcoms["job"]["identifier"] == "j-3"


@pytest.mark.parametrize("mode", ["poke", "deferred"])
@pytest.mark.parametrize("has_store", [True, False], ids=["Airflow 3.3", "before"])
def test_the_delay_is_waited_without_a_worker_if_the_task_is_deferrable(
    api: ApiServer, monkeypatch: pytest.MonkeyPatch, mode: str, has_store: bool
) -> None:
    jobs(api, FAILED, FAILED, DONE)
    slept = record_sleeps(monkeypatch)
    monkeypatch.setattr(resubmit_module, "SHORTEST_DEFERRED_DELAY", 0.0)
    delays = [60, 120] if mode == "poke" else [0.05, 0.1]
    given: dict[str, Any] = {"resubmit": 2, "resubmit_delay": delays, "status": {"timeout": 4000}}
    assert run(mode, OwnTI(), Store() if has_store else None, **given) == "j-3"
    assert [round(each) for each in slept if each > 1] == ([60, 120] if mode == "poke" else [])
    assert len(set(keys(api))) == 3


@pytest.mark.parametrize("mode", ["poke", "deferred"])
def test_a_worker_that_is_killed_during_the_delay_submits_when_the_job_is_due(
    api: ApiServer, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    jobs(api, FAILED, DONE)
    store = Store()
    given: dict[str, Any] = {"resubmit": 1, "resubmit_delay": 600, "status": {"timeout": 4000}}
    kill_at(monkeypatch, "submit_job", store, **given)
    if mode == "poke":
        slept = record_sleeps(monkeypatch)
        assert run(mode, OwnTI(), store, **given) == "j-2"
        assert [each for each in slept if each > 1] == [pytest.approx(600, abs=60)]
    else:
        with pytest.raises(TaskDeferred) as deferral:
            make(mode, **given).execute(context_of(OwnTI(), task_state_store=store))
        assert deferral.value.trigger.moment.timestamp() == pytest.approx(time.time() + 600, abs=60)
        assert deferral.value.method_name == "execute_next_job"
        assert len(keys(api)) == 1


def test_a_task_that_is_cleared_during_the_delay_submits_a_job_at_once(
    api: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs(api, FAILED, DONE)
    store, cleared = Store(), OwnTI()
    given: dict[str, Any] = {"resubmit": 1, "resubmit_delay": 600, "status": {"timeout": 4000}}
    kill_at(monkeypatch, "submit_job", store, **given)
    slept = record_sleeps(monkeypatch)
    cleared.max_tries = 1
    assert run("poke", cleared, store, **given) == "j-2"
    assert [each for each in slept if each > 1] == []


@pytest.mark.parametrize("mode", ["poke", "deferred"])
def test_the_task_fails_once_no_further_job_is_allowed_and_a_retry_counts_anew(api: ApiServer, mode: str) -> None:
    jobs(api, FAILED, FAILED, FAILED, DONE)
    store, ti = Store(), OwnTI()
    with pytest.raises(exceptions.AsyncApiAttemptFailed, match="out of memory") as failed:
        run(mode, ti, store, resubmit=1)
    assert failed.value.job == "j-2"
    assert run(mode, OwnTI(), store, resubmit=1) == "j-4"
    assert len(set(keys(api))) == 4


def test_a_killed_worker_submits_no_job_twice(api: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs(api, FAILED, DONE)
    store = Store()

    kill_at(monkeypatch, "submit_job", store)
    assert run("poke", OwnTI(), store, resubmit=1) == "j-2"
    assert len(keys(api)) == 2, "the next try submits the job that the killed one was about to submit"


def test_a_worker_that_is_killed_before_it_stores_the_failure_finds_it_again(
    api: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.respond_to(POST, reply({"id": "j-1"}), reply({"id": "j-2"}))
    api.respond_to("GET /jobs/j-1", FAILED)
    api.respond_to("GET /jobs/j-2", DONE)
    store = Store()

    kill_at(monkeypatch, "store_record", store)
    ti = OwnTI()
    assert run("poke", ti, store, resubmit=1) == "j-2"
    assert [each["identifier"] for each in ti.xcoms["job_attempts"]] == ["j-1"]


def test_all_jobs_together_have_one_deadline(api: ApiServer) -> None:
    jobs(api, FAILED, DONE)
    ti, store = OwnTI(), Store()
    run("poke", ti, store, resubmit=1)
    started = store["asyncapi_began"]
    assert started["identifier"] == "j-2"
    assert started["at"] < ti.xcoms["job_attempts"][0]["ended_at"]


def test_a_retry_has_a_deadline_of_its_own_even_if_the_api_has_refused_the_last_job(api: ApiServer) -> None:
    refused = reply({"status": "refused"})
    api.respond_to(POST, reply({"id": "j-1"}), refused, reply({"id": "j-2"}))
    api.respond_to("GET /jobs/j-1", FAILED)
    api.respond_to("GET /jobs/j-2", DONE)
    store = Store()
    given: dict[str, Any] = {
        "resubmit": 1,
        "submit": {"rules": [{"selector": "status", "in": "refused", "outcome": "failure"}]},
    }
    with pytest.raises(exceptions.AsyncApiAttemptFailed):
        run("poke", OwnTI(), store, **given)
    ended = time.time()
    assert run("poke", OwnTI(), store, **given) == "j-2"
    assert store["asyncapi_began"]["at"] >= ended


def test_each_job_is_polled_for_the_first_time_after_the_initial_delay(api: ApiServer) -> None:
    api.respond_to(POST, reply({"id": "j-1"}), reply({"id": "j-2"}))
    task, ti = make("deferred", resubmit=1, status={"initial_delay": 30}), OwnTI()
    store = Store()
    context = context_of(ti, task_state_store=store)
    with pytest.raises(TaskDeferred):
        task.execute(context)
    event = WaitEvent.of_error(JobFailedError("it has failed").set_job("j-1", "failed")).dump()
    with pytest.raises(TaskDeferred) as deferral:
        make("deferred", resubmit=1, status={"initial_delay": 30}).execute_complete(context, event)
    state = deferral.value.trigger.serialize()[1]["wait"]
    assert state["handle"]["identifier"] == "j-2"
    assert state["next_poll"] == pytest.approx(time.time() + 30, abs=20)
    assert api.count("GET /jobs/j-2") == 0


def test_no_job_is_submitted_if_the_delay_lasts_beyond_the_deadline(api: ApiServer) -> None:
    jobs(api, FAILED)
    with pytest.raises(exceptions.AsyncApiAttemptFailed):
        run("poke", OwnTI(), Store(), resubmit=1, resubmit_delay=60)
    assert len(keys(api)) == 1


@pytest.mark.parametrize("mode", ["poke", "deferred"])
@pytest.mark.parametrize("resubmit", [0, 2])
def test_no_job_is_submitted_beside_one_whose_status_is_not_in_a_closed_list(
    api: ApiServer, mode: str, resubmit: int
) -> None:
    jobs(api, reply({"status": "paused"}))
    ti, store = OwnTI(), Store()
    with pytest.raises(exceptions.AsyncApiUnknownStatus, match="none of the given values") as failed:
        run(mode, ti, store, resubmit=resubmit, status={"running_value": "running"})
    assert isinstance(failed.value, AirflowFailException), "Airflow doesn't retry"
    jobs(api, DONE)
    assert run(mode, ti, store, resubmit=resubmit, status={"running_value": "running"}) == "j-1"
    assert len(keys(api)) == 1


@pytest.mark.parametrize("code", [400, 404])
def test_a_refused_request_is_no_failure_of_the_job(api: ApiServer, code: int) -> None:
    jobs(api, reply(status=code))
    with pytest.raises(exceptions.AsyncApiRejected):
        run("poke", OwnTI(), Store(), resubmit=2)
    assert len(keys(api)) == 1


@pytest.mark.parametrize("mode", ["poke", "deferred"])
def test_another_job_is_submitted_only_after_failures_that_a_rule_matches(api: ApiServer, mode: str) -> None:
    lost = reply({"status": "failed", "code": "node lost"})
    jobs(api, lost, reply({"status": "failed", "code": "bad query"}))
    with pytest.raises(exceptions.AsyncApiJobFailed) as failed:
        run(mode, OwnTI(), Store(), resubmit=5, resubmit_on=[{"selector": "code", "in": "node lost"}])
    assert (failed.value.job, failed.value.rerun) == ("j-2", "never")
    assert AirflowFailException in failed.type.__mro__, "a retry of the task would submit another job"
    assert len(keys(api)) == 2


def test_the_rules_may_come_from_a_profile_and_name_what_the_wait_captures(
    api: ApiServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "vendor.toml").write_text(
        """
        [status]
        capture = {"limit" = "limit"}
        resubmit = 1
        resubmit_on = [{"selector" = "used", "gt" = "{limit}"}]
        """
    )
    monkeypatch.setenv("AIRFLOW__ASYNCAPI__PROFILES_FOLDER", str(tmp_path))
    jobs(api, reply({"status": "failed", "limit": 5, "used": 7}), DONE)
    assert run("poke", OwnTI(), Store(), profile="vendor") == "j-2"


REPAIR = {
    "endpoint": "/jobs/{identifier}/repair",
    "headers": {"Idempotency-Key": "{idempotency_key}"},
    "json": {"part": "{part}"},
}
REPAIR_PLAINLY = {"endpoint": "/jobs/{identifier}/repair"}
REPAIRING: dict[str, Any] = {"resubmit": 2, "repair": REPAIR, "status": {"capture": {"part": "part"}}}


@pytest.mark.parametrize("mode", ["poke", "deferred"])
@pytest.mark.parametrize("has_store", [True, False], ids=["Airflow 3.3", "before"])
def test_a_failed_job_is_repaired_with_what_the_wait_has_captured_and_replaced_if_the_api_refuses(
    api: ApiServer, mode: str, has_store: bool
) -> None:
    failed = reply({"status": "failed", "part": 3})
    api.respond_to(POST, reply({"id": "j-1"}), reply({"id": "j-2"}))
    api.respond_to("GET /jobs/j-1", RUNNING, failed, RUNNING, failed)
    api.respond_to("POST /jobs/j-1/repair", reply({}), reply({"error": "too often"}, 409))
    api.respond_to("GET /jobs/j-2", RUNNING, DONE)
    ti = OwnTI()
    assert run(mode, ti, Store() if has_store else None, **REPAIRING) == "j-2"
    assert (api.count(POST), api.count("POST /jobs/j-1/repair")) == (2, 2)
    assert {each.body for each in api.requests if each.path.endswith("/repair")} == {b'{"part":3}'}
    assert [(each["identifier"], each["how"]) for each in ti.xcoms["job_attempts"]] == [
        ("j-1", "submit"),
        ("j-1", "repair"),
    ]
    assert len(set(keys(api))) == 4, "no two requests have the same idempotency key"


def test_only_failures_that_a_rule_matches_are_repaired(api: ApiServer) -> None:
    api.respond_to(POST, reply({"id": "j-1"}), reply({"id": "j-2"}))
    api.respond_to("GET /jobs/j-1", reply({"status": "failed", "part": 3, "code": "lost"}), FAILED)
    api.respond_to("POST /jobs/j-1/repair", reply({}))
    api.respond_to("GET /jobs/j-2", DONE)
    ti = OwnTI()
    assert run("poke", ti, Store(), **REPAIRING, repair_on=[{"selector": "code", "in": "lost"}]) == "j-2"
    assert [each["how"] for each in ti.xcoms["job_attempts"]] == ["submit", "repair"]


def test_a_retry_of_the_task_repairs_the_job_that_has_failed_in_the_earlier_try(api: ApiServer) -> None:
    api.respond_to(POST, reply({"id": "j-1"}))
    api.respond_to("GET /jobs/j-1", reply({"status": "failed", "part": 3}), RUNNING, DONE)
    api.respond_to("POST /jobs/j-1/repair", reply({}))
    store, given = Store(), {**REPAIRING, "resubmit": None}
    with pytest.raises(exceptions.AsyncApiAttemptFailed):
        run("poke", OwnTI(), store, **given)
    assert run("poke", OwnTI(), store, **given) == "j-1"
    assert (api.count(POST), api.count("POST /jobs/j-1/repair")) == (1, 1)


def test_a_worker_that_is_killed_before_the_repair_leaves_it_to_the_next_try(
    api: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.respond_to(POST, reply({"id": "j-1"}))
    api.respond_to("GET /jobs/j-1", reply({"status": "failed", "part": 3}), RUNNING, DONE)
    api.respond_to("POST /jobs/j-1/repair", reply({}))
    store = Store()
    kill_at(monkeypatch, "submit_job", store, **REPAIRING)
    assert run("poke", OwnTI(), store, **REPAIRING) == "j-1"
    assert (api.count(POST), api.count("POST /jobs/j-1/repair")) == (1, 1)


def test_a_status_that_is_not_in_a_closed_list_is_not_repaired(api: ApiServer) -> None:
    api.respond_to(POST, reply({"id": "j-1"}), reply({"id": "j-2"}))
    api.respond_to("GET /jobs/j-1", reply({"status": "paused", "part": 1}))
    store = Store()
    given = {**REPAIRING, "status": {**REPAIRING["status"], "running_value": "running"}}
    with pytest.raises(exceptions.AsyncApiUnknownStatus):
        run("poke", OwnTI(), store, **given)
    assert len(api.requests) == 2, "no request but the submit and the poll"


def test_the_triggerer_gets_the_rules_and_not_the_request_of_the_repair(api: ApiServer) -> None:
    jobs(api, FAILED)
    with pytest.raises(TaskDeferred) as deferral:
        make("deferred", **REPAIRING, repair_on=[{"selector": "a", "in": 1}]).execute(context_of(OwnTI()))
    spec = deferral.value.trigger.serialize()[1]["spec"]
    assert spec["repair_on"] == [{"selector": "a", "in": 1}]
    assert "repair" not in spec
    WaitPlan.parse(spec)


def test_each_failed_job_is_removed_from_the_api(api: ApiServer) -> None:
    jobs(api, FAILED, DONE)
    api.respond_to("DELETE /jobs/j-1", reply(status=204))
    cleanup = {"endpoint": "/jobs/{identifier}", "method": "DELETE"}
    assert run("poke", OwnTI(), Store(), resubmit=1, status={"cleanup": cleanup, "cleanup_on": "failure"}) == "j-2"
    assert api.count("DELETE /jobs/j-1") == 1


def test_a_kill_after_the_failure_cancels_nothing(api: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs(api, FAILED)
    cancel = {"endpoint": "/jobs/{identifier}/cancel"}
    task = make(resubmit=1, status={"cancel": cancel})

    def kill(*_: Any) -> None:
        task.on_kill()
        raise SystemExit

    monkeypatch.setattr(resubmit_module, "submit_job", kill)
    with pytest.raises(SystemExit):
        task.execute(context_of(OwnTI(), task_state_store=Store()))
    assert api.count("POST /jobs/j-1/cancel") == 0


def test_without_resubmit_on_retry_airflow_does_not_retry_the_task(api: ApiServer) -> None:
    jobs(api, FAILED)
    with pytest.raises(exceptions.AsyncApiJobFailed) as failed:
        run("poke", OwnTI(), Store(), resubmit_on_retry=False)
    assert AirflowFailException in failed.type.__mro__


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"resubmit": "2"}, "resubmit: has to be the number of further jobs"),
        ({"resubmit": 1, "resubmit_delay": -1}, "resubmit_delay: has to be a number of seconds"),
        ({"resubmit_delay": "soon"}, "task 'wait': resubmit_delay"),
        ({"resubmit_on": [{"selector": "a"}]}, r"task 'wait': resubmit_on\[0\]: has to have a selector and one of"),
        ({"resubmit_on": [{"selector": "a", "in": "{b}"}]}, r"nothing sets the variable \{b\}"),
        ({"resubmit": 1, "repair": {"endpoint": "/repair"}}, "task 'wait': repair: the request has to name the failed"),
        ({"resubmit": 1, "repair": {"endpoint": "/{id_of_run}"}}, r"nothing sets the variable \{id_of_run\}"),
        ({"repair": REPAIR_PLAINLY, "resubmit_on_retry": False}, "repair: has no effect, since resubmit is 0"),
        ({"resubmit": 1, "repair_on": [{"selector": "a", "in": 1}]}, "repair_on: needs repair"),
        ({"resubmit": 1, "repair": REPAIR_PLAINLY, "repair_on": 3}, "repair_on: has to be a list of rules"),
        (
            {"repair": REPAIR_PLAINLY, "submit": {"callback": True, "json": {"url": "{callback_url}"}}},
            "submit: repair: isn't supported with callback",
        ),
        ({"status": {"resubmit": 2}}, "status: resubmit: is an argument of the task itself"),
        (
            {"resubmit": 1, "submit": {"callback": True, "json": {"url": "{callback_url}"}}},
            "submit: resubmit: isn't supported with callback",
        ),
        (
            {"resubmit": 1, "submit": {"lookup": {"endpoint": "/jobs/latest"}}},
            "submit: resubmit: the request in lookup may find the failed job",
        ),
    ],
)
def test_mistakes_fail_when_the_dag_is_parsed(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        make(**given)


def test_a_lookup_by_the_key_of_the_job_is_allowed() -> None:
    make(resubmit=1, submit={"lookup": {"endpoint": "/jobs?key={idempotency_key}"}})
