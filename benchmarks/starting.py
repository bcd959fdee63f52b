"""
Measure how soon a triggerer that starts has polled for all waiting tasks, next to the http provider's trigger.

A real ``airflow triggerer`` on Postgres, with its default configuration except for the capacity, loads the triggers of
the waiting tasks from the database. The time from the start of its process until the server has received a poll for
each of them is measured.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

from benchmarks.database import Database
from benchmarks.measure import table
from benchmarks.polling import NAMES, serving, trigger
from demo.airflow import LocalAirflow
from demo.airflow.local import COMPONENTS
from tests.cluster.services import running_services

_DAG, _RUN = "starting", "starting"
_CONTENDERS = {
    "ours": NAMES["ours"],
    "environment": "ours, connection from the environment",
    "bare": NAMES["bare"],
    "http": NAMES["http"],
}
#: Found by the triggerer itself, like a connection in a secrets backend; others come from its supervisor.
_IN_ENVIRONMENT = "in_environment"
_PATIENCE = 300.0
#: Stores triggers as Airflow does, in place of the triggers of waiting tasks.
_FILL = """
import json, sys
from airflow.models import TaskInstance
from airflow.models.trigger import Trigger
from airflow.utils.session import create_session

with create_session() as session, open(sys.argv[1]) as file:
    session.query(TaskInstance).update({"trigger_id": None})
    session.query(Trigger).delete()
    triggers = [Trigger(classpath, kwargs) for classpath, kwargs in json.load(file)]
    session.add_all(triggers)
    session.flush()
    tasks = session.query(TaskInstance).where(TaskInstance.map_index >= 0)
    for task, trigger in zip(tasks, triggers, strict=True):
        task.trigger_id = trigger.id
"""


def _trigger(contender: str, number: int, url: str) -> tuple[str, dict[str, Any]]:
    """Return the class path and the arguments of a trigger."""
    if contender != "environment":
        return trigger(contender, number, url)
    classpath, arguments = trigger("ours", number, url)
    return classpath, {**arguments, "asyncapi_conn_id": _IN_ENVIRONMENT}


def _ask(url: str) -> int:
    """Request a number from the server."""
    with urllib.request.urlopen(url, timeout=30) as answer:
        return int(json.load(answer))


def _measure(airflow: LocalAirflow, contender: str, triggers: int, url: str) -> tuple[float, float, float]:
    """Return the seconds until the first, half and all of them were polled."""
    file = airflow.home / f"{contender}.json"
    file.write_text(json.dumps([_trigger(contender, number, url) for number in range(triggers)]))
    airflow.processes.run("fill", (sys.executable, "-c", _FILL, str(file)), _PATIENCE)
    _ask(f"{url}/forget")
    began = time.monotonic()
    airflow.start_component("triggerer")
    moments: list[float] = []
    while len(moments) < triggers:
        airflow.check()
        now = time.monotonic() - began
        if now > _PATIENCE:
            raise TimeoutError(f"{contender}: {len(moments)} of {triggers} were polled within {now:.0f} s")
        moments += [now] * (_ask(f"{url}/paths") - len(moments))
        time.sleep(0.1)
    airflow.processes.kill("triggerer")
    return moments[0], moments[triggers // 2], moments[-1]


def main(given: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.starting", description=__doc__)
    parser.add_argument("--triggers", type=int, default=1000, help="number of triggers")
    parser.add_argument("--only", nargs="+", default=list(_CONTENDERS), choices=list(_CONTENDERS))
    arguments = parser.parse_args(given or [])
    triggers = arguments.triggers
    rows: list[tuple[str, ...]] = [
        (f"{triggers} triggers, seconds from the triggerer's start until", "the first", "half", "all were polled")
    ]
    with running_services() as services, tempfile.TemporaryDirectory() as home, serving() as port:
        url = f"http://127.0.0.1:{port}"
        ours = {"conn_type": "asyncapi", "host": "http://127.0.0.1", "port": port}
        airflow = LocalAirflow(
            Path(home),
            Path(__file__).parent / "dags",
            components={**COMPONENTS, "triggerer": ("triggerer", "--capacity", str(2 * triggers))},
            connections={
                "asyncapi": ours,
                "http": {"conn_type": "http", "schema": "http", "host": "127.0.0.1", "port": port},
            },
            env={
                "PYTHONPATH": str(Path(__file__).parents[1]),
                f"AIRFLOW_CONN_{_IN_ENVIRONMENT.upper()}": json.dumps(ours),
            },
            config={
                "database": {
                    "sql_alchemy_conn": services.postgres_url("psycopg2"),
                    "sql_alchemy_conn_async": services.postgres_url("asyncpg"),
                }
            },
        )
        with airflow:
            database = Database(services)
            airflow.client.trigger(_DAG, {}, _RUN)
            database.wait_until_deferred(_RUN, "wait", 1)
            # No other process may resume the tasks or use the two cores.
            for name in ("scheduler", "triggerer", "dag-processor"):
                airflow.processes.kill(name)
            new = {"id": "gen_random_uuid()", "map_index": "c0"}
            database.multiply(_RUN, "task_instance", new, "old.map_index = -1", [(each,) for each in range(triggers)])
            for contender in arguments.only:
                found = _measure(airflow, contender, triggers, url)
                rows.append((_CONTENDERS[contender], *(f"{seconds:.1f}" for seconds in found)))
    table("Starting", rows)


if __name__ == "__main__":
    main(sys.argv[1:])
