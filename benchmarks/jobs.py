"""
What a whole job costs in workers: submitted, waited for and fetched, beside the http provider and an operator by hand.

A real Airflow (LocalExecutor, SQLite) runs one DAG after the other, each with as many jobs as are asked for; then
another does, whose workers have imported :mod:`airflow_provider_asyncapi.preload`. Run alone, it takes arguments:
``python -m benchmarks.jobs -h``.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from benchmarks.measure import table
from benchmarks.slots import QuietServer, WorkerMeter, run_dag
from demo.airflow import LocalAirflow

#: Contender → its name, and the expression that makes its tasks.
_CONTENDERS = {
    "by_hand": ("one operator by hand, which submits, defers and fetches", "by_hand"),
    "one": ("AsyncApiJobOperator", "one()"),
    "in_trigger": ("… fetch_in_trigger", "one(fetch_in_trigger=True)"),
    "three": ("async_api_job: three tasks", "three"),
    "http": ("HttpOperator, HttpSensor, HttpOperator", "http"),
}
_DAGS = """
from airflow.providers.http.operators.http import HttpOperator
from airflow.providers.http.sensors.http import HttpSensor
from airflow.sdk import DAG
from by_hand import HandWrittenOperator

from airflow_provider_asyncapi.job import async_api_job
from airflow_provider_asyncapi.operators.job import AsyncApiJobOperator

STAGES = {{
    "submit": {{"endpoint": "/jobs", "identifier": "id"}},
    "status": {{
        "endpoint": "/jobs/{{identifier}}", "completion_key": "status", "completion_value": "done",
        "poke_interval": {interval},
    }},
    "fetch": {{"endpoint": "/jobs/{{identifier}}/rows"}},
}}


def one(**given):
    return lambda name: AsyncApiJobOperator(task_id=name, asyncapi_conn_id="jobs", deferrable=True, **STAGES, **given)


def three(name):
    status = {{**STAGES["status"], "deferrable": True}}
    async_api_job(name, asyncapi_conn_id="jobs", **{{**STAGES, "status": status}})


def http(name):
    submit = HttpOperator(
        task_id=f"{{name}}_submit", endpoint="jobs", http_conn_id="jobs_http",
        response_filter=lambda response: response.json()["id"],
    )
    # It waits for as long as it is answered 404.
    wait = HttpSensor(
        task_id=f"{{name}}_wait", endpoint="finished/{{{{ ti.xcom_pull('" + name + "_submit') }}}}",
        poke_interval={interval}, http_conn_id="jobs_http", deferrable=True,
    )
    fetch = HttpOperator(
        task_id=f"{{name}}_fetch", method="GET", http_conn_id="jobs_http",
        endpoint="jobs/{{{{ ti.xcom_pull('" + name + "_submit') }}}}/rows",
        response_filter=lambda response: response.json(),
    )
    submit >> wait >> fetch


def by_hand(name):
    HandWrittenOperator(task_id=name, url="{url}", interval={interval})


for name, make in ({contenders}).items():
    with DAG("jobs_" + name, schedule=None, max_active_tasks=1000):
        for number in range({jobs}):
            make(f"{{name}}_{{number}}")
"""
#: What one writes for one vendor, as the dbt provider has it, with a fetch.
_BY_HAND = """
import asyncio

import aiohttp
import requests
from airflow.sdk import BaseOperator
from airflow.triggers.base import BaseTrigger, TriggerEvent


class HandWrittenTrigger(BaseTrigger):
    def __init__(self, url, job, interval):
        super().__init__()
        self.url, self.job, self.interval = url, job, interval

    def serialize(self):
        return "by_hand.HandWrittenTrigger", {"url": self.url, "job": self.job, "interval": self.interval}

    async def run(self):
        async with aiohttp.ClientSession() as session:
            while True:
                async with session.get(f"{self.url}/jobs/{self.job}") as response:
                    if (await response.json())["status"] == "done":
                        yield TriggerEvent({"job": self.job})
                        return
                await asyncio.sleep(self.interval)


class HandWrittenOperator(BaseOperator):
    def __init__(self, *, url, interval, **kwargs):
        super().__init__(**kwargs)
        self.url, self.interval = url, interval

    def execute(self, context):
        response = requests.post(f"{self.url}/jobs", timeout=30)
        response.raise_for_status()
        job = response.json()["id"]
        context["ti"].xcom_push("job", job)
        if requests.get(f"{self.url}/jobs/{job}", timeout=30).json()["status"] != "done":
            trigger = HandWrittenTrigger(self.url, job, self.interval)
            self.defer(trigger=trigger, method_name="execute_complete")
        return self.execute_complete(context, {"job": job})

    def execute_complete(self, context, event):
        response = requests.get(f"{self.url}/jobs/{event['job']}/rows", timeout=30)
        response.raise_for_status()
        return response.json()
"""


class _Jobs(BaseHTTPRequestHandler):
    """Answers submits, whether a job is over (in its status, and by 404 while it isn't), and results."""

    protocol_version = "HTTP/1.1"
    seconds = 0.0
    numbers = itertools.count(1)
    begun: dict[str, float] = {}  # noqa: RUF012 - one for all requests

    def do_POST(self) -> None:
        """Begin a job."""
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        job = f"j-{next(self.numbers)}"
        self.begun[job] = time.monotonic()
        self._answer(201, {"id": job})

    def do_GET(self) -> None:
        """Answer about a job."""
        match self.path.strip("/").split("/"):
            case ["jobs", _, "rows"]:
                self._answer(200, [{"id": number} for number in range(20)])
            case ["jobs", job]:
                self._answer(200, {"status": "done" if self._is_over(job) else "running"})
            case ["finished", job]:
                self._answer(200 if self._is_over(job) else 404, {})
            case _:
                self._answer(400, {})

    def _is_over(self, job: str) -> bool:
        return time.monotonic() - self.begun[job] >= self.seconds

    def _answer(self, status: int, value: Any) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def _serve(seconds: float) -> Iterator[int]:
    """Serve jobs of a duration, and return the port."""
    _Jobs.seconds = seconds
    with QuietServer(("127.0.0.1", 0), _Jobs) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def main(given: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.jobs", description=__doc__)
    parser.add_argument("--jobs", type=int, default=8, help="how many jobs run at a time")
    parser.add_argument("--seconds", type=float, default=20, help="how long each takes")
    parser.add_argument("--interval", type=float, default=5, help="seconds from one poll to the next")
    parser.add_argument("--only", nargs="+", default=list(_CONTENDERS), choices=list(_CONTENDERS))
    arguments = parser.parse_args(given or [])
    jobs = arguments.jobs
    contenders = {name: _CONTENDERS[name] for name in _CONTENDERS if name in arguments.only}
    source = "{" + ", ".join(f"{name!r}: {make}" for name, (_, make) in contenders.items()) + "}"
    rows: list[tuple[str, ...]] = [
        (
            f"{jobs} jobs of {arguments.seconds:g} s, polled every {arguments.interval:g} s",
            "worker CPU s/job",
            "worker slot s/job",
            "slots at the peak",
            "Airflow's other CPU s/job",
            "run s",
        )
    ]
    with tempfile.TemporaryDirectory() as folder, _serve(arguments.seconds) as port:
        dags, modules = Path(folder, "dags"), Path(folder, "modules")
        preloaded = Path(folder, "preloaded")
        for each in (dags, modules, preloaded):
            each.mkdir()
        url = f"http://127.0.0.1:{port}"
        text = _DAGS.format(interval=arguments.interval, jobs=jobs, contenders=source, url=url)
        (dags / "jobs.py").write_text(text)
        (modules / "by_hand.py").write_text(_BY_HAND)
        (preloaded / "airflow_local_settings.py").write_text("import airflow_provider_asyncapi.preload\n")
        connections: dict[str, dict[str, Any]] = {
            "jobs": {"conn_type": "asyncapi", "host": url},
            "jobs_http": {"conn_type": "http", "host": "127.0.0.1", "port": port},
        }
        # A slot for each job, so that none has to wait for one.
        config = {"core": {"parallelism": str(jobs + 2)}}
        for ahead, path in (("", str(modules)), (", preloaded", f"{modules}:{preloaded}")):
            home = Path(folder, f"home{len(rows)}")
            env = {"PYTHONPATH": path}
            with LocalAirflow(home, dags, connections=connections, config=config, env=env) as airflow:
                # The first tasks of all load, compile and fork what the others find.
                run_dag(airflow, f"jobs_{next(iter(contenders))}")
                for name, (label, _) in contenders.items():
                    with WorkerMeter(airflow) as meter:
                        took = run_dag(airflow, f"jobs_{name}")
                    figures = (meter.worker_cpu / jobs, meter.slot_seconds / jobs, meter.peak, meter.other_cpu / jobs)
                    rows.append((label + ahead, *(f"{figure:.3g}" for figure in figures), f"{took:.0f}"))
                    print(*rows[-1], flush=True)
    table("Whole jobs in Airflow", rows)


if __name__ == "__main__":
    main(sys.argv[1:])
