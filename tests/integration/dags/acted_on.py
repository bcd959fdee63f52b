"""Tasks that wait until a user acts on them; see `test_actions.py`."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG

from airflow_provider_asyncapi.operators.asyncapi import AsyncApiTriggerOperator
from airflow_provider_asyncapi.operators.job import AsyncApiJobOperator
from airflow_provider_asyncapi.sensors.asyncapi import AsyncApiSensor
from tests.integration.dying_sensor import DyingSensor

URL = "{{ dag_run.conf['url'] }}"
STATUS: dict[str, Any] = {
    "endpoint": URL + "/jobs/{identifier}",
    "completion_key": "status",
    "completion_value": "done",
    "failure_value": ["failed", "cancelled"],
    "cancel": {"method": "DELETE", "endpoint": URL + "/jobs/{identifier}"},
    # Only what a user does ends these waits in time.
    "poke_interval": 3600,
    "timeout": 7200,
}
ARGUMENTS = {"asyncapi_conn_id": "standard_plain", "retries": 2, "retry_delay": timedelta(seconds=1)}


def submit_of(name: str) -> dict[str, Any]:
    return {"endpoint": f"{URL}/submit/{name}", "identifier": "id"}


with DAG("acted_on", schedule=None, default_args=ARGUMENTS):
    for name in ("cancelled", "polled", "again", "kept"):
        submit = AsyncApiTriggerOperator(task_id=f"submit_{name}", **submit_of(name))
        status = {**STATUS, "cancel": None} if name == "kept" else STATUS
        wait = AsyncApiSensor(task_id=name, job=submit.handle, deferrable=True, soft_fail=name == "cancelled", **status)
        submit >> wait >> EmptyOperator(task_id=f"after_{name}")
    submit = AsyncApiTriggerOperator(task_id="submit_killed", **submit_of("killed"))
    submit >> DyingSensor(task_id="killed", job=submit.handle, deferrable=True, **STATUS)
    for name in ("alone", "alone_again", "outlived"):
        AsyncApiJobOperator(task_id=name, submit=submit_of(name), status=STATUS, deferrable=True)
    for name, mode in (("poked", "poke"), ("rescheduled", "reschedule"), ("rescheduled_polled", "reschedule")):
        submit = AsyncApiTriggerOperator(task_id=f"submit_{name}", **submit_of(name))
        submit >> AsyncApiSensor(task_id=name, job=submit.handle, deferrable=False, mode=mode, **STATUS)
