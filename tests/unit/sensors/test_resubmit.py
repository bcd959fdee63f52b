"""With three tasks, the sensor submits the next job after one has failed, and the fetch gets the last one."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.exceptions import AirflowRescheduleException
from airflow.providers.common.compat.sdk import AirflowSkipException, TaskDeferred

from airflow_provider_asyncapi import exceptions
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.sensors.asyncapi import AsyncApiSensor
from airflow_provider_asyncapi.tasks import next_job as resubmit_module
from airflow_provider_asyncapi.tasks import submission_state
from tests.unit.fake_airflow import TI, ApiServer, OwnTI, Store, context_of, reply
from tests.unit.sensors.resubmit_groups import SUBMIT, make_group

pytestmark = pytest.mark.usefixtures("connection", "run_outside_of_airflow")

POST = "POST /jobs"
RUNNING, DONE = reply({"status": "running"}), reply({"status": "done"})
FAILED = reply({"status": "failed", "code": "lost", "error": {"message": "out of memory"}})
#: The task that has submitted the first job, which the sensor gets in the handle.
SUBMITTER = {"dag_id": "dag", "run_id": "run", "task_id": "job.submit", "map_index": -1}
FIRST = JobHandle("j-1", submitted_at=time.time() - 1, task=SUBMITTER).dump()


def make(mode: str, **given: Any) -> AsyncApiSensor:
    how = {"deferrable": True} if mode == "deferred" else {"deferrable": False, "mode": mode}
    sensor = make_group(status={**how, **given.pop("status", {})}, **given).wait
    sensor.job = FIRST
    return sensor


def run(mode: str, ti: TI, store: Store | None, **given: Any) -> Any:
    """Run one try of the task, with as many deferrals or pokes as it needs; each process has a task of its own."""
    more: dict[str, Any] = {} if store is None else {"task_state_store": store}
    method, arguments, pokes = "", dict[str, Any](), 0
    while True:
        task, context = make(mode, **given), context_of(ti, **more)
        context["task_reschedule_count"] = pokes
        try:
            return task.resume_execution(method, arguments, context) if method else task.execute(context)
        except TaskDeferred as deferral:
            event = asyncio.run(first_event(deferral.trigger)).payload
            method, arguments = deferral.method_name, {**(deferral.kwargs or {}), "event": event}
        except AirflowRescheduleException:
            ti.first_poke = ti.first_poke or time.time()
            pokes += 1
            # Airflow deletes them before each poke.
            ti.xcoms.clear()


async def first_event(trigger: Any) -> Any:
    return await anext(trigger.run())


def jobs(api: ApiServer, *polls: Any) -> None:
    """Let the first job be there, answer each submit with another one, and its polls with "running" and its end."""
    api.respond_to(POST, *(reply({"id": f"j-{number}"}) for number in range(2, len(polls) + 2)))
    for number, poll in enumerate(polls, 1):
        api.respond_to(f"GET /jobs/j-{number}", RUNNING, poll)


def keys(api: ApiServer) -> list[str]:
    return [each.headers["Idempotency-Key"] for each in api.requests if each.method == "POST"]


@pytest.mark.parametrize("mode", ["poke", "deferred", "reschedule"])
def test_the_sensor_submits_the_next_job_and_hands_it_on(api: ApiServer, mode: str) -> None:
    jobs(api, FAILED, FAILED, DONE)
    ti = OwnTI()
    assert run(mode, ti, Store(), resubmit=2) == "j-3"
    assert len(set(keys(api))) == len(keys(api)) == 2
    handle = JobHandle.parse(ti.xcoms["job"])
    assert (handle.identifier, handle.outcome) == ("j-3", "success")
    assert handle.slot_of == SUBMITTER, "the last job has the slot of the first one"
    assert [each["identifier"] for each in ti.xcoms["job_attempts"]] == ["j-1", "j-2"]


@pytest.fixture
def xcoms_of_submitter(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return the XComs of the task that has submitted the first job, which Airflow keeps when the sensor is retried."""
    kept: dict[str, Any] = {}

    class KeptXCom:
        @staticmethod
        def set(key: str, value: Any, **owner: Any) -> None:
            assert owner == SUBMITTER
            kept[key] = json.loads(json.dumps(value))

    monkeypatch.setattr(submission_state, "XCom", KeptXCom)
    return kept


class OldTI(OwnTI):
    """
    Be a task instance of Airflow before 3.3.

    :param kept: the XComs of the task that has submitted the first job.
    """

    def __init__(self, kept: dict[str, Any], try_number: int = 1) -> None:
        super().__init__()
        self.kept, self.try_number, self.max_tries = kept, try_number, 3

    def xcom_pull(self, *, key: str, **given: Any) -> Any:
        return (self.kept if given.get("task_ids") == SUBMITTER["task_id"] else self.xcoms).get(key)


@pytest.mark.parametrize("mode", ["poke", "deferred", "reschedule"])
def test_the_sensor_submits_the_next_job_before_airflow_3_3_too(
    api: ApiServer, mode: str, xcoms_of_submitter: dict[str, Any]
) -> None:
    jobs(api, FAILED, FAILED, DONE)
    ti = OldTI(xcoms_of_submitter)
    assert run(mode, ti, None, resubmit=2) == "j-3"
    assert [each["identifier"] for each in ti.xcoms["job_attempts"]] == ["j-1", "j-2"]
    assert len(set(keys(api))) == len(keys(api)) == 2
    (record,) = xcoms_of_submitter.values()
    assert record["handle"]["identifier"] == "j-3"


@pytest.mark.parametrize("mode", ["poke", "deferred", "reschedule"])
def test_before_airflow_3_3_a_retry_finds_the_job_of_the_earlier_try_in_an_xcom_of_the_submit(
    api: ApiServer, mode: str, xcoms_of_submitter: dict[str, Any]
) -> None:
    jobs(api, FAILED, FAILED, DONE)
    api.respond_to("GET /jobs/j-2", reply(status=503), FAILED)
    given: dict[str, Any] = {"resubmit": 2, "status": {"max_consecutive_errors": 1}}
    with pytest.raises(exceptions.AsyncApiUnavailable):
        run(mode, OldTI(xcoms_of_submitter), None, **given)
    assert run(mode, OldTI(xcoms_of_submitter, 2), None, **given) == "j-3"
    assert len(set(keys(api))) == len(keys(api)) == 2


def test_before_airflow_3_3_tasks_of_one_submit_have_a_record_each(
    api: ApiServer, xcoms_of_submitter: dict[str, Any]
) -> None:
    for map_index in (0, 1):
        jobs(api, FAILED, DONE)
        ti = OldTI(xcoms_of_submitter)
        ti.map_index = map_index
        run("poke", ti, None, resubmit=1)
    assert len(xcoms_of_submitter) == 2


@pytest.mark.parametrize(("mode", "try_number"), [("reschedule", 1), ("poke", 2)])
def test_before_airflow_3_3_no_job_of_another_run_is_followed_by_one_that_might_be_the_second_one(
    api: ApiServer, mode: str, try_number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(FIRST, "task", {**SUBMITTER, "run_id": "other"})
    jobs(api, FAILED, DONE)
    ti = OwnTI()
    ti.try_number = try_number
    with pytest.raises(exceptions.AsyncApiJobFailed):
        run(mode, ti, None, resubmit=2)
    assert keys(api) == []


def test_the_task_fails_for_good_once_no_further_job_is_allowed(api: ApiServer) -> None:
    jobs(api, FAILED, FAILED, DONE)
    with pytest.raises(exceptions.AsyncApiJobFailed, match="out of memory") as failed:
        run("poke", OwnTI(), Store(), resubmit=1)
    assert failed.value.job == "j-2"


def test_a_retry_waits_for_the_job_that_the_earlier_try_has_submitted(api: ApiServer) -> None:
    jobs(api, FAILED, DONE)
    api.respond_to("GET /jobs/j-2", reply(status=503), DONE)
    store, given = Store(), {"resubmit": 1, "status": {"max_consecutive_errors": 1}}
    with pytest.raises(exceptions.AsyncApiUnavailable):
        run("poke", OwnTI(), store, **given)
    ti = OwnTI()
    assert run("poke", ti, store, **given) == "j-2"
    assert ti.xcoms["job"]["identifier"] == "j-2"
    assert len(keys(api)) == 1


def test_a_sensor_that_is_cleared_begins_with_the_first_job(api: ApiServer) -> None:
    jobs(api, FAILED, FAILED, DONE)
    store = Store()
    with pytest.raises(exceptions.AsyncApiJobFailed):
        run("poke", OwnTI(), store, resubmit=1)
    cleared = OwnTI()
    cleared.max_tries = 1
    assert run("poke", cleared, store, resubmit=1) == "j-3"
    assert [each["identifier"] for each in cleared.xcoms["job_attempts"]] == ["j-1"]
    assert len(set(keys(api))) == 2


@pytest.mark.parametrize("moment", ["submit_job", "store_record"])
def test_a_killed_worker_submits_no_job_twice(api: ApiServer, monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
    jobs(api, FAILED, DONE)
    store = Store()

    def kill(*_: Any) -> None:
        raise SystemExit

    with monkeypatch.context() as patched:
        patched.setattr(resubmit_module, moment, kill)
        with pytest.raises(SystemExit):
            run("poke", OwnTI(), store, resubmit=1)
    assert run("poke", OwnTI(), store, resubmit=1) == "j-2"
    assert len(keys(api)) == 1


def test_the_delay_is_waited_without_a_worker(api: ApiServer) -> None:
    jobs(api, FAILED, DONE)
    api.respond_to("GET /jobs/j-1", FAILED)
    for mode, kind in (("deferred", TaskDeferred), ("reschedule", AirflowRescheduleException)):
        store = Store()
        # The poke after that finds that the job isn't due yet.
        for _ in range(2):
            with pytest.raises(kind) as raised:
                make(mode, resubmit=1, resubmit_delay=600).execute(context_of(OwnTI(), task_state_store=store))
            ended: Any = raised.value
            due = ended.trigger.moment if mode == "deferred" else ended.reschedule_date
            assert due.timestamp() == pytest.approx(time.time() + 600, abs=60)
    assert keys(api) == []


def test_the_sensor_repairs_the_failed_job(api: ApiServer) -> None:
    jobs(api, FAILED)
    api.respond_to("GET /jobs/j-1", RUNNING, FAILED, RUNNING, DONE)
    api.respond_to("POST /jobs/j-1/repair", reply({}))
    ti = OwnTI()
    repair = {"endpoint": "/jobs/{identifier}/repair", "headers": SUBMIT["headers"]}
    on = [{"selector": "code", "in": "lost"}]
    assert run("deferred", ti, Store(), resubmit=1, repair=repair, repair_on=on, resubmit_on=on) == "j-1"
    assert (api.count(POST), api.count("POST /jobs/j-1/repair")) == (0, 1)


def test_soft_fail_skips_the_sensor_only_after_the_last_job(api: ApiServer) -> None:
    jobs(api, FAILED, FAILED)
    with pytest.raises(AirflowSkipException):
        run("poke", OwnTI(), Store(), resubmit=1, status={"soft_fail": True})
    assert len(keys(api)) == 1


def test_a_profile_of_the_group_may_set_all_of_it(
    api: ApiServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "vendor.toml").write_text('[submit]\nendpoint = "/jobs"\nidentifier = "id"\n[status]\nresubmit = 1\n')
    monkeypatch.setenv("AIRFLOW__ASYNCAPI__PROFILES_FOLDER", str(tmp_path))
    jobs(api, FAILED, DONE)
    assert run("poke", OwnTI(), Store(), profile="vendor") == "j-2"


def test_a_profile_says_how_a_job_is_repaired_and_the_dag_whether_it_is(
    api: ApiServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    repair = '[status.repair]\nendpoint = "/jobs/{identifier}/repair"\nheaders = {Idempotency-Key = "key"}\n'
    (tmp_path / "vendor.toml").write_text(f'[submit]\nendpoint = "/jobs"\nidentifier = "id"\n{repair}')
    monkeypatch.setenv("AIRFLOW__ASYNCAPI__PROFILES_FOLDER", str(tmp_path))
    jobs(api, FAILED)
    api.respond_to("GET /jobs/j-1", RUNNING, FAILED, RUNNING, FAILED, RUNNING, DONE)
    api.respond_to("POST /jobs/j-1/repair", reply({}))
    with pytest.raises(exceptions.AsyncApiJobFailed):
        run("poke", OwnTI(), Store(), profile="vendor")
    assert api.count("POST /jobs/j-1/repair") == 0
    assert run("poke", OwnTI(), Store(), profile="vendor", resubmit=1) == "j-1"
    assert api.count("POST /jobs/j-1/repair") == 1


@pytest.fixture
def connect_with_profile(
    connect: Callable[..., None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[[str], None]:
    """Set the profile of the connection, which the DAG doesn't name."""

    def connect_with(text: str) -> None:
        (tmp_path / "vendor.toml").write_text(text)
        monkeypatch.setenv("AIRFLOW__ASYNCAPI__PROFILES_FOLDER", str(tmp_path))
        connect(extra={"profile": "vendor"})

    return connect_with


@pytest.mark.parametrize("mode", ["poke", "deferred", "reschedule"])
def test_a_profile_that_only_the_connection_names_may_let_the_sensor_submit_the_next_job(
    api: ApiServer, connect_with_profile: Callable[[str], None], mode: str
) -> None:
    connect_with_profile("[status]\nresubmit = 1\n")
    jobs(api, FAILED, DONE)
    store, submit = Store(), {"json": {"run": "{{ ti.run_id }}"}}
    assert run(mode, OwnTI(), store, submit=submit) == "j-2"
    (submitted,) = (each for each in api.requests if each.method == "POST")
    assert submitted.body == b'{"run":"run"}', "its templates are rendered for this task"
    # A retry waits for the last job.
    assert run(mode, OwnTI(), store, submit=submit) == "j-2"
    assert len(keys(api)) == 1


def test_a_profile_of_the_connection_submits_no_job_that_may_be_taken_for_the_failed_one(
    api: ApiServer, connect_with_profile: Callable[[str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    connect_with_profile("[status]\nresubmit = 1\n")
    jobs(api, FAILED)
    with pytest.raises(exceptions.AsyncApiJobFailed):
        run("poke", OwnTI(), Store(), submit={"headers": {"Idempotency-Key": "{{ ti.run_id }}"}})
    assert keys(api) == []
    assert "No further job is submitted: resubmit: headers['Idempotency-Key'] is the same" in capsys.readouterr().out
