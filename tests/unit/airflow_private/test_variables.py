"""Variables that code reads and writes without an event loop, or on a thread beside one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import ErrorResponse

from airflow_provider_asyncapi.airflow_private.supervisor import AirflowUnavailableError, NoSupervisorError
from airflow_provider_asyncapi.airflow_private.variables import load_variable, store_variable
from tests.unit.fake_airflow import Supervisor


def call_on_worker(work: Callable[[Any], Any]) -> Any:
    return work(None)


def call_in_triggerer(work: Callable[[Any], Any]) -> Any:
    async def call() -> Any:
        return await asyncio.to_thread(work, asyncio.get_running_loop())

    return asyncio.run(call())


@pytest.mark.parametrize("call", [call_on_worker, call_in_triggerer])
def test_a_variable_is_read_as_it_was_written(supervisor: Supervisor, call: Callable[..., Any]) -> None:
    assert call(lambda loop: load_variable("name", loop)) is None
    call(lambda loop: store_variable("name", "value", "what it is", loop))
    assert call(lambda loop: load_variable("name", loop)) == "value"
    (stored,) = supervisor.of_kind("PutVariable")
    assert (stored.key, stored.value, stored.description) == ("name", "value", "what it is")


@pytest.mark.parametrize("call", [call_on_worker, call_in_triggerer])
@pytest.mark.parametrize(
    "work",
    [lambda loop: load_variable("name", loop), lambda loop: store_variable("name", "value", "", loop)],
    ids=["load", "store"],
)
@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (ErrorResponse(error=ErrorType("API_SERVER_ERROR"), detail={"status_code": 503}), AirflowUnavailableError),
        (
            AirflowRuntimeError(ErrorResponse(error=ErrorType("API_SERVER_ERROR"), detail={"status_code": 503})),
            AirflowUnavailableError,
        ),
        (ConnectionResetError(), AirflowUnavailableError),
        (ErrorResponse(error=ErrorType("CONNECTION_NOT_FOUND")), AirflowRuntimeError),
    ],
    ids=["unavailable", "unavailable, raised", "broken", "other"],
)
def test_an_error_says_whether_a_later_try_may_succeed(
    supervisor: Supervisor,
    monkeypatch: pytest.MonkeyPatch,
    call: Callable[..., Any],
    work: Callable[[Any], Any],
    answer: Any,
    expected: type[Exception],
) -> None:
    def respond(_: Any) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(supervisor, "respond", respond)
    with pytest.raises(expected):
        call(work)


def test_a_process_without_a_supervisor_has_no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(task_runner, "SUPERVISOR_COMMS", raising=False)
    with pytest.raises(NoSupervisorError):
        load_variable("name", None)
