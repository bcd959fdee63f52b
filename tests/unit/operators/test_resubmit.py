"""After a job has failed, the task submits the next one, each once and with a key of its own."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, TaskDeferred

from airflow_provider_asyncapi import exceptions
from airflow_provider_asyncapi.core.errors import JobFailedError
from airflow_provider_asyncapi.monitoring import metrics
from airflow_provider_asyncapi.tasks import next_job as resubmit_module
from airflow_provider_asyncapi.triggers.events import WaitEvent
from tests.unit.fake_airflow import ApiServer, OwnTI, Store, context_of, reply
from tests.unit.operators.rerun_jobs import DONE, FAILED, POST, jobs, keys, kill_at, make, run

pytestmark = pytest.mark.usefixtures("connection", "run_outside_of_airflow")


def record_sleeps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Let sleeps of the worker pass at once, and return the list that their seconds are added to."""
    slept = list[float]()
    monkeypatch.setattr("airflow_provider_asyncapi.tasks.next_job.time.sleep", slept.append)
    return slept


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
def test_each_job_that_follows_a_failed_one_is_counted(
    api: ApiServer, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    counted: list[str] = []
    monkeypatch.setattr(metrics, "count", lambda name, *_: counted.append(name))
    jobs(api, FAILED, FAILED, FAILED)
    with pytest.raises(exceptions.AsyncApiAttemptFailed):
        run(mode, OwnTI(), Store(), resubmit=2)
    assert counted.count("asyncapi.resubmits") == 2


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


def test_a_lookup_by_the_key_of_the_job_is_allowed() -> None:
    make(resubmit=1, submit={"lookup": {"endpoint": "/jobs?key={idempotency_key}"}})
