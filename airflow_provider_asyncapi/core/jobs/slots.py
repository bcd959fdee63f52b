"""
Slots: permissions to have a job run remotely, for connections that limit the number of their active jobs.

A task that is about to submit pushes a :class:`SlotRequest` as XCom, and polls Airflow's API server until it grants the
slot. Only the API server sees the requests of all tasks, so only it can count them.
"""

from __future__ import annotations

import dataclasses
import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from airflow_provider_asyncapi.core.connection.api import Api
from airflow_provider_asyncapi.core.effects import Flow, Log, Sleep
from airflow_provider_asyncapi.core.errors import RequestRejectedError, ResponseError
from airflow_provider_asyncapi.core.http.messages import Request, Response
from airflow_provider_asyncapi.core.json_values import JsonValue, as_number
from airflow_provider_asyncapi.core.requests.retries import send_with_retries
from airflow_provider_asyncapi.core.requests.schedule import PollSchedule

#: Path on Airflow's API server, followed by the id of the task instance.
PATH: Final = "/asyncapi/slots"
#: The retries while the API server is away, for about a quarter of an hour.
_RETRY_SCHEDULE = PollSchedule(interval=5.0, max_errors=20)
#: Shortest and longest pause between two polls, in seconds. The first task in the queue polls most often, so that the
#: API server gets fewer than ten requests per second from a thousand waiting tasks.
_SHORTEST_PAUSE, _LONGEST_PAUSE = 3.0, 300.0
#: What to do about the status codes with which the API server refuses a slot.
_ADVICE: Final[Mapping[int, str]] = {
    HTTPStatus.NOT_FOUND: (
        "Airflow's API server has no slots for max_active_jobs. Install the same version of airflow-provider-asyncapi"
        " there, and check that [asyncapi] api_server_url (or [api] base_url) is its address"
    ),
    HTTPStatus.CONFLICT: (
        "Airflow's API server can't read the request for a slot, which is an XCom, because a custom XCom backend stores"
        " it outside of Airflow's database. Configure the backend to keep values below 1 KiB in the database"
        " ([common.io] xcom_objectstorage_threshold), or limit the jobs by a pool instead of max_active_jobs"
    ),
    HTTPStatus.GONE: "the task doesn't wait for a slot any more: it has ended, or was cleared or retried meanwhile",
}
_UNKNOWN_ANSWER: Final = (
    "this isn't the answer of Airflow's API server to a request for a slot of max_active_jobs. Check that [asyncapi]"
    " api_server_url (or [api] base_url) is its address, and that no proxy answers instead"
)


@dataclass(frozen=True, slots=True)
class SlotRequest:
    """
    The request of a task instance for a slot, as it is stored.

    :param limit: number of jobs of the connection that may be active at the same time.
    :param requested_at: time of the request, in seconds since the epoch; the earliest request gets the next slot.
    :param granted_at: time since which the task has the slot, in seconds since the epoch; None if it waits.
    :param ends_with_task: whether the job has ended when the task has; if not, another task waits for the job.
    """

    limit: int
    requested_at: float
    granted_at: float | None = None
    ends_with_task: bool = True

    @classmethod
    def parse(cls, given: Any) -> SlotRequest | None:
        """Parse a stored request; return None if it isn't one, since any task can push XComs."""
        if not isinstance(given, Mapping):
            return None
        limit, requested_at, granted_at = (
            as_number(given.get(name)) for name in ("limit", "requested_at", "granted_at")
        )
        if limit is None or limit < 1 or requested_at is None:
            return None
        return cls(int(limit), requested_at, granted_at, given.get("ends_with_task") is not False)

    def dump(self) -> dict[str, JsonValue]:
        """Return the request as plain data."""
        return dataclasses.asdict(self)


def make_slot_key(conn_id: str) -> str:
    """Return the end of the XCom key of all requests for slots of a connection; ids may be longer than XCom keys."""
    return hashlib.sha256(conn_id.encode()).hexdigest()[:32]


def wait_for_slot(airflow: Api, task_instance: str) -> Flow[None]:
    """
    Poll Airflow's API server until it has granted a slot to a task instance.

    :param airflow: the API server.
    :param task_instance: id of the task instance, which has stored a :class:`SlotRequest`.
    :raises UnavailableError: if the API server has been away for a quarter of an hour.
    :raises RequestRejectedError: if it can't grant a slot to the task instance.
    """
    request = Request("POST", f"{airflow.settings.base_url}{PATH}/{task_instance}")
    shown: tuple[Any, Any] | None = None
    while True:
        response = yield from send_with_retries(airflow, request, _RETRY_SCHEDULE)
        answer = _read_answer(request, response)
        limit, position = answer["limit"], answer["position"]
        if answer["granted"]:
            yield Log(logging.INFO, f"Got one of {limit} slots for active jobs")
            return
        if (limit, position) != shown:
            shown = limit, position
            yield Log(
                logging.INFO,
                f"Waiting for one of {limit} slots for active jobs (max_active_jobs of the connection);"
                f" position in the queue: {position}",
            )
        pause = min(max(float(position), _SHORTEST_PAUSE), _LONGEST_PAUSE)
        yield Sleep(pause * (0.8 + 0.4 * airflow.rng()))


def _read_answer(request: Request, response: Response) -> Mapping[str, Any]:
    advice = _ADVICE.get(response.status, _UNKNOWN_ANSWER)
    if response.status == HTTPStatus.OK:
        try:
            answer = response.json
        except ResponseError:
            answer = None
        if isinstance(answer, Mapping) and {"granted", "limit", "position"} <= answer.keys():
            return answer
    raise RequestRejectedError(f"{request} answered {response.status}: {advice}")
