"""The ``job`` that a task receives."""

from __future__ import annotations

from typing import Any

from airflow_provider_asyncapi.core.errors import AsyncApiError
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.exceptions import to_airflow


def parse_job(given: Any) -> JobHandle:
    """
    Return the job handle for the ``job`` that a task received: a job handle as plain data, or a bare identifier.

    :raises AirflowFailException: if it is neither.
    """
    try:
        return JobHandle.parse(given)
    except AsyncApiError as error:
        raise to_airflow(error) from error
