"""Run an Airflow on this machine."""

from __future__ import annotations

import contextlib
import json
import re
import sqlite3
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from demo.airflow.client import AirflowClient
from demo.airflow.configuration import USER, configuration, environment, free_port, write_config
from demo.airflow.processes import AirflowStartError, Processes

# Nobody listens there: without log servers, the API server must be refused at once when it asks for the logs of running
# tasks, and must not reach another Airflow's.
_NO_LOG_SERVER: Final = 9
_WITHOUT_LOG_SERVER: Final = "--skip-serve-logs"
#: The slowest to start comes first.
COMPONENTS: Final[dict[str, tuple[str, ...]]] = {
    "api-server": ("api-server", "--workers", "1"),
    "scheduler": ("scheduler",),
    "dag-processor": ("dag-processor",),
    "triggerer": ("triggerer",),
}
#: Those that can do without the log server that they start.
_LOG_SERVING: Final = frozenset({"scheduler", "triggerer", "celery"})


class LocalAirflow:
    """
    Run Airflow's components on this machine, as a context manager.

    :param home: the AIRFLOW_HOME to create; holds the database, the configuration and all logs
    :param dags: folder of the DAG files
    :param components: the arguments of the ``airflow`` command, by a name for each process
    :param connections: Airflow connection JSON, by connection id
    :param default_deferrable: whether operators defer that don't say
    :param config: more configuration, ``{section: {option: value}}``
    :param env: more environment variables for the components and the tasks
    :param serve_logs: start the log servers too, at the cost of some seconds: logs are read from the shared folder, but
        without these servers the UI shows a warning in the logs of tasks that run or are deferred
    :param say: called with each step, in words
    :param python: the interpreter of the environment that Airflow is installed in; by default this one
    :param start_timeout: seconds after which a start that isn't ready fails
    """

    def __init__(
        self,
        home: Path,
        dags: Path,
        *,
        components: Mapping[str, tuple[str, ...]] = COMPONENTS,
        connections: Mapping[str, Mapping[str, Any]] | None = None,
        default_deferrable: bool = True,
        config: Mapping[str, Mapping[str, str]] | None = None,
        env: Mapping[str, str] | None = None,
        serve_logs: bool = False,
        say: Callable[[str], None] = lambda _step: None,
        python: str = sys.executable,
        start_timeout: float = 120,
    ) -> None:
        self.home = home.resolve()
        self.dags = dags.resolve()
        self.user = USER
        self.password = "admin"
        self.url = f"http://127.0.0.1:{free_port()}"
        self.client = AirflowClient(self.url, self.user, self.password)
        self.processes = Processes(self.home, environment(self.home) | dict(env or {}))
        self._components = dict(components)
        self._connections = dict(connections or {})
        self._config = configuration(self.home, self.dags, self.url, default_deferrable=default_deferrable)
        for option in ("worker_log_server_port", "trigger_log_server_port"):
            self._config["logging"][option] = str(free_port() if serve_logs else _NO_LOG_SERVER)
        self._serve_logs = serve_logs
        for section, options in (config or {}).items():
            self._config.setdefault(section, {}).update(options)
        self._say = say
        self._python = python
        self._start_timeout = start_timeout

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
        self.processes.check()

    def stop(self) -> None:
        """Stop all components, and whatever they have started; safe to call twice."""
        if self.processes.alive():
            self._say("Stopping Airflow")
        self.processes.stop()

    def start_component(self, name: str) -> None:
        """Start a component, or start it again once it has ended."""
        arguments = self._components[name]
        if arguments[0] in _LOG_SERVING and not self._serve_logs:
            arguments = (*arguments, _WITHOUT_LOG_SERVER)
        self.processes.start(name, self._airflow(*arguments))

    def wait_until_healthy(self) -> None:
        """Wait until the API server answers and says that there is at least one living component of each kind."""
        self._wait(self._unhealthy)

    def _start(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        write_config(self.home / "airflow.cfg", self._config)
        (self.home / "passwords.json").write_text(json.dumps({self.user: self.password}))

        self._say("Creating Airflow's database")
        self.processes.run("db", self._airflow("db", "migrate"), self._start_timeout)
        file = self.home / "airflow.db"
        if file.exists():
            with contextlib.closing(sqlite3.connect(file)) as database:
                # Kept in the file: who reads doesn't hold up who writes.
                database.execute("PRAGMA journal_mode=WAL")
                give_each_trigger_its_own_id(database)

        self._say(f"Starting Airflow: {', '.join(self._components)}")
        for name in self._components:
            self.start_component(name)
        self.wait_until_healthy()
        for conn_id, connection in self._connections.items():
            self.client.add_connection(conn_id, connection)
        self._say(f"Loading the DAGs of {self.dags.name}")
        self._wait(lambda: find_unparsed(self.dags, self.client))

    def _airflow(self, *arguments: str) -> tuple[str, ...]:
        return (self._python, "-m", "airflow", *arguments)

    def _wait(self, missing: Callable[[], list[str]]) -> None:
        deadline = time.monotonic() + self._start_timeout
        while found := missing():
            self.check()
            if time.monotonic() > deadline:
                raise AirflowStartError(
                    f"Not ready after {self._start_timeout:.0f} s: {', '.join(found)}. Logs in {self.home}\n"
                    f"{self.processes.tails()}"
                )
            time.sleep(0.25)

    def _unhealthy(self) -> list[str]:
        try:
            health = self.client.health()
        except OSError:  # not listening yet
            return ["api-server"]
        return [part for part in ("scheduler", "triggerer", "dag_processor") if health.get(part) != "healthy"]


def give_each_trigger_its_own_id(database: sqlite3.Connection) -> None:
    """
    Make SQLite give no id of a deleted trigger to another one, as other databases do; there are no triggers yet.

    Otherwise a new trigger may get the id of one that a user has just ended: the triggerer, which knows the id, would
    never start it.
    """
    found = "SELECT sql FROM sqlite_master WHERE tbl_name = 'trigger' AND sql IS NOT NULL ORDER BY type = 'index'"
    table, *indexes = [sql for (sql,) in database.execute(found)]
    table = table.replace("id INTEGER NOT NULL", "id INTEGER PRIMARY KEY AUTOINCREMENT", 1)
    table = re.sub(r",\s*CONSTRAINT \w+ PRIMARY KEY \(id\)", "", table)
    for statement in ('DROP TABLE "trigger"', table, *indexes):
        database.execute(statement)


def find_unparsed(dags: Path, client: AirflowClient) -> list[str]:
    """
    Return the DAG files of a folder that Airflow hasn't parsed yet.

    Raise :class:`AirflowStartError` if it can't import one: its DAGs would only be "not found" later.
    """
    errors = client.import_errors()
    if errors:
        raise AirflowStartError(
            "\n".join(f"{file} cannot be imported:\n{trace}" for file, trace in sorted(errors.items()))
        )
    files = {
        path.relative_to(dags).as_posix()
        for path in dags.rglob("*.py")
        if any(sign in path.read_text("utf-8") for sign in ("DAG(", "@dag"))
    }
    return sorted(files - {dag.file for dag in client.dags()})
