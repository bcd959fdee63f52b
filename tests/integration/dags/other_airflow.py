"""DAGs that run another DAG through Airflow's REST API, as that of another installation, and the DAG that is run."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, task

from airflow_provider_asyncapi.job import async_api_job

with DAG("called", schedule=None):

    @task
    def report(dag_run: Any = None) -> dict[str, Any]:
        """Return the configuration of the run, fail, or take longer than anybody waits."""
        conf: dict[str, Any] = dag_run.conf
        if conf["outcome"] == "failed":
            raise RuntimeError("the report has no rows")
        if conf["outcome"] == "stuck":
            time.sleep(600)
        return conf

    report()

# A request that Airflow's database is too busy for is repeated.
DEFAULTS = {"retries": 5, "retry_delay": timedelta(seconds=2), "deferrable": True}

with DAG("calling", schedule=None, default_args=DEFAULTS):
    for outcome in ("success", "failed", "stuck"):
        async_api_job(
            outcome,
            asyncapi_conn_id="other_airflow",
            profile="airflow/dag_runs",
            submit={"variables": {"dag": "called", "task": "report", "conf": {"outcome": outcome, "days": [1, 2]}}},
            status={"poke_interval": 1, **({"timeout": 20, "retries": 0} if outcome == "stuck" else {})},
            fetch={},
        )
