"""
A real Airflow in a folder of its own: start it, talk to it, stop it.

:class:`LocalAirflow` runs the four components as child processes on SQLite; :class:`AirflowClient` is the part of
Airflow's REST API that the demo and the integration tests need.
"""

from __future__ import annotations

import base64
import configparser
import contextlib
import http
import json
import os
import secrets
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeAlias

import psutil  # type: ignore[import-untyped]

_Child: TypeAlias = subprocess.Popen[bytes]

RUN_OVER: Final = frozenset({"success", "failed"})
USER: Final = "admin"

# Nobody listens there: without log servers, the API server must be refused at once when it asks for the logs of running
# tasks, and must not reach another Airflow's.
_NO_LOG_SERVER: Final = 9
#: How often a request is sent that Airflow's database turned down, and the seconds between.
_DATABASE_TRIES: Final = 6
_DATABASE_PAUSE: Final = 0.5
_COMPONENTS: Final[dict[str, tuple[str, ...]]] = {
    # The slowest to start comes first.
    "api-server": ("api-server", "--workers", "1"),
    "scheduler": ("scheduler",),
    "dag-processor": ("dag-processor",),
    "triggerer": ("triggerer",),
}


class AirflowApiError(RuntimeError):
    """Airflow's REST API answered with an error status."""

    def __init__(self, request: str, status: int, body: str) -> None:
        super().__init__(f"{request} answered {status}: {body[:500]}")
        self.status = status
        #: Whether the database was locked, and the request can be repeated.
        self.is_locked = status == http.HTTPStatus.INTERNAL_SERVER_ERROR and "Database error" in body


class AirflowStartError(RuntimeError):
    """A component of the local Airflow died, or was not ready in time."""


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

    def call(self, method: str, path: str, body: object = None, **params: object) -> Any:
        """Send one request and return the decoded JSON answer."""
        if not self._token and path.startswith("/api/") and not path.startswith("/api/v2/monitor/"):
            self._token = self.call("POST", "/auth/token", self._login)["access_token"]
        query = urllib.parse.urlencode(params, doseq=True)
        request = urllib.request.Request(
            f"{self.url}{path}{'?' if query else ''}{query}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json", "Accept": "application/json"}
            | ({"Authorization": f"Bearer {self._token}"} if self._token else {}),
        )
        for tries_left in reversed(range(_DATABASE_TRIES)):
            try:
                with self._opener.open(request, timeout=30) as answer:
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

    def trigger(self, dag_id: str, conf: Mapping[str, Any] | None = None) -> str:
        """Unpause a DAG, start a run of it now and return the run's id."""
        self.call("PATCH", f"/api/v2/dags/{_quote(dag_id)}", {"is_paused": False})
        body = {"logical_date": None, "conf": dict(conf or {})}
        run = self.call("POST", f"/api/v2/dags/{_quote(dag_id)}/dagRuns", body)
        return str(run["dag_run_id"])

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
        return "\n".join(_log_line(event) for event in events)

    def clear(self, dag_id: str, run_id: str, *task_ids: str) -> None:
        """Clear task instances, as the button in the UI does; of a mapped task all."""
        body = {"dry_run": False, "only_failed": False, "dag_run_id": run_id, "task_ids": task_ids}
        self.call("POST", f"/api/v2/dags/{_quote(dag_id)}/clearTaskInstances", body)

    def mark(self, dag_id: str, run_id: str, task_id: str, state: str, *, map_index: int = -1) -> None:
        """Mark a task instance as ``success``, ``failed`` or ``skipped``, as the button in the UI does."""
        path = f"{_run_path(dag_id, run_id)}/taskInstances/{_quote(task_id)}"
        self.call("PATCH", path if map_index < 0 else f"{path}/{map_index}", {"new_state": state})


class LocalAirflow:
    """
    Run Airflow's scheduler, triggerer, DAG processor and API server on this machine, as a context manager.

    :param home: the AIRFLOW_HOME to create; holds the database, the configuration and all logs
    :param dags: folder of the DAG files
    :param connections: Airflow connection JSON, by connection id
    :param default_deferrable: whether operators defer that don't say
    :param config: more configuration, ``{section: {option: value}}``
    :param env: more environment variables for the components and the tasks
    :param serve_logs: start the log servers too, at the cost of some seconds: logs are read from the shared folder, but
        without these servers the UI shows a warning in the logs of tasks that run or are deferred
    :param say: called with each step, in words
    :param start_timeout: seconds after which a start that isn't ready fails
    """

    def __init__(
        self,
        home: Path,
        dags: Path,
        *,
        connections: Mapping[str, Mapping[str, Any]] | None = None,
        default_deferrable: bool = True,
        config: Mapping[str, Mapping[str, str]] | None = None,
        env: Mapping[str, str] | None = None,
        serve_logs: bool = False,
        say: Callable[[str], None] = lambda _step: None,
        start_timeout: float = 120,
    ) -> None:
        self.home = home.resolve()
        self.dags = dags.resolve()
        self.user = USER
        self.password = "admin"
        self.url = f"http://127.0.0.1:{_free_port()}"
        self.client = AirflowClient(self.url, self.user, self.password)
        self._connections = dict(connections or {})
        self._config = _configuration(self.home, self.dags, self.url, default_deferrable=default_deferrable)
        for option in ("worker_log_server_port", "trigger_log_server_port"):
            self._config["logging"][option] = str(_free_port() if serve_logs else _NO_LOG_SERVER)
        self._serve_logs = serve_logs
        for section, options in (config or {}).items():
            self._config.setdefault(section, {}).update(options)
        self._env = _environment(self.home) | dict(env or {})
        self._say = say
        self._start_timeout = start_timeout
        self._children: dict[str, _Child] = {}

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def check(self) -> None:
        """Raise :class:`AirflowStartError` with the end of its log if a component has died."""
        for name, child in self._children.items():
            if child.poll() is not None:
                raise AirflowStartError(self._obituary(name, child.returncode))

    def stop(self) -> None:
        """Stop all components, and whatever they have started; safe to call twice."""
        children, self._children = self._children, {}
        if any(child.poll() is None for child in children.values()):
            self._say("Stopping Airflow")
        with _signal_set_to(signal.SIGINT, signal.SIG_IGN):  # a second Ctrl-C must not leave half of them behind
            _stop(children)

    def _start(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        _write_config(self.home / "airflow.cfg", self._config)
        (self.home / "passwords.json").write_text(json.dumps({self.user: self.password}))

        self._say("Creating Airflow's database")
        self._spawn("db", ("db", "migrate"))
        code = self._children["db"].wait(self._start_timeout)
        if code:
            raise AirflowStartError(self._obituary("db", code))
        del self._children["db"]
        with contextlib.closing(sqlite3.connect(self.home / "airflow.db")) as database:
            # Kept in the file: who reads doesn't hold up who writes.
            database.execute("PRAGMA journal_mode=WAL")

        self._say("Starting Airflow's API server, scheduler, DAG processor and triggerer")
        for name, command in _COMPONENTS.items():
            silent = name in {"scheduler", "triggerer"} and not self._serve_logs
            self._spawn(name, (*command, "--skip-serve-logs") if silent else command)
        deadline = time.monotonic() + self._start_timeout
        self._wait(self._unhealthy, deadline)
        for conn_id, connection in self._connections.items():
            self.client.add_connection(conn_id, connection)
        self._say(f"Loading the DAGs of {self.dags.name}")
        self._wait(self._unparsed, deadline)

    def _spawn(self, name: str, command: tuple[str, ...]) -> None:
        # A signal that is ignored here, as SIGINT is behind a shell script's `&`, would be ignored there too.
        ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        with (
            (self.home / f"{name}.log").open("wb") as log,
            _signal_set_to(signal.SIGINT, signal.SIG_DFL) if ignored else contextlib.nullcontext(),
        ):
            self._children[name] = subprocess.Popen(
                (sys.executable, "-m", "airflow", *command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._env,
                cwd=self.home,
                start_new_session=True,  # so that a Ctrl-C reaches this process alone, and it stops them in order
            )

    def _wait(self, missing: Callable[[], list[str]], deadline: float) -> None:
        while found := missing():
            self.check()
            if time.monotonic() > deadline:
                tails = "\n".join(f"--- {name}.log\n{self._tail(name)}" for name in self._children)
                raise AirflowStartError(
                    f"Not ready after {self._start_timeout:.0f} s: {', '.join(found)}. Logs in {self.home}\n{tails}"
                )
            time.sleep(0.25)

    def _unhealthy(self) -> list[str]:
        try:
            health = self.client.health()
        except OSError:  # not listening yet
            return ["api-server"]
        return [part for part in ("scheduler", "triggerer", "dag_processor") if health.get(part) != "healthy"]

    def _unparsed(self) -> list[str]:
        files = {
            path.relative_to(self.dags).as_posix()
            for path in self.dags.rglob("*.py")
            if any(sign in path.read_text("utf-8") for sign in ("DAG(", "@dag"))
        }
        return sorted(files - {dag.file for dag in self.client.dags()} - set(self.client.import_errors()))

    def _obituary(self, name: str, code: int) -> str:
        return f"airflow {name} ended with {code}. The end of {self.home / name}.log:\n{self._tail(name)}"

    def _tail(self, name: str, lines: int = 30) -> str:
        text = (self.home / f"{name}.log").read_text(errors="replace")
        return "\n".join(text.splitlines()[-lines:])


def _configuration(home: Path, dags: Path, url: str, *, default_deferrable: bool) -> dict[str, dict[str, str]]:
    """Return a configuration that reacts fast and otherwise leaves two cores to the tasks."""
    fernet_key = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
    port = url.rpartition(":")[2]
    return {
        "core": {
            "dags_folder": str(dags),
            "plugins_folder": str(home / "plugins"),
            "executor": "LocalExecutor",
            # One task leg is some 0.4 s of CPU: more at a time only delays the first.
            "parallelism": "6",
            "load_examples": "False",
            "fernet_key": fernet_key,
            "simple_auth_manager_users": f"{USER}:admin",
            "simple_auth_manager_passwords_file": str(home / "passwords.json"),
            "execution_api_server_url": f"{url}/execution/",
            "test_connection": "Enabled",
            # The full name may take seconds of DNS, in each task, where a container has none.
            "hostname_callable": "socket.gethostname",
        },
        "database": {"sql_alchemy_conn": f"sqlite:///{home / 'airflow.db'}"},
        "operators": {"default_deferrable": str(default_deferrable)},
        "scheduler": {
            "scheduler_idle_sleep_time": "0.25",
            "trigger_timeout_check_interval": "5",
        },
        # A supervisor may sleep this long after its task's process has ended, and hold the worker (default 5).
        "workers": {"min_heartbeat_interval": "1"},
        "dag_processor": {
            # Files don't change while a demo or a test runs; parsing them again and again costs whole seconds.
            "min_file_process_interval": "600",
            "stale_dag_threshold": "600",
            "parsing_processes": "2",
        },
        "api": {
            "host": "127.0.0.1",
            "port": port,
            "base_url": url,
            "secret_key": secrets.token_urlsafe(32),
            "maximum_page_limit": "1000",
            # Also how long the server waits for open connections when it stops.
            "worker_timeout": "10",
        },
        "api_auth": {"jwt_secret": secrets.token_urlsafe(32)},
        "logging": {
            "base_log_folder": str(home / "logs"),
            "dag_processor_child_process_log_directory": str(home / "logs" / "dag_processor"),
            "colored_console_log": "False",
        },
    }


def _write_config(path: Path, config: Mapping[str, Mapping[str, str]]) -> None:
    parser = configparser.RawConfigParser()
    # Airflow interpolates `%`.
    parser.read_dict(
        {part: {key: text.replace("%", "%%") for key, text in options.items()} for part, options in config.items()}
    )
    with path.open("w") as file:
        parser.write(file)


def _environment(home: Path) -> dict[str, str]:
    # Settings of another Airflow in the caller's environment would win over the configuration file.
    # Without compiled modules, each of the processes spends 4 s of CPU on its imports instead of 2.
    dropped = ("AIRFLOW_", "_AIRFLOW_", "PYTHONDONTWRITEBYTECODE")
    kept = {name: text for name, text in os.environ.items() if not name.startswith(dropped)}
    local = ",".join(filter(None, (kept.get("no_proxy") or kept.get("NO_PROXY"), "127.0.0.1,localhost")))
    return kept | {
        "AIRFLOW_HOME": str(home),
        "PYTHONUNBUFFERED": "1",
        "NO_PROXY": local,
        "no_proxy": local,
    }


def _stop(children: Mapping[str, _Child]) -> None:
    """End the children and their descendants: ask with SIGINT, then SIGTERM, then kill what is left."""
    # Tasks leave their parent's process group, and lose their parent when it ends: note them all beforehand.
    family = _descendants(children.values())
    # Running tasks have last words for the API server.
    for last in (False, True):
        _end([child for name, child in children.items() if (name == "api-server") is last])
    for process in family:
        # psutil compares the start time too: a process id that was given away since is not killed.
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(family, timeout=3)


def _end(group: Sequence[_Child]) -> None:
    for sign, patience in ((signal.SIGINT, 6.0), (signal.SIGTERM, 3.0), (signal.SIGKILL, 3.0)):
        for child in group:
            if child.poll() is None:
                child.send_signal(sign)
        busy_at = {child.pid: time.monotonic() for child in group}
        deadline = time.monotonic() + patience
        while (alive := [child for child in group if child.poll() is None]) and time.monotonic() < deadline:
            for child in alive:
                if any(part.status() != psutil.STATUS_ZOMBIE for part in _descendants([child])):
                    busy_at[child.pid] = time.monotonic()
                elif time.monotonic() - busy_at[child.pid] > 1:
                    # Nothing of worth is left: Python's teardown takes 3 s, and the triggerer may sleep 10 s before
                    # it sees that its runner has ended.
                    child.kill()
            time.sleep(0.1)


def _descendants(children: Iterable[_Child]) -> set[psutil.Process]:
    found: set[psutil.Process] = set()
    for child in children:
        with contextlib.suppress(psutil.NoSuchProcess):
            found.update(psutil.Process(child.pid).children(recursive=True))
    return found


@contextlib.contextmanager
def _signal_set_to(sign: signal.Signals, action: signal.Handlers) -> Iterator[None]:
    """Handle a signal differently for a while, where Python lets us: in the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(sign, action)
    try:
        yield
    finally:
        signal.signal(sign, before)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


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


def _log_line(event: Mapping[str, Any]) -> str:
    errors = [f"{error['exc_type']}: {error['exc_value']}" for error in event.get("error_detail") or ()]
    more = [f"{key}={value}" for key, value in event.items() if key not in _NO_NEWS and value is not None]
    head = [str(event[key]) for key in ("timestamp", "level", "event") if event.get(key)]
    return " ".join([*head, *more, *errors])
