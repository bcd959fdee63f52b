"""
How many mapped jobs a cluster finishes per minute: one task for each job beside three tasks.

The cluster is that of the tests: CeleryExecutor with two workers and two triggerers, on Postgres and Redis. It needs
``make .venv/.cluster``, and runs alone only: ``python -m benchmarks.mapped_jobs -h``.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.measure import table
from benchmarks.workers import compile_provider, serve_jobs
from demo.airflow import RUN_OVER, LocalAirflow
from tests.cluster.cluster import COMPONENTS, make_configuration
from tests.cluster.services import running_services

_CONTENDERS = {"one": "AsyncApiJobOperator", "three": "async_api_job: three tasks"}
_STAGES = """
from airflow.sdk import DAG, task_group

STAGES = {{
    "submit": {{"endpoint": "/jobs", "json": {{"number": "{{number}}"}}, "identifier": "id"}},
    "status": {{
        "endpoint": "/jobs/{{identifier}}", "completion_key": "status", "completion_value": "done",
        "poke_interval": {interval},
    }},
    "fetch": {{"endpoint": "/jobs/{{identifier}}/rows"}},
}}
"""
_DAGS = {
    "one": """
from airflow_provider_asyncapi.operators.job import AsyncApiJobOperator

with DAG("mapped_one", schedule=None, max_active_tasks=2000, max_active_runs=100):
    AsyncApiJobOperator.partial(task_id="job", asyncapi_conn_id="jobs", deferrable=True, **STAGES).expand(
        variables=[{{"number": number}} for number in range({jobs})]
    )
""",
    "three": """
from airflow_provider_asyncapi.job import async_api_job

STAGES["status"]["deferrable"] = True


@task_group
def job(number):
    submit = {{**STAGES["submit"], "variables": {{"number": number}}}}
    async_api_job("job", asyncapi_conn_id="jobs", **{{**STAGES, "submit": submit}})


with DAG("mapped_three", schedule=None, max_active_tasks=2000, max_active_runs=100):
    job.expand(number=list(range({jobs})))
""",
}


def main(given: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mapped_jobs", description=__doc__)
    parser.add_argument("--jobs", type=int, default=1000, help="number of jobs")
    # The scheduler compares each waiting task with all finished ones of its run, so that runs of thousands are slow.
    parser.add_argument("--per-run", type=int, default=50, help="number of mapped jobs of each DAG run")
    parser.add_argument("--seconds", type=float, default=20, help="duration of each job")
    parser.add_argument("--interval", type=float, default=5, help="seconds between polls")
    arguments = parser.parse_args(given or [])
    per_run = min(arguments.per_run, arguments.jobs)
    runs = math.ceil(arguments.jobs / per_run)
    compile_provider()
    with tempfile.TemporaryDirectory() as folder, running_services() as services, serve_jobs(arguments.seconds) as port:
        dags = Path(folder, "dags")
        dags.mkdir()
        for name, code in _DAGS.items():
            text = (_STAGES + code).format(interval=arguments.interval, jobs=per_run)
            (dags / f"{name}.py").write_text(text)
        connections: dict[str, dict[str, Any]] = {"jobs": {"conn_type": "asyncapi", "host": f"http://127.0.0.1:{port}"}}
        configuration = make_configuration(services)
        rows = [(f"{runs * per_run} jobs in runs of {per_run}", "seconds", "jobs per minute")]
        with LocalAirflow(
            Path(folder, "home"), dags, components=COMPONENTS, connections=connections, config=configuration
        ) as cluster:
            for name in _CONTENDERS:
                # The first run loads the modules and creates the connections for all others.
                _run(cluster, f"mapped_{name}", 1)
            for name, label in _CONTENDERS.items():
                took = _run(cluster, f"mapped_{name}", runs)
                rows.append((label, f"{took:.0f}", f"{runs * per_run / took * 60:.0f}"))
                print(*rows[-1], flush=True)
    table("Mapped jobs on a cluster", rows)


def _run(cluster: LocalAirflow, dag_id: str, runs: int) -> float:
    """Run a DAG several times at once, and return the seconds until the last run has ended."""
    began = time.monotonic()
    pending = [cluster.client.trigger(dag_id) for _ in range(runs)]
    while pending:
        cluster.check()
        states = {run_id: cluster.client.run_state(dag_id, run_id) for run_id in pending}
        if "failed" in states.values():
            raise RuntimeError(f"A run of {dag_id} has failed")
        pending = [run_id for run_id, state in states.items() if state not in RUN_OVER]
        time.sleep(1)
    return time.monotonic() - began


if __name__ == "__main__":
    main(sys.argv[1:])
