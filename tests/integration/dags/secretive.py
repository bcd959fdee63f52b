"""Jobs at an API that wants secrets of every kind; `test_secrets.py` has the API and the connections."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG

from airflow_provider_asyncapi.job import async_api_job
from airflow_provider_asyncapi.operators.asyncapi import AsyncApiTriggerOperator

KINDS = (
    "basic",
    "bearer",
    "key_in_header",
    "key_in_query",
    "oauth1",
    "oauth2",
    "oauth2_password",
    "oauth2_refresh",
    "login",
    "connection",
    "digest",
    "hmac",
    "jwt",
    "jwt_bearer",
    "aws_sigv4",
    "headers",
    "variables",
    "proxy",
)
# What is refused or has failed isn't tried again; a task that a slow machine has lost is.
DEFAULTS = {"retries": 2, "retry_delay": timedelta(seconds=1)}


def job(kind: str, outcome: str) -> None:
    # Here requests name a secret of the connection; elsewhere the connection puts its own in.
    key = {"k": "{connection.key}"} if kind == "variables" else {}
    trigger: dict[str, Any] = {
        "endpoint": "/jobs",
        "json": {"outcome": outcome, **key},
        "headers": {f"X-{name}": value for name, value in key.items()},
        "identifier": "id",
    }
    status: dict[str, Any] = {
        "endpoint": "/jobs/{identifier}",
        "query_params": key,
        "completion_key": "status",
        "completion_value": "done",
        "failure_value": "failed",
        "running_value": "running",
        "error_message": "error",
        "poke_interval": 1,
        "timeout": 600,
        "deferrable": True,
        "cancel": {"method": "DELETE", "endpoint": "/jobs/{identifier}", "query_params": key},
    }
    # Where the result is says a signed URL, which is for whoever has it.
    link = {"endpoint": "/jobs/{identifier}/link", "query_params": key, "capture": {"url": "url"}}
    async_api_job(
        kind,
        asyncapi_conn_id=f"secretive_{kind}",
        submit=trigger,
        status=status,
        fetch={"locate": link, "endpoint": "{url}"},
    )


for end in ("done", "failed", "stuck"):
    with DAG(f"secretive_{end}", schedule=None, default_args=DEFAULTS):
        for one in KINDS:
            job(one, end)

with DAG("secretive_refused", schedule=None, default_args=DEFAULTS):
    for one in (*KINDS, "login_refused", "connection_refused"):
        AsyncApiTriggerOperator(
            task_id=one, asyncapi_conn_id=f"secretive_{one}", method="POST", endpoint="/refused", identifier="id"
        )
