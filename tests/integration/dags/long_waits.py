"""Waits that show the job's log, are warned about, and fail for lack of progress; see `test_long_waits.py`."""

from __future__ import annotations

import logging
from typing import Any

from airflow.sdk import DAG

from airflow_provider_asyncapi.operators.job import AsyncApiJobOperator
from airflow_provider_asyncapi.sensors.asyncapi import AsyncApiSensor


def tell(context: Any) -> None:
    """Log that the job is late, on a worker."""
    logging.getLogger("airflow.task").info("told about job %s", context["job"]["identifier"])


STATUS: dict[str, Any] = {
    "asyncapi_conn_id": "standard_plain",
    "completion_key": "status",
    "completion_value": "done",
    "endpoint": "{{ dag_run.conf['url'] }}/jobs/{identifier}",
    "poke_interval": 1,
    "deferrable": True,
}

with DAG("long_waits", schedule=None):
    AsyncApiSensor(
        task_id="logged",
        job="logged",
        logs={"endpoint": "{{ dag_run.conf['url'] }}/logs/{identifier}"},
        **STATUS,
    )
    AsyncApiSensor(
        task_id="late",
        job="late",
        logs={"endpoint": "{{ dag_run.conf['url'] }}/logs/{identifier}"},
        warn_after=5,
        on_warning_callback=tell,
        **STATUS,
    )
    AsyncApiSensor(task_id="stalled", job="stalled", stall_timeout=5, **STATUS)
    AsyncApiSensor(
        task_id="limited",
        job="limited",
        # The first response, and the only one, names the time of the next request in a field of its own.
        retry_after="again_in",
        **{**STATUS, "poke_interval": 60},
    )
    # The API has no jobs: it only states when a table was loaded last.
    AsyncApiJobOperator(
        task_id="compared",
        asyncapi_conn_id="standard_plain",
        submit={
            "prepare": {
                "method": "GET",
                "endpoint": "{{ dag_run.conf['url'] }}/loads/orders",
                "capture": {"before": "loaded_at"},
            },
            "endpoint": "{{ dag_run.conf['url'] }}/loads/orders",
            "identifier": "table",
        },
        status={
            "endpoint": "{{ dag_run.conf['url'] }}/loads/{identifier}",
            "rules": [{"selector": "loaded_at", "gt": "{before}", "outcome": "success"}],
            "poke_interval": 1,
        },
        deferrable=True,
    )
