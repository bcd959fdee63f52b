"""The part of Airflow's REST API that the demo and the integration tests need."""

from __future__ import annotations

import http
import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

RUN_OVER: Final = frozenset({"success", "failed"})
#: How often a request is sent that Airflow's database turned down, and the seconds between.
_DATABASE_TRIES: Final = 6
_DATABASE_PAUSE: Final = 0.5
#: Seconds; the first request of a kind imports what serves it, which takes long on a busy machine.
_TIMEOUT: Final = 120


class AirflowApiError(RuntimeError):
    """Airflow's REST API answered with an error status."""

    def __init__(self, request: str, status: int, body: str) -> None:
        super().__init__(f"{request} answered {status}: {body[:500]}")
        self.status = status
        #: Whether the database was locked, and the request can be repeated.
        self.is_locked = status == http.HTTPStatus.INTERNAL_SERVER_ERROR and "Database error" in body


@dataclass(frozen=True, slots=True)
class Dag:
    """What Airflow knows of a DAG after parsing it."""

    dag_id: str
    file: str
    tags: frozenset[str]


@dataclass(frozen=True, slots=True)
class TaskState:
    """One task instance as the REST API shows it; ``duration`` in seconds, ``map_index`` -1 where it isn't mapped."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    state: str | None
    try_number: int
    duration: float | None
    start: datetime | None
    end: datetime | None

    @property
    def label(self) -> str:
        """The task's name, with its map index where it has one."""
        return self.task_id if self.map_index < 0 else f"{self.task_id}[{self.map_index}]"


class AirflowClient:
    """
    Talk to Airflow's REST API.

    :param url: base URL of the API server
    :param user: name of a user of the simple auth manager
    :param password: that user's password
    """

    def __init__(self, url: str, user: str, password: str) -> None:
        self.url = url
        self._login = {"username": user, "password": password}
        self._token = ""
        # A proxy named in the environment must not see, or break, calls to the loopback interface.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def call(
        self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None, **params: object
    ) -> Any:
        """Send one request and return the decoded JSON answer."""
        if not self._token and path.startswith("/api/") and not path.startswith("/api/v2/monitor/"):
            self._token = self.call("POST", "/auth/token", self._login)["access_token"]
        query = urllib.parse.urlencode(params, doseq=True)
        request = urllib.request.Request(
            f"{self.url}{path}{'?' if query else ''}{query}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json", "Accept": "application/json", **(headers or {})}
            | ({"Authorization": f"Bearer {self._token}"} if self._token else {}),
        )
        for tries_left in reversed(range(_DATABASE_TRIES)):
            try:
                with self._opener.open(request, timeout=_TIMEOUT) as answer:
                    return json.loads(answer.read() or b"null")
            except urllib.error.HTTPError as error:
                failure = AirflowApiError(f"{method} {path}", error.code, error.read().decode(errors="replace"))
            # Airflow 3.3 writes its audit log on the event loop. On SQLite that locks out, until it times out after
            # 5 s, a task's request whose transaction needs the loop to end. Nothing was done then.
            if not (failure.is_locked and tries_left):
                raise failure
            time.sleep(_DATABASE_PAUSE)
        raise AssertionError("the last try returns or raises")

    def health(self) -> dict[str, str | None]:
        """Return the status of each component, by its name."""
        return {name: part["status"] for name, part in self.call("GET", "/api/v2/monitor/health").items()}

    def dags(self) -> list[Dag]:
        """List the DAGs that were parsed, by name."""
        found = self.call("GET", "/api/v2/dags", limit=1000, order_by="dag_id")["dags"]
        return [
            Dag(dag["dag_id"], dag["relative_fileloc"], frozenset(tag["name"] for tag in dag["tags"])) for dag in found
        ]

    def doc(self, dag_id: str) -> str:
        """Return the documentation of a DAG; an empty string if it has none."""
        return str(self.call("GET", f"/api/v2/dags/{_quote(dag_id)}/details")["doc_md"] or "")

    def import_errors(self) -> dict[str, str]:
        """Return the stack trace of each DAG file that could not be imported, by file name."""
        found = self.call("GET", "/api/v2/importErrors", limit=1000)["import_errors"]
        return {error["filename"]: error["stack_trace"] for error in found}

    def add_connection(self, conn_id: str, connection: Mapping[str, Any]) -> None:
        """
        Store a connection in the metadata database.

        :param conn_id: its name
        :param connection: Airflow's connection JSON (``conn_type``, ``host``, ``extra`` …); ``extra`` may be a dict
        """
        extra = connection.get("extra")
        body = {**connection, "connection_id": conn_id}
        if isinstance(extra, Mapping):
            body["extra"] = json.dumps(extra)
        self.call("POST", "/api/v2/connections", body)

    def unpause(self, dag_id: str) -> None:
        """
        Unpause a DAG.

        Airflow starts the watchers of a DAG's assets when it parses the file again, which this asks for.
        """
        dag = self.call("PATCH", f"/api/v2/dags/{_quote(dag_id)}", {"is_paused": False})
        if dag.get("timetable_summary") == "Asset":
            self.call("PUT", f"/api/v2/parseDagFile/{_quote(dag['file_token'])}")

    def trigger(self, dag_id: str, conf: Mapping[str, Any] | None = None, run_id: str | None = None) -> str:
        """Unpause a DAG, start a run of it now and return the run's id."""
        self.unpause(dag_id)
        body: dict[str, object] = {"logical_date": None, "conf": dict(conf or {})}
        if run_id is not None:
            body["dag_run_id"] = run_id
        run = self.call("POST", f"/api/v2/dags/{_quote(dag_id)}/dagRuns", body)
        return str(run["dag_run_id"])

    def mark_run(self, dag_id: str, run_id: str, state: str) -> None:
        """Mark a DAG run as ``success`` or ``failed``, which ends its tasks."""
        self.call("PATCH", _run_path(dag_id, run_id), {"state": state})

    def delete_run(self, dag_id: str, run_id: str) -> None:
        """Delete a DAG run that is over, with all its task instances."""
        self.call("DELETE", _run_path(dag_id, run_id))

    def run_state(self, dag_id: str, run_id: str) -> str:
        """Return the state of a DAG run."""
        return str(self.call("GET", _run_path(dag_id, run_id))["state"])

    def run_states(self) -> dict[tuple[str, str], str]:
        """Return the state of every DAG run, by DAG and run id, in one request."""
        runs = self.call("GET", _run_path("~", ""), limit=1000)["dag_runs"]
        return {(run["dag_id"], run["dag_run_id"]): run["state"] for run in runs}

    def tasks(self, dag_id: str = "~", run_id: str = "~") -> list[TaskState]:
        """List the task instances of a run, or in one request of all runs: by DAG, the first started first."""
        found = self.call("GET", f"{_run_path(dag_id, run_id)}/taskInstances", limit=1000)["task_instances"]
        tasks = [
            TaskState(
                dag_id=task["dag_id"],
                run_id=task["dag_run_id"],
                task_id=task["task_id"],
                map_index=task["map_index"],
                state=task["state"],
                try_number=task["try_number"],
                duration=task["duration"],
                start=_instant(task["start_date"]),
                end=_instant(task["end_date"]),
            )
            for task in found
        ]
        never = datetime.max.replace(tzinfo=UTC)
        return sorted(tasks, key=lambda task: (task.dag_id, task.start or never, task.task_id, task.map_index))

    def xcom(self, dag_id: str, run_id: str, task_id: str, key: str = "return_value", *, map_index: int = -1) -> Any:
        """Return an XCom's value, or None where the task has pushed none."""
        path = f"{_run_path(dag_id, run_id)}/taskInstances/{_quote(task_id)}/xcomEntries/{_quote(key)}"
        try:
            # Not `deserialize`: that answers with a text for people, in which a dict is no longer JSON.
            return self.call("GET", path, map_index=map_index)["value"]
        except AirflowApiError as error:
            if error.status == 404:
                return None
            raise

    def log(self, dag_id: str, run_id: str, task_id: str, try_number: int = 1, *, map_index: int = -1) -> str:
        """Return the log of one try of a task, triggerer's part included, one line per event."""
        path = f"{_run_path(dag_id, run_id)}/taskInstances/{_quote(task_id)}/logs/{try_number}"
        events = self.call("GET", path, map_index=map_index, full_content="true")["content"]
        return "\n".join(log_line(event) for event in events)

    def clear(self, dag_id: str, run_id: str, *task_ids: str | tuple[str, int]) -> None:
        """
        Clear task instances, as the button in the UI does.

        :param task_ids: the tasks; of a mapped one all, or a pair with the map index of one
        """
        body = {"dry_run": False, "only_failed": False, "dag_run_id": run_id, "task_ids": task_ids}
        self.call("POST", f"/api/v2/dags/{_quote(dag_id)}/clearTaskInstances", body)

    def act(self, action: str, *jobs: Mapping[str, Any]) -> list[dict[str, Any]]:
        """
        Cancel jobs, poll them now or submit them again, as the page of jobs does; return the results.

        :param action: ``cancel``, ``poll`` or ``submit_again``
        :param jobs: the tasks that wait: ``dag_id``, ``run_id``, ``task_id``, ``map_index`` and ``try_number``
        """
        body = {"action": action, "jobs": jobs}
        results = self.call("POST", "/asyncapi/actions", body, {"X-AsyncApi-Page": "1"})["results"]
        return list(results)

    def mark(self, dag_id: str, run_id: str, task_id: str, state: str, *, map_index: int = -1) -> None:
        """Mark a task instance as ``success``, ``failed`` or ``skipped``, as the button in the UI does."""
        path = f"{_run_path(dag_id, run_id)}/taskInstances/{_quote(task_id)}"
        self.call("PATCH", path if map_index < 0 else f"{path}/{map_index}", {"new_state": state})


def _quote(text: str) -> str:
    return urllib.parse.quote(text, safe="~")


def _run_path(dag_id: str, run_id: str) -> str:
    return f"/api/v2/dags/{_quote(dag_id)}/dagRuns{'/' if run_id else ''}{_quote(run_id)}"


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


# What each event of a task's log repeats, or says of the place in the code.
_NO_NEWS: Final = frozenset(
    {"timestamp", "level", "event", "logger", "filename", "lineno", "error_detail"}
    | {"dag_id", "run_id", "task_id", "map_index", "try_number", "ti_id"}
)


def log_line(event: Mapping[str, Any]) -> str:
    """Put an event of a task's log into one line, with what it says of exceptions."""
    errors = [f"{error['exc_type']}: {error['exc_value']}" for error in event.get("error_detail") or ()]
    more = [f"{key}={value}" for key, value in event.items() if key not in _NO_NEWS and value is not None]
    head = [str(event[key]) for key in ("timestamp", "level", "event") if event.get(key)]
    return " ".join([*head, *more, *errors])
