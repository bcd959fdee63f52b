"""
Run DAGs in one process, in the ways that need no scheduler, and write how each ended to a file of JSON.

One process for all, since Airflow takes some ten seconds to begin: `without_scheduler.py RESULT CONNECTION`.
"""

from __future__ import annotations

import json
import os
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

RESULT, CONNECTION = sys.argv[1:3]


def airflow(*arguments: str) -> None:
    """Run a command as on the command line."""
    from airflow.__main__ import main

    sys.argv = ["airflow", *arguments]
    main()


def dag_test(dag_id: str) -> str:
    """Run `dag.test()`, as the last lines of a DAG file do."""
    from airflow.dag_processing.dagbag import DagBag

    run = DagBag(os.environ["ASYNCAPI_TEST_DAGS"]).dags[dag_id].test()
    return str(run.state)


def say(text: str) -> None:
    sys.stdout.write(f"=== {text}\n")
    sys.stdout.flush()


def outcome(run: Callable[[], Any]) -> str:
    try:
        return str(run() or "success")
    except SystemExit as end:
        return str(end.code or "success")
    except Exception as error:  # noqa: BLE001 - told by the test
        return f"{type(error).__name__}: {error}"


def new_job() -> str:
    """Submit a job as another tool would, and return its address."""
    url = json.loads(CONNECTION)["host"] + "/standard/jobs"
    request = urllib.request.Request(url, b'{"outcome": "ok"}', {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return str(answer.headers["Location"])


WAYS: dict[str, Callable[[], Any]] = {
    "connections add": lambda: airflow("connections", "add", "in_database", "--conn-json", CONNECTION),
    "dags test, database": lambda: airflow("dags", "test", "connection_in_database"),
    "dags test, environment": lambda: airflow("dags", "test", "connection_in_environment"),
    "dags test, backend": lambda: airflow("dags", "test", "connection_in_backend"),
    "dags test, callback": lambda: airflow("dags", "test", "callback_without_a_caller"),
    "dag.test()": lambda: dag_test("connection_in_database"),
    "dag.test(), by hand": lambda: dag_test("by_hand"),
    "tasks test": lambda: airflow("tasks", "test", "single_wait", "wait", "2026-01-01"),
}


def main() -> None:
    os.environ["ASYNCAPI_TEST_JOB"] = new_job()
    ends: dict[str, str] = {}
    for name, run in WAYS.items():
        say(name)
        ends[name] = outcome(run)
        say(f"{name}: {ends[name]}")
        Path(RESULT).write_text(json.dumps(ends))


if __name__ == "__main__":
    main()
