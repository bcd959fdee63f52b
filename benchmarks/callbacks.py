"""
How soon a callback moves its task on, and how many of them Airflow's API server takes.

On a real Airflow with Postgres. First tasks wait for jobs, one half for callbacks and the other by polling every 30 s,
and each job is done at a moment of its own: what is measured is the time until the task isn't deferred any more. Then
callbacks flood the API server for as many waiting tasks, whose rows are made for it in the database, while a page of
the UI is asked for twice a second. Takes four minutes: ``python -m benchmarks.callbacks -h``.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import random
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

import aiohttp
import psycopg2
from psycopg2.extras import execute_values

from airflow_provider_asyncapi.core.callbacks import PATH, Reference, by_task
from airflow_provider_asyncapi.xcoms import AWAITED_KEY
from benchmarks.measure import table
from demo.airflow import LocalAirflow
from tests.cluster.services import Services, running_services

_HERE = Path(__file__).parent
_DAG = "callbacks"
#: Seconds after which a deferred task may be resumed from outside.
_SETTLED = 10.0


class _Database:
    """Airflow's database, asked directly."""

    def __init__(self, services: Services) -> None:
        self._connection = psycopg2.connect(
            host="127.0.0.1", port=services.postgres_port, user="airflow", dbname="postgres"
        )
        self._connection.autocommit = True
        self.cursor = self._connection.cursor()

    def query(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        self.cursor.execute(sql, values)
        return self.cursor.fetchall()

    def states(self, run_id: str, task_id: str) -> dict[int, str]:
        sql = "SELECT map_index, state FROM task_instance WHERE run_id = %s AND task_id = %s"
        return dict(self.query(sql, run_id, task_id))


async def _latencies(airflow: LocalAirflow, database: _Database, server: str, jobs: int) -> dict[str, list[float]]:
    """Let each job be done at a moment of its own, and measure when its task goes on."""
    run_id = "latency"
    airflow.client.trigger(_DAG, {"jobs": jobs, "server": server}, run_id)
    tasks = {"callback": "called.wait", "polling": "polled.wait"}
    while any(list(database.states(run_id, task).values()).count("deferred") < jobs for task in tasks.values()):
        await asyncio.sleep(0.5)
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


def _wait_alike(database: _Database, count: int) -> list[str]:
    """Make so many waiting tasks in the database, like the first of a real run; give their callback URLs' ends."""
    run_id = "flood"
    references = [Reference.make(uuid.uuid4(), secrets.token_bytes(32)) for _ in range(count)]
    waits = [uuid.uuid4() for _ in range(count)]
    columns = {
        name: [row[0] for row in database.query("SELECT column_name FROM information_schema.columns WHERE table_name = %s", name)]
        for name in ("task_instance", "task_state_store", "xcom")
    }

    def copies(name: str, new: dict[str, str], where: str, rows: list[tuple[Any, ...]]) -> None:
        own = [column for column in columns[name] if (column not in new and column != "id") or (name == "task_instance" and column == "id" and "id" not in new)]
        into = ", ".join([*new, *own])
        values = ", ".join([*new.values(), *(f"old.{column}" for column in own)])
        names = ", ".join(f"c{number}" for number in range(len(rows[0])))
        sql = f"INSERT INTO {name} ({into}) SELECT {values} FROM (VALUES %s) AS new({names}), {name} AS old WHERE {where}"
        execute_values(database.cursor, sql, rows, page_size=1000)

    numbers = range(1, count + 1)
    own = "old.run_id = 'flood' AND old.map_index = 0 AND old.task_id = "
    for task, ids in (("called.submit", [each.task_instance for each in references]), ("called.wait", waits)):
        rows = [(str(one), number) for one, number in zip(ids, numbers, strict=True)]
        copies("task_instance", {"id": "c0::uuid", "map_index": "c1"}, f"{own} '{task}'", rows)
    ((record,),) = database.query(
        "SELECT value FROM task_state_store WHERE run_id = %s AND task_id = 'called.submit' AND key = 'asyncapi_submission'"
        " AND map_index = 0",
        run_id,
    )
    kept = json.loads(record)
    rows = [
        (number, json.dumps({**kept, "key": str(number), "callbacks": [hashlib.sha256(each.token).hexdigest()]}))
        for number, each in zip(numbers, references, strict=True)
    ]
    copies("task_state_store", {"map_index": "c0", "value": "c1"}, f"{own} 'called.submit' AND key = 'asyncapi_submission'", rows)
    keys = [
        AWAITED_KEY + by_task({"dag_id": _DAG, "run_id": run_id, "task_id": "called.submit", "map_index": number})
        for number in numbers
    ]
    waiting = [
        (number, key, json.dumps({"task_instance": str(one), "heard": 0}))
        for number, key, one in zip(numbers, keys, waits, strict=True)
    ]
    copies("xcom", {"map_index": "c0", "key": "c1", "value": "c2::jsonb"}, f"{own} 'called.wait' AND key LIKE 'asyncapi_awaited%%'", waiting)
    return [each.text for each in references]


async def _flood(airflow: LocalAirflow, database: _Database, server: str, rate: int, seconds: int) -> dict[str, Any]:
    """Call back at a steady rate, whether or not the answers keep up."""
    airflow.client.trigger(_DAG, {"jobs": 1, "server": server}, "flood")
    while list(database.states("flood", "called.wait").values()) != ["deferred"]:
        await asyncio.sleep(0.5)
    # Nobody else may move the tasks on, or lack the two cores.
    for name in ("scheduler", "triggerer", "dag-processor"):
        airflow.processes.kill(name)
    count = rate * seconds
    references = _wait_alike(database, count)
    await asyncio.sleep(_SETTLED)
    statuses: list[int] = []
    took: list[float] = []
    pages: list[float] = []
    over = asyncio.Event()
    token = airflow.client.call("GET", "/api/v2/monitor/health")
    del token

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
    states = list(database.states("flood", "called.wait").values())
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


async def _measure(arguments: argparse.Namespace) -> None:
    with (
        running_services() as services,
        tempfile.TemporaryDirectory() as home,
        subprocess.Popen([sys.executable, str(_HERE / "callbacks_server.py")], stdout=subprocess.PIPE) as api,
    ):
        assert api.stdout is not None
        server = f"http://127.0.0.1:{int(api.stdout.readline())}"
        database_config = {
            "sql_alchemy_conn": services.postgres_url("psycopg2"),
            "sql_alchemy_conn_async": services.postgres_url("asyncpg"),
        }
        airflow = LocalAirflow(
            Path(home),
            _HERE / "dags",
            connections={"calling": {"conn_type": "asyncapi", "host": server}},
            config={"database": database_config, "triggerer": {"capacity": "2000"}},
        )
        try:
            with airflow:
                database = _Database(services)
                found = await _latencies(airflow, database, server, arguments.jobs)
                flood = await _flood(airflow, database, server, arguments.rate, arguments.seconds)
        finally:
            api.kill()
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
    table("From the job's end until its task goes on", rows)
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
    parser.add_argument("--jobs", type=int, default=20, help="how many jobs call back, and how many are polled")
    parser.add_argument("--rate", type=int, default=200, help="callbacks a second")
    parser.add_argument("--seconds", type=int, default=30, help="for so long")
    asyncio.run(_measure(parser.parse_args(given or [])))


if __name__ == "__main__":
    main(sys.argv[1:])
