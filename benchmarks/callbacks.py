"""
Measure how soon a callback resumes its task, and how many callbacks Airflow's API server handles.

Runs on a real Airflow with Postgres. First, tasks wait for jobs that end at different times, one half by callbacks and
the other by polling every 30 s. The time until a task isn't deferred any more is measured. Then callbacks flood the API
server, each for a waiting task whose row is created in the database, while a page of the UI is requested twice a
second. Takes four minutes.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp

from airflow_provider_asyncapi.core.callbacks.calls import PATH, CallbackReference, make_task_key
from airflow_provider_asyncapi.monitoring.xcoms import AWAITED_KEY, SUBMISSION_KEY
from benchmarks.database import Database
from benchmarks.measure import table
from demo.airflow import LocalAirflow
from tests.cluster.services import running_services

_HERE = Path(__file__).parent
_DAG, _FLOOD = "callbacks", "flood"
_SUBMIT, _WAIT = "jobs.called.submit", "jobs.called.wait"
#: Seconds after which a deferred task may be resumed from outside.
_SETTLED = 10.0


async def _latencies(airflow: LocalAirflow, database: Database, server: str, jobs: int) -> dict[str, list[float]]:
    """End the jobs at different times, and measure when their tasks resume."""
    run_id = "latency"
    airflow.client.trigger(_DAG, {"jobs": jobs}, run_id)
    tasks = {"callback": "jobs.called.wait", "polling": "jobs.polled.wait"}
    for task in tasks.values():
        await asyncio.to_thread(database.wait_until_deferred, run_id, task, jobs)
    await asyncio.sleep(_SETTLED)
    began = time.monotonic()
    moments = {(way, number): random.uniform(0, 30) for way in tasks for number in range(jobs)}
    found: dict[str, list[float]] = {way: [] for way in tasks}
    async with aiohttp.ClientSession() as session:

        async def finish(way: str, number: int) -> None:
            await asyncio.sleep(began + moments[way, number] - time.monotonic())
            async with session.post(f"{server}/finish/{way}/{number}") as answer:
                assert answer.status == 200

        finishing = asyncio.gather(*(finish(*place) for place in moments))
        open_ = set(moments)
        while open_:
            for way, task in tasks.items():
                for number, state in database.states(run_id, task).items():
                    if (way, number) in open_ and state != "deferred":
                        open_.discard((way, number))
                        found[way].append(time.monotonic() - began - moments[way, number])
            await asyncio.sleep(0.05)
        await finishing
    return found


def _wait_alike(database: Database, count: int) -> list[str]:
    """Create waiting tasks in the database, like the one of a real run; return the ends of their callback URLs."""
    references = [CallbackReference.make(uuid.uuid4(), secrets.token_bytes(32)) for _ in range(count)]
    waits = [str(uuid.uuid4()) for _ in range(count)]
    submits = [str(each.task_instance) for each in references]
    for task, ids in ((_SUBMIT, submits), (_WAIT, waits)):
        new = {"id": "c1::uuid", "map_index": "c0"}
        where = f"old.map_index = 0 AND old.task_id = '{task}'"
        database.multiply(_FLOOD, "task_instance", new, where, list(enumerate(ids, 1)))
    submission = f"old.task_id = '{_SUBMIT}' AND old.key = '{SUBMISSION_KEY}'"
    sql = f"SELECT value FROM task_state_store AS old WHERE run_id = %s AND map_index = 0 AND {submission}"
    kept = json.loads(database.query(sql, _FLOOD)[0][0])
    records = [{**kept, "key": each.text, "callbacks": [each.digest]} for each in references]
    where = f"old.map_index = 0 AND {submission}"
    rows: list[tuple[Any, ...]] = [(number, json.dumps(record)) for number, record in enumerate(records, 1)]
    database.multiply(_FLOOD, "task_state_store", {"map_index": "c0", "value": "c1"}, where, rows)
    submitter = {"dag_id": _DAG, "run_id": _FLOOD, "task_id": _SUBMIT}
    rows = [
        (
            number,
            AWAITED_KEY + make_task_key({**submitter, "map_index": number}),
            json.dumps({"task_instance": one, "heard": 0}),
        )
        for number, one in enumerate(waits, 1)
    ]
    where = f"old.map_index = 0 AND old.task_id = '{_WAIT}' AND old.key LIKE '{AWAITED_KEY}%%'"
    database.multiply(_FLOOD, "xcom", {"map_index": "c0", "key": "c1", "value": "c2::jsonb"}, where, rows)
    return [each.text for each in references]


async def _flood(airflow: LocalAirflow, database: Database, rate: int, seconds: int) -> dict[str, Any]:
    """Send callbacks at a steady rate, even if the responses are slower."""
    airflow.client.trigger(_DAG, {"jobs": 1}, _FLOOD)
    await asyncio.to_thread(database.wait_until_deferred, _FLOOD, _WAIT, 1)
    # No other process may resume the tasks or use the two cores.
    for name in ("scheduler", "triggerer", "dag-processor"):
        airflow.processes.kill(name)
    count = rate * seconds
    references = _wait_alike(database, count)
    await asyncio.sleep(_SETTLED)
    statuses: list[int] = []
    took: list[float] = []
    pages: list[float] = []
    over = asyncio.Event()

    async def look() -> None:
        while not over.is_set():
            began = time.monotonic()
            await asyncio.to_thread(airflow.client.call, "GET", "/api/v2/dags")
            pages.append(time.monotonic() - began)
            await asyncio.sleep(0.5)

    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=None)) as session:

        async def call(number: int) -> None:
            await asyncio.sleep(began + number / rate - time.monotonic())
            sent = time.monotonic()
            body = {"state": "done", "number": number, "result": ["x" * 500]}
            async with session.post(f"{airflow.url}{PATH}/{references[number]}", json=body) as answer:
                statuses.append(answer.status)
            took.append(time.monotonic() - sent)

        looking = asyncio.create_task(look())
        began = time.monotonic()
        await asyncio.gather(*(call(number) for number in range(count)))
        elapsed = time.monotonic() - began
        over.set()
        await looking
    states = list(database.states(_FLOOD, _WAIT).values())
    return {
        "sent": count,
        "taken": statuses.count(200),
        "resumed": states.count("scheduled"),
        "elapsed": elapsed,
        "p50": statistics.median(took),
        "p99": statistics.quantiles(took, n=100)[98],
        "page p50": statistics.median(pages),
        "page max": max(pages),
        "pages": len(pages),
    }


@contextmanager
def _job_api() -> Iterator[str]:
    """Run the API, and yield its address."""
    with subprocess.Popen([sys.executable, str(_HERE / "callbacks_server.py")], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()


def _measure(arguments: argparse.Namespace) -> None:
    with running_services() as services, tempfile.TemporaryDirectory() as home, _job_api() as server:
        database_config = {
            "sql_alchemy_conn": services.postgres_url("psycopg2"),
            "sql_alchemy_conn_async": services.postgres_url("asyncpg"),
        }
        airflow = LocalAirflow(
            Path(home),
            _HERE / "dags",
            connections={"calling": {"conn_type": "asyncapi", "host": server}},
            config={"database": database_config},
        )
        with airflow:
            database = Database(services)
            found = asyncio.run(_latencies(airflow, database, server, arguments.jobs))
            flood = asyncio.run(_flood(airflow, database, arguments.rate, arguments.seconds))
    rows: list[tuple[str, ...]] = [(f"{arguments.jobs} jobs each", "p50 s", "p90 s", "max s")]
    rows += [
        (
            way,
            f"{statistics.median(times):.2f}",
            f"{statistics.quantiles(times, n=10)[8]:.2f}",
            f"{max(times):.2f}",
        )
        for way, times in found.items()
    ]
    table("From the end of the job until its task resumes", rows)
    ratio = statistics.median(found["callback"]) / statistics.median(found["polling"])
    print(f"  callbacks take {ratio:.2f} times what polling every 30 s does")
    table(
        f"{arguments.rate} callbacks/s for {arguments.seconds} s at one API server process",
        [
            tuple(flood),
            tuple(str(value) if isinstance(value, int) else f"{value:.2f}" for value in flood.values()),
        ],
    )


def main(given: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.callbacks", description=__doc__)
    parser.add_argument("--jobs", type=int, default=20, help="number of jobs with callbacks, and with polls")
    parser.add_argument("--rate", type=int, default=200, help="callbacks per second")
    parser.add_argument("--seconds", type=int, default=30, help="duration of the flood")
    _measure(parser.parse_args(given or []))


if __name__ == "__main__":
    main(sys.argv[1:])
