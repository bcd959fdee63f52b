"""Measure what importing the operators costs a DAG file, next to the http provider's."""

from __future__ import annotations

import sys

from benchmarks.measure import cpu_milliseconds, parse_rounds, table

_TIMED = """
import airflow.sdk
from airflow.sdk import DAG, BaseOperator, BaseSensorOperator
import time
start = time.process_time()
{imports}
print((time.process_time() - start) * 1000)
"""
OURS = """
from airflow_provider_asyncapi.operators.asyncapi import AsyncApiFetchOperator, AsyncApiTriggerOperator
from airflow_provider_asyncapi.sensors.asyncapi import AsyncApiSensor
"""
PEER = """
from airflow.providers.http.operators.http import HttpOperator
from airflow.providers.http.sensors.http import HttpSensor
"""


def main(given: list[str] | None = None) -> None:
    """Measure and print."""
    rounds = parse_rounds("python -m benchmarks.imports", __doc__, given)
    costs = cpu_milliseconds({"ours": _TIMED.format(imports=OURS), "http": _TIMED.format(imports=PEER)}, rounds)
    rows = [("imported after airflow.sdk", "CPU ms", "of http's")]
    for name, label in (("ours", "our three operators"), ("http", "the http provider's two")):
        rows.append((label, f"{costs[name]:.1f}", f"{costs[name] / costs['http']:.2f}"))
    table("Import cost", rows)


if __name__ == "__main__":
    main(sys.argv[1:])
