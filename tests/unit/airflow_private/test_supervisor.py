"""What is asked of Airflow's supervisor, and which answers mean that Airflow is away."""

from __future__ import annotations

import asyncio
import pkgutil
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
from airflow.sdk.execution_time.comms import ErrorResponse, GetConnection

from airflow_provider_asyncapi.airflow_private.supervisor import (
    AirflowUnavailableError,
    find_connection,
    is_task_process,
    is_triggerer_process,
    read_xcom,
    send_to_supervisor,
    write_xcom,
)
from tests.unit.fake_airflow import InProcessSupervisor, Supervisor

TASK = {"dag_id": "dag", "run_id": "run", "task_id": "wait", "map_index": 3}
REQUEST = httpx.Request("GET", "http://airflow/connections/vendor")


def error(kind: str = "API_SERVER_ERROR", **detail: Any) -> ErrorResponse:
    return ErrorResponse(error=ErrorType(kind), detail=detail or None)


def refused(status: int) -> httpx.HTTPStatusError:
    return httpx.HTTPStatusError("refused", request=REQUEST, response=httpx.Response(status, request=REQUEST))


class Backend:
    """A secrets backend of somebody else."""

    def __init__(self, result: Any) -> None:
        self.result = result

    def get_connection(self, conn_id: str) -> Any:
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


def ask_with(supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch, answer: Any) -> Any:
    def respond(_: Any) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(supervisor, "respond", respond)
    return asyncio.run(send_to_supervisor(GetConnection(conn_id="vendor")))


@pytest.mark.parametrize(
    "answer",
    [
        error(),
        error("GENERIC_ERROR"),
        error(status_code=None, exception_type="ConnectError"),
        error(status_code=503),
        error(status_code=429),
        AirflowRuntimeError(error(status_code=500)),
        refused(502),
        httpx.ConnectError("refused"),
        ConnectionResetError(),
        EOFError(),
    ],
)
def test_an_airflow_that_may_answer_later_is_away(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch, answer: Any
) -> None:
    with pytest.raises(AirflowUnavailableError):
        ask_with(supervisor, monkeypatch, answer)


@pytest.mark.parametrize(
    "answer",
    [
        AirflowRuntimeError(error("XCOM_NOT_FOUND")),
        AirflowRuntimeError(error(status_code=422)),
        AirflowRuntimeError(error(status_code=None, exception_type="AttributeError")),
        refused(404),
        AttributeError("no such method"),
        ValueError("unknown message type"),
    ],
)
def test_any_other_failure_is_raised_as_it_is(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch, answer: Exception
) -> None:
    with pytest.raises(type(answer)):
        ask_with(supervisor, monkeypatch, answer)


@pytest.mark.parametrize("answer", [error("CONNECTION_NOT_FOUND"), error(status_code=404), None])
def test_any_other_answer_is_returned(supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch, answer: Any) -> None:
    assert ask_with(supervisor, monkeypatch, answer) is answer


def test_on_a_worker_of_airflow_3_1_the_supervisor_is_asked_synchronously(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def asend(_: Any) -> Any:
        raise NotImplementedError

    monkeypatch.setattr(supervisor, "asend", asend)
    assert ask_with(supervisor, monkeypatch, None) is None
    assert len(supervisor.of_kind("GetConnection")) == 1


def test_xcoms_are_written_and_read_by_the_messages_that_airflow_has_since_3_1(supervisor: Supervisor) -> None:
    supervisor.xcoms["job"] = {"identifier": "7"}
    assert asyncio.run(read_xcom("job", TASK)) == {"identifier": "7"}
    assert asyncio.run(read_xcom("other", TASK)) is None
    asyncio.run(write_xcom("job", {"identifier": "8"}, TASK))
    (written,) = supervisor.of_kind("SetXCom")
    assert (written.key, written.value) == ("job", {"identifier": "8"})
    assert {name: getattr(written, name) for name in TASK} == TASK


@pytest.fixture
def backends(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    found: list[Any] = []
    lazily_imported = "airflow_provider_asyncapi.airflow_private.supervisor.airflow_supervisor"
    monkeypatch.setattr(f"{lazily_imported}.ensure_secrets_backend_loaded", lambda: found)
    return found


@pytest.mark.parametrize("in_process", [False, True])
def test_a_connection_of_the_database_is_found(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch, backends: list[Any], in_process: bool
) -> None:
    if in_process:
        InProcessSupervisor(supervisor, monkeypatch)
    fields = {"host": "https://api.example.com", "schema": "https", "login": "me", "password": "p", "port": 8443}
    supervisor.connections["vendor"] = {"conn_type": "asyncapi", "extra": '{"auth": "basic"}', **fields}
    found = asyncio.run(find_connection("vendor"))
    assert found is not None
    assert {name: getattr(found, name) for name in fields} == fields
    assert found.extra == '{"auth": "basic"}'
    assert asyncio.run(find_connection("other")) is None


def test_a_connection_of_a_secrets_backend_is_found_before_the_supervisor_is_asked(
    supervisor: Supervisor, backends: list[Any]
) -> None:
    connection = object()
    backends += [Backend(None), Backend(connection)]
    assert asyncio.run(find_connection("vendor")) is connection
    assert not supervisor.messages


def test_a_secrets_backend_that_does_not_answer_is_away_and_does_not_lack_the_connection(
    supervisor: Supervisor, backends: list[Any]
) -> None:
    backends += [Backend(RuntimeError("the vault is sealed"))]
    with pytest.raises(AirflowUnavailableError, match="Backend: RuntimeError"):
        asyncio.run(find_connection("vendor"))


@pytest.mark.parametrize("mistake", [AttributeError("no such method"), PermissionError("vendor")])
def test_a_mistake_in_a_secrets_backend_is_raised_as_it_is(
    supervisor: Supervisor, backends: list[Any], mistake: Exception
) -> None:
    backends += [Backend(mistake)]
    with pytest.raises(type(mistake)):
        asyncio.run(find_connection("vendor"))


def test_a_connection_that_airflow_denies_is_an_error(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch, backends: list[Any]
) -> None:
    # A kind that Airflow 3.1 doesn't know yet.
    denied = ErrorResponse.model_construct(error=SimpleNamespace(value="PERMISSION_DENIED"), detail=None)
    monkeypatch.setattr(supervisor, "respond", lambda _: denied)
    with pytest.raises(PermissionError):
        asyncio.run(find_connection("vendor"))


def test_without_a_supervisor_a_connection_that_no_backend_has_is_missing(
    monkeypatch: pytest.MonkeyPatch, backends: list[Any]
) -> None:
    from airflow.sdk.execution_time import task_runner

    monkeypatch.delattr(task_runner, "SUPERVISOR_COMMS", raising=False)
    assert asyncio.run(find_connection("vendor")) is None


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("airflow.sdk.execution_time.comms.CommsDecoder", True),
        ("airflow.jobs.triggerer_job_runner.TriggerCommsDecoder", False),
        ("airflow.sdk.execution_time.supervisor.InProcessSupervisorComms", False),
        (None, False),
    ],
)
def test_the_line_to_airflow_says_whether_this_process_runs_a_task_or_is_a_triggerer(
    monkeypatch: pytest.MonkeyPatch, line: str | None, expected: bool
) -> None:
    from airflow.sdk.execution_time import task_runner

    if line is None:
        monkeypatch.delattr(task_runner, "SUPERVISOR_COMMS", raising=False)
    else:
        kind = pkgutil.resolve_name(line)
        monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", kind.__new__(kind), raising=False)
    assert is_task_process() is expected
    assert is_triggerer_process() is (line is not None and "triggerer" in line)
