"""A real server on loopback that follows a script, and as much of Airflow as a task sees of it."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, Self

from airflow_provider_asyncapi.core.http.messages import Headers
from tests.loopback import Asked, Behaviour, Server, encode

Reply = tuple[int, Mapping[str, str], bytes]
#: The arguments of a wait for a job of the server.
STATUS: dict[str, Any] = {
    "endpoint": "/jobs/{identifier}",
    "completion_key": "status",
    "completion_value": "done",
    "failure_value": "failed",
    "poke_interval": 0.02,
    "timeout": 20,
}


def reply(body: Any = None, status: int = 200, **headers: str) -> Reply:
    """Return a response with these bytes, or with this as JSON; `retry_after="5"` is the header `retry-after`."""
    content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    kind = {} if isinstance(body, bytes) or body is None else {"Content-Type": "application/json"}
    return status, {**kind, **{name.replace("_", "-"): value for name, value in headers.items()}}, content


class ApiServer:
    """An API whose responses are set by method and path."""

    def __init__(self) -> None:
        self.script: dict[str, list[Reply]] = {}
        self.requests: list[SimpleNamespace] = []
        self._lock = threading.Lock()
        self._server = Server(self._serve)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *args: object) -> None:
        self._server.close()

    @property
    def url(self) -> str:
        return self._server.url

    def respond_to(self, request: str, *replies: Reply) -> None:
        """Set the responses to a request such as `GET /jobs/7`; the last one is repeated."""
        self.script[request] = list(replies)

    def count(self, request: str) -> int:
        with self._lock:
            return sum(f"{each.method} {each.path}" == request for each in self.requests)

    def _serve(self, asked: Asked) -> Behaviour:
        return encode(*self.respond(asked.method, asked.target, Headers(asked.headers.items()), asked.body))

    def respond(self, method: str, path: str, headers: Headers, body: bytes) -> Reply:
        with self._lock:
            self.requests.append(SimpleNamespace(method=method, path=path, headers=headers, body=body))
            replies = self.script.get(f"{method} {path}") or [reply({"error": "not in the script"}, 404)]
            return replies.pop(0) if len(replies) > 1 else replies[0]


class Supervisor:
    """Be the other end of the line from a task or trigger to Airflow: it knows connections and the states of tasks."""

    def __init__(self) -> None:
        self.messages: list[Any] = []
        self.connections: dict[str, dict[str, Any]] = {}
        self.task_states: Any = {}
        self.xcoms: dict[str, Any] = {}
        self.variables: dict[str, Any] = {}
        #: What the state store holds of each asset, by the asset's name and the key.
        self.asset_states: dict[tuple[str, str], Any] = {}
        self.delay = 0.0
        #: Kinds of messages that are delayed; None for all.
        self.delayed: set[str] | None = None
        #: How many look-ups of connections fail from now on, for Airflow's API server is away.
        self.away = 0

    def send(self, msg: Any, **_: Any) -> Any:
        self.messages.append(msg)
        return self.respond(msg)

    async def asend(self, msg: Any) -> Any:  # codespell:ignore asend
        if self.delayed is None or type(msg).__name__ in self.delayed:
            await asyncio.sleep(self.delay)
        return self.send(msg)

    def of_kind(self, kind: str) -> list[Any]:
        return [message for message in self.messages if type(message).__name__ == kind]

    def respond(self, msg: Any) -> Any:
        from airflow.sdk.exceptions import ErrorType
        from airflow.sdk.execution_time import comms

        match type(msg).__name__:
            case "GetTaskStates":
                if isinstance(self.task_states, Exception):
                    raise self.task_states
                asked = {name if msg.map_index < 0 else f"{name}_{msg.map_index}" for name in msg.task_ids}
                known = {
                    run: {name: state for name, state in states.items() if name in asked}
                    for run, states in self.task_states.items()
                }
                return comms.TaskStatesResult(task_states=known)
            case "GetXCom":
                return comms.XComResult(key=msg.key, value=self.xcoms.get(msg.key))
            case "GetConnection" if self.away:
                self.away -= 1
                return comms.ErrorResponse(error=ErrorType("API_SERVER_ERROR"))
            case "GetConnection" if msg.conn_id in self.connections:
                return comms.ConnectionResult(conn_id=msg.conn_id, **self.connections[msg.conn_id])
            case "GetConnection":
                return comms.ErrorResponse(error=ErrorType("CONNECTION_NOT_FOUND"))
        return self._respond_about_state(msg)

    def _respond_about_state(self, msg: Any) -> Any:
        from airflow.sdk.exceptions import ErrorType
        from airflow.sdk.execution_time import comms

        match type(msg).__name__:
            case "GetVariable" if msg.key in self.variables:
                return comms.VariableResult(key=msg.key, value=self.variables[msg.key])
            case "GetVariable":
                return comms.ErrorResponse(error=ErrorType("VARIABLE_NOT_FOUND"))
            case "PutVariable":
                self.variables[msg.key] = msg.value
            case "GetAssetStateStoreByName" if (msg.name, msg.key) in self.asset_states:
                return comms.AssetStateStoreResult(value=self.asset_states[msg.name, msg.key])
            case "SetAssetStateStoreByName":
                self.asset_states[msg.name, msg.key] = msg.value
        return None


class InProcessSupervisor:
    """
    Be the supervisor of ``airflow dags test``, which has no asynchronous side, in place of another.

    As Airflow's own does, it takes itself away while it answers.
    """

    def __init__(self, answers: Supervisor, monkeypatch: Any) -> None:
        from airflow.sdk.execution_time import task_runner

        self._module: Any = task_runner
        self._answers = answers
        monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", self)

    def send(self, msg: Any) -> Any:
        del self._module.SUPERVISOR_COMMS
        try:
            return self._answers.send(msg)
        finally:
            self._module.SUPERVISOR_COMMS = self

    def kinds(self) -> list[str]:
        return [type(message).__name__ for message in self._answers.messages]


class Store(dict[str, Any]):
    """Be the task state store of Airflow 3.3: only JSON goes in."""

    def set(self, key: str, value: Any) -> None:
        self[key] = json.loads(json.dumps(value))


class TI:
    """Be the task instance as far as tasks ask for it."""

    dag_id, run_id, task_id, try_number, max_tries = "dag", "run", "wait", 1, 0
    id = "01936f1c-7cde-7a52-9d3a-0b2f6f3c1a11"

    def __init__(self, map_index: int = -1) -> None:
        self.map_index = map_index
        self.xcoms: dict[str, Any] = {}
        #: What other tasks have pushed.
        self.pulled: dict[str, Any] = {}
        self.first_poke: float | None = None
        self.pauses: list[float] = []

    def xcom_push(self, key: str, value: Any) -> None:
        self.xcoms[key] = json.loads(json.dumps(value))

    def xcom_pull(self, *, key: str, **_: Any) -> Any:
        return self.pulled.get(key)

    def get_first_reschedule_date(self, context: Mapping[str, Any]) -> datetime | None:
        return None if self.first_poke is None else datetime.fromtimestamp(self.first_poke, UTC)


class OwnTI(TI):
    """Be a task instance that pulls what it has pushed."""

    def xcom_pull(self, *, key: str, **_: Any) -> Any:
        return self.xcoms.get(key)


def context_of(ti: TI, **more: Any) -> Any:
    """Make the context of a task that has no retries unless they are given as `retries`."""
    task = SimpleNamespace(retries=more.pop("retries", 0))
    return {"ti": ti, "task": task, "task_reschedule_count": 0, **more}
