"""
Measure what a waiting job costs in workers (slots, seconds in slots, CPU), next to the http provider's sensor.

A real Airflow (LocalExecutor, SQLite) runs one DAG after the other, each with a sensor for each job. Then another
Airflow does, whose workers have imported :mod:`airflow_provider_asyncapi.preload`. Each job ends a number of seconds
after its first poll. The titles of the executor's processes and the accounting of the system have the figures.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.measure import table
from benchmarks.workers import Contender, make_head, measure_contenders, parse_arguments, serve_jobs, write_dags
from demo.airflow import LocalAirflow

_OURS = """
from airflow_provider_asyncapi.sensors.asyncapi import AsyncApiSensor


def ours(**given):
    return lambda job: AsyncApiSensor(
        task_id=job, job=job, endpoint="/jobs/{{identifier}}", completion_key="status", completion_value="done",
        poke_interval={interval}, asyncapi_conn_id="slots", **given,
    )
"""
_HTTP = """
from airflow.providers.http.sensors.http import HttpSensor


def http(**given):
    # It waits for as long as it is answered 404.
    return lambda job: HttpSensor(
        task_id=job, endpoint="finished/" + job, poke_interval={interval}, http_conn_id="slots_http", **given
    )
"""
_CONTENDERS = {
    "ours": Contender("AsyncApiSensor, deferred", "ours(deferrable=True)", _OURS),
    "end": Contender("… end_from_trigger", "ours(deferrable=True, end_from_trigger=True)", _OURS),
    "start": Contender("… start_from_trigger", "ours(deferrable=True, start_from_trigger=True)", _OURS),
    "both": Contender("… both", "ours(deferrable=True, start_from_trigger=True, end_from_trigger=True)", _OURS),
    "http": Contender("HttpSensor, deferred", "http(deferrable=True)", _HTTP),
    "http_reschedule": Contender("HttpSensor, reschedule", "http(mode='reschedule')", _HTTP),
    "http_poke": Contender("HttpSensor, poke", "http(mode='poke')", _HTTP),
}


def main(given: list[str] | None = None) -> None:
    """Measure and print."""
    arguments = parse_arguments(given, "python -m benchmarks.slots", __doc__, _CONTENDERS, jobs=20)
    rows = [make_head(arguments)]
    with tempfile.TemporaryDirectory() as folder, serve_jobs(arguments.seconds) as port:
        dags = Path(folder, "dags")
        dags.mkdir()
        write_dags(dags, arguments, "slots_")
        connections: dict[str, dict[str, Any]] = {
            "slots": {"conn_type": "asyncapi", "host": f"http://127.0.0.1:{port}"},
            "slots_http": {"conn_type": "http", "host": "127.0.0.1", "port": port},
        }
        Path(folder, "airflow_local_settings.py").write_text("import airflow_provider_asyncapi.preload\n")
        # A slot for each job, so that none has to wait for one.
        config = {"core": {"parallelism": str(arguments.jobs + 2)}}
        for suffix, env in (("", {}), (", preloaded", {"PYTHONPATH": folder})):
            home = Path(folder, "preloaded" if env else "plain")
            with LocalAirflow(home, dags, connections=connections, config=config, env=env) as airflow:
                rows += measure_contenders(airflow, arguments, "slots_", suffix)
    table("Waiting in Airflow", rows)


if __name__ == "__main__":
    main(sys.argv[1:])
