"""What the history of a job says of an end of the wait that isn't the job's."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException

from airflow_provider_asyncapi import exceptions
from airflow_provider_asyncapi.core.errors import AsyncApiError, DeadlineExceededError, JobStalledError
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.triggers.events import WaitEvent
from tests.unit.airflow_storage import store_event
from tests.unit.fake_airflow import TI, ApiServer, context_of, reply
from tests.unit.sensors.modes import POLL, make_sensor, running

pytestmark = pytest.mark.usefixtures("connection", "run_outside_of_airflow")

EARLIER = {"at": "2026-03-01T12:00:00+00:00", "kind": "status", "status": "running"}
CANCEL = {"method": "DELETE", "endpoint": "/jobs/{identifier}"}


def end(error: AsyncApiError, *, is_part: bool = False, **given: Any) -> list[dict[str, Any]]:
    """
    Resume the task after this error of the trigger; return the history.

    :param is_part: whether the history is a part of the summary of the wait, as before its first change.
    """
    ti = TI()
    history = {"entries": [EARLIER]}
    ti.pulled = {"job_wait": {"history": history}} if is_part else {"job_history": history}
    event = WaitEvent.of_error(error.set_job("j-1", "running"), JobHandle("j-1", status="running")).dump()
    with pytest.raises(AirflowException):
        make_sensor("deferred", **given).resume_execution("execute_complete", store_event(event), context_of(ti))
    return list(ti.xcoms.get("job_history", {"entries": [EARLIER]})["entries"])


@pytest.mark.parametrize(
    ("kind", "told", "reason"),
    [
        (DeadlineExceededError, "deadline", "The job wasn't done in time"),
        (JobStalledError, "stalled", "Status and progress unchanged for too long"),
    ],
)
@pytest.mark.parametrize(
    ("cancellation", "result"),
    [
        ("the API has accepted the cancel", "the API has accepted the cancel"),
        (None, "there is no cancel request, so it may still be running"),
    ],
)
def test_an_end_by_the_deadline_or_a_stall_says_when_it_was_and_how_the_job_was_cancelled(
    kind: type[AsyncApiError], told: str, reason: str, cancellation: str | None, result: str
) -> None:
    error = kind("The text of the error.")
    error.ended_at, error.cancellation = 1_772_366_400.0, cancellation
    assert end(error) == [
        EARLIER,
        {"at": "2026-03-01T12:00:00+00:00", "kind": told, "status": "running", "message": f"{reason}: {result}"},
    ]


def test_a_skip_instead_of_the_failure_is_told_too() -> None:
    error = DeadlineExceededError("The text of the error.")
    error.ended_at = 1_772_366_400.0
    assert [each["kind"] for each in end(error, soft_fail=True)] == ["status", "deadline"]


def test_the_history_continues_that_in_the_summary_of_the_wait() -> None:
    error = DeadlineExceededError("The text of the error.")
    error.ended_at = 1_772_366_400.0
    assert [each["kind"] for each in end(error, is_part=True)] == ["status", "deadline"]


def test_an_error_of_which_the_time_is_unknown_has_no_entry() -> None:
    assert end(DeadlineExceededError("Stored by another version of this provider.")) == [EARLIER]


def test_a_wait_on_a_worker_tells_its_end_as_well(api: ApiServer) -> None:
    api.respond_to(POLL, running(), running(), reply({"status": "stopped"}))
    api.respond_to("DELETE /jobs/j-1", reply(None, 204))
    ti = TI()
    with pytest.raises(exceptions.AsyncApiTimeout):
        make_sensor("poke", cancel=CANCEL, max_iterations=1).execute(context_of(ti))
    # The poll before was published, and is in the XCom by then.
    last = ti.xcoms["job_history"]["entries"][-1]
    assert last["kind"] == "deadline"
    assert last["message"].startswith("The job wasn't done in time: the API has accepted the cancel")
