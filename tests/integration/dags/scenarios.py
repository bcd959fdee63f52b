"""DAGs for the integration tests: what goes otherwise than in the examples."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG

from airflow_provider_asyncapi.job import async_api_job
from airflow_provider_asyncapi.operators.asyncapi import AsyncApiFetchOperator, AsyncApiTriggerOperator
from airflow_provider_asyncapi.operators.job import AsyncApiJobOperator
from airflow_provider_asyncapi.sensors.asyncapi import AsyncApiSensor

MODES: dict[str, dict[str, Any]] = {
    "deferred": {"deferrable": True, "poke_interval": 1},
    "poke": {"deferrable": False, "mode": "poke", "poke_interval": 1},
    "reschedule": {"deferrable": False, "mode": "reschedule", "poke_interval": 1},
}

# The same job, waited for in three ways.
for outcome in ("orders", "broken"):
    with DAG(f"modes_{outcome}", schedule=None, default_args={"asyncapi_conn_id": "celigo", "profile": "celigo"}):
        submit = AsyncApiTriggerOperator(task_id="submit", variables={"flow": outcome})
        for name, mode in MODES.items():
            submit >> AsyncApiSensor(task_id=name, job=submit.handle, **mode)

with DAG("soft_fail", schedule=None):
    async_api_job(
        "broken",
        asyncapi_conn_id="celigo",
        profile="celigo",
        submit={"variables": {"flow": "broken"}},
        status={"poke_interval": 1, "deferrable": True, "soft_fail": True},
        fetch={},
    )

# A job that never ends: cancelled at the deadline, or when somebody marks the task.
for name, timeout in (("deadline", 4), ("killed", 600)):
    with DAG(name, schedule=None):
        async_api_job(
            "stuck",
            asyncapi_conn_id="celigo",
            profile="celigo",
            submit={"variables": {"flow": "stuck"}},
            status={"poke_interval": 1, "timeout": timeout, "deferrable": True},
        )

# A job that never ends, in a task that runs as long as the job: a Clear finds it running.
with DAG("cleared_while_running", schedule=None):
    AsyncApiJobOperator(
        task_id="job",
        asyncapi_conn_id="celigo",
        profile="celigo",
        submit={"variables": {"flow": "stuck"}},
        status={"poke_interval": 1, "timeout": 600},
        deferrable=False,
        retries=2,
    )

# The interval is that of Retry-After; but an overdue poll is spread over `poke_interval`.
with DAG("standard_soon", schedule=None, params={"finish": "303"}):
    async_api_job(
        "job",
        asyncapi_conn_id="standard",
        profile="http_202",
        submit={"endpoint": "/standard/jobs", "json": {"outcome": "ok", "finish": "{{ params.finish }}"}},
        status={"poke_interval": 1, "deferrable": True},
        fetch={},
    )

# An API after IVOA's UWS: a form creates the job, another starts it, XML says how it is, and where the result is.
with DAG("two_steps", schedule=None, default_args={"asyncapi_conn_id": "standard_plain"}):
    submit = AsyncApiTriggerOperator(
        task_id="submit",
        endpoint="/standard/uws",
        data={"outcome": "ok"},
        identifier="header:Location",
        start={"endpoint": "{identifier}/phase", "data": {"PHASE": "RUN"}},
    )
    wait = AsyncApiSensor(
        task_id="wait",
        job=submit.handle,
        endpoint="{identifier}",
        headers={"Accept": "application/xml"},
        completion_key="xpath://uws:phase",
        completion_value="COMPLETED",
        failure_value=["ERROR", "ABORTED"],
        running_value=["PENDING", "QUEUED", "EXECUTING"],
        result_identifier="xpath://uws:result/@xlink:href",
        poke_interval=1,
        deferrable=True,
    )
    submit >> wait >> AsyncApiFetchOperator(task_id="fetch", job=wait.handle, endpoint="{result_identifier}")

with DAG("half_filled_connection", schedule=None):
    AsyncApiTriggerOperator(task_id="submit", asyncapi_conn_id="half_filled", endpoint="/x", identifier="id")

with DAG("deleted_connection", schedule=None):
    AsyncApiSensor(
        task_id="wait",
        asyncapi_conn_id="deleted",
        job="7",
        endpoint="/x/{identifier}",
        completion_key="status",
        completion_value="done",
        deferrable=True,
    )

with DAG("secret_in_a_header", schedule=None):
    AsyncApiSensor(
        task_id="wait",
        asyncapi_conn_id="standard_plain",
        job="7",
        endpoint="/x/{identifier}",
        # A template hides it while the DAG is parsed.
        headers={"X-Token": "{{ 'planted-header' ~ '-secret' }}"},
        completion_key="status",
        completion_value="done",
        deferrable=True,
    )

# Identifiers alone are enough where nothing else was captured: by mapping over what the submits return.
with DAG("mapped_by_identifier", schedule=None, default_args={"asyncapi_conn_id": "standard"}):
    mapped = AsyncApiTriggerOperator.partial(task_id="submit", endpoint="/standard/jobs").expand(
        json=[{"outcome": "ok"}, {"outcome": "ok", "finish": "303"}]
    )
    waits = AsyncApiSensor.partial(task_id="wait", poke_interval=1, deferrable=True).expand(job=mapped.output)
    AsyncApiFetchOperator.partial(task_id="fetch").expand(job=waits.output)
