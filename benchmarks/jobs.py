"""
Measure what a whole job costs in workers, next to the http provider and an operator by hand.

Each job is submitted, waited for and fetched. A real Airflow (LocalExecutor, SQLite) runs one DAG after the other. Then
another Airflow does, whose workers have imported :mod:`airflow_provider_asyncapi.preload`.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.measure import table
from benchmarks.workers import Contender, make_head, measure_contenders, parse_arguments, serve_jobs, write_dags
from demo.airflow import LocalAirflow

_BY_HAND_TASKS = """
from by_hand import HandWrittenOperator


def by_hand(name):
    HandWrittenOperator(task_id=name, url="{url}", interval={interval})
"""
_STAGES = """
STAGES = {{
    "submit": {{"endpoint": "/jobs", "identifier": "id"}},
    "status": {{
        "endpoint": "/jobs/{{identifier}}", "completion_key": "status", "completion_value": "done",
        "poke_interval": {interval},
    }},
    "fetch": {{"endpoint": "/jobs/{{identifier}}/rows"}},
}}
"""
_ONE_TASK = (
    _STAGES
    + """
from airflow_provider_asyncapi.operators.job import AsyncApiJobOperator


def one(**given):
    return lambda name: AsyncApiJobOperator(task_id=name, asyncapi_conn_id="jobs", deferrable=True, **STAGES, **given)
"""
)
_THREE_TASKS = (
    _STAGES
    + """
from airflow_provider_asyncapi.job import async_api_job


def three(name):
    status = {{**STAGES["status"], "deferrable": True}}
    async_api_job(name, asyncapi_conn_id="jobs", **{{**STAGES, "status": status}})
"""
)
_HTTP_TASKS = """
from airflow.providers.http.operators.http import HttpOperator
from airflow.providers.http.sensors.http import HttpSensor


def http(name):
    # Deferred, it would only send its one request in the triggerer, and take two processes instead of one.
    submit = HttpOperator(
        task_id=f"{{name}}_submit", endpoint="jobs", http_conn_id="jobs_http", deferrable=False,
        response_filter=lambda response: response.json()["id"],
    )
    # It waits for as long as it is answered 404.
    wait = HttpSensor(
        task_id=f"{{name}}_wait", endpoint="finished/{{{{ ti.xcom_pull('" + name + "_submit') }}}}",
        poke_interval={interval}, http_conn_id="jobs_http", deferrable=True,
    )
    fetch = HttpOperator(
        task_id=f"{{name}}_fetch", method="GET", http_conn_id="jobs_http", deferrable=False,
        endpoint="jobs/{{{{ ti.xcom_pull('" + name + "_submit') }}}}/rows",
        response_filter=lambda response: response.json(),
    )
    submit >> wait >> fetch
"""
_CONTENDERS = {
    "by_hand": Contender("one operator by hand, which submits, defers and fetches", "by_hand", _BY_HAND_TASKS),
    "one": Contender("AsyncApiJobOperator", "one()", _ONE_TASK),
    "in_trigger": Contender("… fetch_in_trigger", "one(fetch_in_trigger=True)", _ONE_TASK),
    "three": Contender("async_api_job: three tasks", "three", _THREE_TASKS),
    "http": Contender("HttpOperator, HttpSensor, HttpOperator", "http", _HTTP_TASKS),
}
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


def main(given: list[str] | None = None) -> None:
    """Measure and print."""
    arguments = parse_arguments(given, "python -m benchmarks.jobs", __doc__, _CONTENDERS, jobs=8)
    rows = [make_head(arguments)]
    with tempfile.TemporaryDirectory() as folder, serve_jobs(arguments.seconds) as port:
        dags, modules = Path(folder, "dags"), Path(folder, "modules")
        preloaded = Path(folder, "preloaded")
        for each in (dags, modules, preloaded):
            each.mkdir()
        url = f"http://127.0.0.1:{port}"
        write_dags(dags, arguments, "jobs_", url=url)
        (modules / "by_hand.py").write_text(_BY_HAND)
        (preloaded / "airflow_local_settings.py").write_text("import airflow_provider_asyncapi.preload\n")
        connections: dict[str, dict[str, Any]] = {
            "jobs": {"conn_type": "asyncapi", "host": url},
            "jobs_http": {"conn_type": "http", "host": "127.0.0.1", "port": port},
        }
        # A slot for each job, so that none has to wait for one.
        config = {"core": {"parallelism": str(arguments.jobs + 2)}}
        for suffix, path in (("", str(modules)), (", preloaded", f"{modules}:{preloaded}")):
            home = Path(folder, f"home{len(rows)}")
            with LocalAirflow(home, dags, connections=connections, config=config, env={"PYTHONPATH": path}) as airflow:
                rows += measure_contenders(airflow, arguments, "jobs_", suffix)
    table("Whole jobs in Airflow", rows)


if __name__ == "__main__":
    main(sys.argv[1:])
