"""
Send messages to Airflow's supervisor from an event loop, and distinguish an unavailable Airflow from a bug.

In the triggerer the supervisor answers asynchronously. In ``airflow dags test``, ``airflow tasks test`` and
``dag.test()`` it is an object of the same process that has a synchronous ``send`` only; one trigger runs there at a
time, so that a call on the loop holds up nobody.
"""

from __future__ import annotations

import asyncio
import builtins
import http
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

import httpx
from airflow.providers.common.compat.sdk import Connection, XCom
from airflow.sdk.exceptions import AirflowRuntimeError
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import (
    CommsDecoder,
    ConnectionResult,
    ErrorResponse,
    GetConnection,
    GetTaskStates,
    GetXCom,
    SetXCom,
)

from airflow_provider_asyncapi.core.lazy import LazyModule

if TYPE_CHECKING:
    from airflow.sdk.execution_time import supervisor as airflow_supervisor
else:
    # Airflow imports it in all its processes, but not in a program that only parses a DAG.
    airflow_supervisor = LazyModule("airflow.sdk.execution_time.supervisor")

#: Seconds from the SIGTERM with which the supervisor ends a task to the SIGKILL. ``[core] killed_task_cleanup_time``
#: has had no effect since Airflow 3.0.
SECONDS_TO_SIGKILL: Final = 5.0
#: Exceptions of a bug, which no unavailable service raises.
PROGRAMMING_ERRORS: Final = (
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    NameError,
    NotImplementedError,
    SyntaxError,
    TypeError,
)
_TRIGGERER_MODULE: Final = "airflow.jobs.triggerer_job_runner"
_CONNECTION_FIELDS: Final = ("conn_id", "conn_type", "host", "login", "password", "port", "extra")
#: Status codes below 500 after which a retry may succeed.
_TRANSIENT: Final = frozenset({http.HTTPStatus.REQUEST_TIMEOUT, http.HTTPStatus.TOO_MANY_REQUESTS})


class AirflowUnavailableError(Exception):
    """Airflow can't respond now: its API server, its database or a secrets backend is unavailable."""


class NoSupervisorError(LookupError):
    """This process has no supervisor, since Airflow runs neither a task nor a triggerer in it."""


async def send_to_supervisor(message: Any) -> Any:
    """
    Send a message to the supervisor and return its answer, which may be an ``ErrorResponse``.

    :raises AirflowUnavailableError: if Airflow can't answer now.
    :raises NoSupervisorError: if no task and no triggerer runs here.
    """
    comms = _find_comms()
    with _distinguish_unavailable():
        answer = await _send(comms, message)
    return _check_available(answer)


def send_blocking(message: Any) -> Any:
    """
    Send a message to the supervisor, as :func:`send_to_supervisor` does, without an event loop.

    In the triggerer this isn't possible: its supervisor answers on the event loop.
    """
    comms = _find_comms()
    with _distinguish_unavailable():
        answer = comms.send(message)
    return _check_available(answer)


def _find_comms() -> Any:
    # Airflow sets it when a task or a triggerer starts.
    comms: Any = getattr(task_runner, "SUPERVISOR_COMMS", None)
    if comms is None:
        raise NoSupervisorError
    return comms


@contextmanager
def _distinguish_unavailable() -> Iterator[None]:
    """Raise AirflowUnavailableError instead of any other error if Airflow can't answer now."""
    try:
        yield
    except AirflowRuntimeError as error:
        _check_available(error.error)
        raise
    except httpx.HTTPStatusError as error:
        # Of the API that runs in the process of ``airflow dags test``.
        if not _is_unavailable_status(error.response.status_code):
            raise
        raise AirflowUnavailableError(str(error)) from error
    except (httpx.TransportError, OSError, EOFError) as error:
        raise AirflowUnavailableError(f"{type(error).__name__}: {error}") from error


def _check_available(answer: Any) -> Any:
    """Return an answer of the supervisor, unless it says that Airflow is unavailable."""
    if isinstance(answer, ErrorResponse) and is_unavailable(answer):
        detail = answer.detail or {}
        raise AirflowUnavailableError(f"{answer.error.value}: {detail.get('message') or 'Airflow gives no reason'}")
    return answer


def is_supervisor_async() -> bool:
    """Return whether Airflow's own asynchronous functions work here; they don't in the test commands (see above)."""
    comms = getattr(task_runner, "SUPERVISOR_COMMS", None)
    return comms is None or hasattr(comms, "asend")


def is_task_process() -> bool:
    """
    Return whether a task runs in this process, on a worker.

    No task does in the triggerer. In ``dags test``, ``tasks test`` and ``dag.test()`` the supervisor has another class.
    """
    return type(getattr(task_runner, "SUPERVISOR_COMMS", None)) is CommsDecoder


def is_triggerer_process() -> bool:
    """Return whether this process is a triggerer, which runs the triggers of all DAGs."""
    # By the name of the module, since importing it takes longer than all else in a task.
    return type(getattr(task_runner, "SUPERVISOR_COMMS", None)).__module__ == _TRIGGERER_MODULE


async def find_connection(conn_id: str) -> Connection | None:
    """
    Return a connection that Airflow's own look-up doesn't find; None if it really isn't defined.

    Airflow's look-up takes each backend that fails for one that doesn't know the connection (up to 3.3 at least), and
    can't ask the supervisor of ``airflow dags test``. So this asks the secrets backends and the supervisor itself.

    :raises AirflowUnavailableError: if one of them can't answer now.
    """
    if (connection := await _find_in_backends(conn_id)) is not None:
        return connection
    try:
        answer = await send_to_supervisor(GetConnection(conn_id=conn_id))
    except NoSupervisorError:
        # Without a supervisor there is nobody who could have been away.
        return None
    if isinstance(answer, ConnectionResult):
        return Connection(schema=answer.schema_, **{name: getattr(answer, name) for name in _CONNECTION_FIELDS})
    if isinstance(answer, ErrorResponse) and answer.error.value == "PERMISSION_DENIED":
        raise PermissionError(conn_id)
    return None


async def read_xcom(key: str, task: Mapping[str, Any]) -> Any:
    """
    Return an XCom of a task; None if there is none.

    :param task: ``dag_id``, ``run_id``, ``task_id`` and ``map_index``.
    :raises AirflowUnavailableError: if Airflow can't answer now.
    """
    # What Airflow 3.3 has as XCom.aget_one; 3.2 takes the same message and lacks the method.
    answer = await send_to_supervisor(GetXCom(key=key, **task))
    return None if answer is None or answer.value is None else XCom.deserialize_value(answer)


async def write_xcom(key: str, value: Any, task: Mapping[str, Any]) -> None:
    """
    Push an XCom of a task.

    :param task: ``dag_id``, ``run_id``, ``task_id`` and ``map_index``.
    :raises AirflowUnavailableError: if Airflow can't take it now.
    """
    # What Airflow 3.3 has as XCom.aset; 3.2 takes the same message and lacks the method.
    await send_to_supervisor(SetXCom(key=key, value=XCom.serialize_value(value, key=key, **task), **task))


async def find_task_state(task: Mapping[str, Any]) -> str | None:
    """
    Return the state of a task instance, in lower case: ``none`` before it is scheduled.

    :param task: ``dag_id``, ``run_id``, ``task_id`` and ``map_index``.
    :return: None if there is no such task instance.
    :raises AirflowUnavailableError: if Airflow can't answer now.
    """
    ids = {"dag_id": task["dag_id"], "task_ids": [task["task_id"]], "run_ids": [task["run_id"]]}
    answer: Any = await send_to_supervisor(GetTaskStates(**ids, map_index=task["map_index"]))
    states = [str(state).lower() for run in answer.task_states.values() for state in run.values()]
    return states[0] if states else None


async def _find_in_backends(conn_id: str) -> Connection | None:
    for backend in airflow_supervisor.ensure_secrets_backend_loaded():
        if type(backend).__module__.startswith("airflow.sdk."):
            # That one asks the supervisor, and hides what it answers.
            continue
        try:
            connection: Any = await asyncio.to_thread(backend.get_connection, conn_id)
        except (*PROGRAMMING_ERRORS, PermissionError):
            raise
        except Exception as error:
            # Each backend has exceptions of its own for a server that doesn't answer.
            raise AirflowUnavailableError(f"{type(backend).__name__}: {type(error).__name__}") from error
        if connection is not None:
            return connection  # type: ignore[no-any-return]  # untyped in Airflow
    return None


async def _send(comms: Any, message: Any) -> Any:
    if is_supervisor_async():
        # On a worker of Airflow 3.1 the asynchronous side is there and not implemented.
        with suppress(NotImplementedError):
            return await comms.asend(message)
    return comms.send(message)


def is_unavailable(answer: Any) -> bool:
    """Return whether an ``ErrorResponse`` says that a later try may succeed."""
    if answer.error.value not in ("API_SERVER_ERROR", "GENERIC_ERROR"):
        return False
    detail = answer.detail or {}
    cause = getattr(builtins, str(detail.get("exception_type")), None)
    is_mistake = isinstance(cause, type) and issubclass(cause, PROGRAMMING_ERRORS)
    status = detail.get("status_code")
    return not is_mistake and (status is None or _is_unavailable_status(status))


def _is_unavailable_status(status: int) -> bool:
    return status >= http.HTTPStatus.INTERNAL_SERVER_ERROR or status in _TRANSIENT
