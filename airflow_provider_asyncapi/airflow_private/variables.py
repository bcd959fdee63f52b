"""Read and write Airflow's Variables from code that may block: on a worker, or on a thread of the triggerer."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from airflow.sdk.exceptions import AirflowRuntimeError
from airflow.sdk.execution_time.comms import ErrorResponse, GetVariable, PutVariable

from airflow_provider_asyncapi.airflow_private.supervisor import send_blocking, send_to_supervisor

_NOT_FOUND = "VARIABLE_NOT_FOUND"
#: The supervisor of Airflow 3.1 answers one thread at a time.
_lock = threading.Lock()


def load_variable(key: str, loop: asyncio.AbstractEventLoop | None) -> str | None:
    """
    Return the value of a Variable; None if there is no such Variable.

    :param loop: the running event loop; None if the process has none.
    :raises AirflowUnavailableError: if Airflow can't answer now.
    :raises NoSupervisorError: if no task and no triggerer runs here.
    """
    try:
        answer = _send(GetVariable(key=key), loop)
    except AirflowRuntimeError as error:
        answer = error.error
    return read_value(answer)


def read_value(answer: Any) -> str | None:
    """
    Return the value in the supervisor's answer to a question for a Variable; None if there is no such Variable.

    :raises AirflowRuntimeError: if the answer is another error.
    """
    if not isinstance(answer, ErrorResponse):
        return answer.value or None
    if answer.error.value != _NOT_FOUND:
        raise AirflowRuntimeError(answer)
    return None


def store_variable(key: str, value: str, description: str, loop: asyncio.AbstractEventLoop | None) -> None:
    """
    Set a Variable.

    :param loop: as for :func:`load_variable`.
    :raises AirflowUnavailableError: if Airflow can't store it now.
    :raises NoSupervisorError: if no task and no triggerer runs here.
    """
    answer = _send(PutVariable(key=key, value=value, description=description), loop)
    if isinstance(answer, ErrorResponse):
        raise AirflowRuntimeError(answer)


def _send(message: Any, loop: asyncio.AbstractEventLoop | None) -> Any:
    if loop is not None:
        return asyncio.run_coroutine_threadsafe(send_to_supervisor(message), loop).result()
    with _lock:
        return send_blocking(message)
