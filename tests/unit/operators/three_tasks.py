"""The three tasks with the arguments that they need."""

from __future__ import annotations

from typing import Any

from airflow_provider_asyncapi.operators.asyncapi import AsyncApiFetchOperator, AsyncApiTriggerOperator
from airflow_provider_asyncapi.sensors.asyncapi import AsyncApiSensor


def submit(**given: Any) -> AsyncApiTriggerOperator:
    return AsyncApiTriggerOperator(**{"task_id": "submit", "endpoint": "/jobs", "identifier": "id", **given})


def sensor(**given: Any) -> AsyncApiSensor:
    given = {"job": "j-1", "endpoint": "/jobs/{identifier}", "completion_key": "status", **given}
    return AsyncApiSensor(**{"task_id": "wait", "completion_value": "done", **given})


def fetch(**given: Any) -> AsyncApiFetchOperator:
    return AsyncApiFetchOperator(**{"task_id": "fetch", "job": "j-1", "endpoint": "/result", **given})
