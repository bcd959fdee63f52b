"""
The request of a user to cancel a job, for the next try of the task if the process that was started for it has died.

The event that asks a process to cancel the job is gone with that process. Airflow gives the next try no event, and
deletes the XComs of the task.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_asyncapi.monitoring.xcoms import task_ids
from airflow_provider_asyncapi.tasks.submission_state import count_clears, find_lasting_xcom
from airflow_provider_asyncapi.tasks.wait_state import read_stored

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_asyncapi.core.jobs.handle import JobHandle

#: Version of the layout of the stored request; see :mod:`~.stored_fields`.
VERSION: Final = 1
#: Key of the request in the task state store (Airflow 3.3), and the beginning of the key of the XCom before that.
CANCEL_KEY: Final = "asyncapi_cancel"
_FIELDS: Final = ("generation", "message")


def dump_request(message: str, generation: int) -> dict[str, Any]:
    """
    Return the stored form of a request.

    :param message: the name of the user and the action.
    :param generation: the number that :func:`~.count_clears` returns for the task.
    """
    return {"version": VERSION, "generation": generation, "message": message}


def find_xcom(task: Mapping[str, Any], job: Mapping[str, Any]) -> tuple[dict[str, Any], str] | None:
    """
    Return the task instance and the key of the XCom that keeps the request before Airflow 3.3; None if there is none.

    :param task: the task instance that waits: ``dag_id``, ``run_id``, ``task_id`` and ``map_index``.
    :param job: the fields of the job handle that name tasks.
    """
    submitter: Any = job.get("slot_of") or job.get("task")
    return find_lasting_xcom(task, submitter, CANCEL_KEY) if isinstance(submitter, Mapping) else None


def read_cancel_request(context: Context, handle: JobHandle) -> str | None:
    """
    Return the message of a request that an earlier try of the task has received; None if there is none.

    :param handle: the job that the task waits for.
    :raises AsyncApiRetryableException: if a newer version of this provider stored it, and this version can't read it.
    """
    ti: Any = context["ti"]
    # In reschedule mode the first poke of a try looks.
    if ti.try_number == 1 or context.get("task_reschedule_count"):
        return None
    store: Any = context.get("task_state_store")
    if store is not None:
        value = store.get(CANCEL_KEY)
    elif (xcom := find_xcom(task_ids(ti), {"slot_of": handle.slot_of, "task": handle.task})) is not None:
        owner, key = xcom
        value = ti.xcom_pull(task_ids=owner["task_id"], key=key, map_indexes=owner["map_index"])
    else:
        return None
    request = read_stored(value, "the request to cancel the job", _FIELDS, version=VERSION)
    return str(request["message"]) if request.get("generation") == count_clears(ti) else None
