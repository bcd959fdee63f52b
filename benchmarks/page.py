"""
Measure the page of jobs next to Airflow's own list of task instances, on the same database.

The database holds the given number of waits, each with its XComs and its trigger. Each request goes through the web
application without a network, and the requests take turns. Postgres needs ``make .venv/.cluster``.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from benchmarks.measure import table

#: The first is what the others are compared with.
_REQUESTS = {
    "Airflow: task instances": "/api/v2/dags/~/dagRuns/~/taskInstances?limit=50&order_by=-start_date",
    "jobs, the first page": "/asyncapi/jobs",
    "jobs, at risk first": "/asyncapi/jobs?order_by=risk",
    "jobs, at risk only": "/asyncapi/jobs?health=warning&health=critical&order_by=risk",
    "jobs, the last page": "/asyncapi/jobs?offset={last}",
    "jobs, searched": "/asyncapi/jobs?search=j-77",
    "jobs of a connection": "/asyncapi/jobs?conn_id=vendor-1",
    "details of one": "/asyncapi/jobs/details?dag_id=exports&run_id=run-1&task_id=wait&map_index=7",
    "overview": "/asyncapi/connections",
    "jobs.csv": "/asyncapi/jobs.csv",
}
_JOBS_PER_RUN = 500


def main(given: list[str] | None = None) -> None:
    """Measure and print: each database in a process of its own, since Airflow connects to one."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.page", description=__doc__)
    parser.add_argument("--jobs", type=int, default=10_000, help="number of waits in the database")
    parser.add_argument("--rounds", type=int, default=15, help="number of requests of each kind")
    parser.add_argument("--databases", nargs="+", choices=("sqlite", "postgres"), default=["sqlite", "postgres"])
    parser.add_argument("--url", help=argparse.SUPPRESS)
    arguments = parser.parse_args(given or [])
    if arguments.url is not None:
        _measure_database(arguments)
        return
    for name in arguments.databases:
        with _running_database(name) as environment:
            options = [f"--jobs={arguments.jobs}", f"--rounds={arguments.rounds}", f"--databases={name}"]
            url = environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]
            command = [sys.executable, "-m", "benchmarks.page", *options, f"--url={url}"]
            subprocess.run(command, env={**os.environ, **environment}, check=True)


@contextmanager
def _running_database(name: str) -> Iterator[dict[str, str]]:
    """Start a database; return the environment of an Airflow that uses it."""
    with ExitStack() as stack:
        home = stack.enter_context(tempfile.TemporaryDirectory())
        url = f"sqlite:///{home}/jobs.db"
        if name == "postgres":
            from tests.cluster.services import running_services  # noqa: PLC0415 - needs the group cluster

            url = stack.enter_context(running_services()).postgres_url("psycopg2")
        yield {
            "AIRFLOW_HOME": home,
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": url,
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
        }


def _measure_database(arguments: argparse.Namespace) -> None:
    from sqlalchemy import create_engine  # noqa: PLC0415 - as below

    from tests.unit.plugins.airflow_database import Database  # noqa: PLC0415 - imports Airflow

    engine = create_engine(arguments.url)
    database = Database(engine)
    fill(database, arguments.jobs)
    rows = _measure(database, arguments)
    engine.dispose()
    head = (f"{arguments.jobs} waits, {arguments.databases[0]}", "ms (median)", "ms (least)", "queries", "ratio")
    table("The page of jobs; the ratio is to Airflow's list", [head, *rows])


def fill(database: Any, jobs: int) -> None:
    """
    Store the waits: two thirds are deferred, a twelfth has an error, the others have ended.

    For every other one, what its first poll has found is part of the summary of the wait.
    """
    from tests.unit.plugins.airflow_database import moment, xcoms  # noqa: PLC0415 - imports Airflow

    now, entry = dt.datetime.now(dt.UTC), {"at": moment(minutes=3), "kind": "status", "status": "RUNNING"}
    history = {"entries": [entry] * 20, "last_response": {"text": "x" * 2000}}
    first = {"entries": [entry], "last_response": {"text": "x" * 800}}
    triggers = iter(database.add_triggers(jobs, heartbeat=now))
    for run in range(-(-jobs // _JOBS_PER_RUN)):
        tasks = []
        for number in range(min(_JOBS_PER_RUN, jobs - run * _JOBS_PER_RUN)):
            kind, conn_id = number % 12, f"vendor-{number % 5}"
            made = xcoms(f"j-{run}-{number}", error="answered 503" if kind == 0 else None, conn_id=conn_id)
            if number % 2:
                made["job_wait"] |= {"poll": made.pop("job_poll"), "history": first}
            else:
                made["job_history"] = history
            ended = {8: "success", 9: "success", 10: "failed", 11: "skipped"}.get(kind)
            tasks.append(
                {
                    "map_index": number,
                    "state": ended or "deferred",
                    "end_date": now if ended else None,
                    "xcoms": made,
                    "trigger_id": None if ended else next(triggers),
                }
            )
        database.add_tasks(database.add_run("exports", f"run-{run}"), tasks)
    with database.engine.begin() as connection:
        connection.exec_driver_sql("ANALYZE")


def _measure(database: Any, arguments: argparse.Namespace) -> list[tuple[str, ...]]:
    from airflow.api_fastapi.app import create_app  # noqa: PLC0415 - after the configuration
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser  # noqa: PLC0415 - as above
    from airflow.api_fastapi.common.db.common import _get_session  # noqa: PLC0415 - as above
    from airflow.api_fastapi.core_api.security import get_user  # noqa: PLC0415 - as above
    from fastapi.testclient import TestClient  # noqa: PLC0415 - as above

    from airflow_provider_asyncapi.plugins.app import make_app  # noqa: PLC0415 - imports Airflow

    def session() -> Iterator[Any]:
        with database.session() as opened:
            yield opened

    clients = {"/api": TestClient(create_app(apps="core")), "/asyncapi": TestClient(make_app())}
    for client in clients.values():
        app: Any = client.app
        app.dependency_overrides[_get_session] = session
        app.dependency_overrides[get_user] = lambda: SimpleAuthManagerUser(username="admin", role="admin")
    seconds: dict[str, list[float]] = {name: [] for name in _REQUESTS}
    queries: dict[str, int] = {}
    for turn in range(arguments.rounds + 1):
        for name, template in _REQUESTS.items():
            path = template.format(last=arguments.jobs - 50)
            prefix = "/asyncapi" if path.startswith("/asyncapi") else ""
            client = clients[prefix or "/api"]
            database.statements.clear()
            began = time.perf_counter()
            answer = client.get(path.removeprefix(prefix))
            took = time.perf_counter() - began
            answer.raise_for_status()
            queries[name] = len(database.statements)
            if turn:
                seconds[name].append(took)
    own = statistics.median(seconds[next(iter(_REQUESTS))])
    return [
        (
            name,
            f"{1000 * statistics.median(each):.0f}",
            f"{1000 * min(each):.0f}",
            str(queries[name]),
            f"{statistics.median(each) / own:.2f}",
        )
        for name, each in seconds.items()
    ]


if __name__ == "__main__":
    main(sys.argv[1:])
