"""Store the request of a user to cancel a job, so that the next try of the task finds it if a worker dies."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_asyncapi.airflow_private.database import TaskScope, get_state_backend
from airflow_provider_asyncapi.plugins.stored_callbacks import write_xcom
from airflow_provider_asyncapi.tasks.cancel_request import CANCEL_KEY, dump_request, find_xcom
from airflow_provider_asyncapi.tasks.submission_state import count_clears

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from airflow_provider_asyncapi.airflow_private.database import TaskInstance


def store_cancel_request(
    session: Session, ti: TaskInstance, task: dict[str, Any], job: Mapping[str, Any], message: str
) -> None:
    """
    Store the request of a user for the tries of a task until it is cleared.

    Before Airflow 3.3 the next try finds it only if another task of the DAG run has submitted the job.

    :param task: the task instance: ``dag_id``, ``run_id``, ``task_id`` and ``map_index``.
    :param job: the job handle as plain data; empty if there is none.
    :param message: the name of the user and the action.
    """
    request = dump_request(message, count_clears(ti))
    if TaskScope is not None:
        get_state_backend().set(TaskScope(**task), CANCEL_KEY, json.dumps(request), session=session)
    elif (xcom := find_xcom(task, job)) is not None:
        write_xcom(session, *xcom, request)
