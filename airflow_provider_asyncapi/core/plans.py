"""The plans of the three stages and the checkpoint of a wait, imported at their first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_asyncapi.core.lazy import load_lazily

if TYPE_CHECKING:
    from airflow_provider_asyncapi.core.fetch.plan import FetchPlan
    from airflow_provider_asyncapi.core.profiles.merging import drop_switched_off, merge_parameters
    from airflow_provider_asyncapi.core.requests.request_step import RequestStep
    from airflow_provider_asyncapi.core.submit.plan import SubmitPlan
    from airflow_provider_asyncapi.core.wait.checkpoint import WaitCheckpoint
    from airflow_provider_asyncapi.core.wait.plan import WaitPlan

__all__ = [
    "FetchPlan",
    "RequestStep",
    "SubmitPlan",
    "WaitCheckpoint",
    "WaitPlan",
    "drop_switched_off",
    "merge_parameters",
]

__getattr__ = load_lazily(
    globals(),
    {
        "airflow_provider_asyncapi.core.fetch.plan": "FetchPlan",
        "airflow_provider_asyncapi.core.profiles.merging": "drop_switched_off merge_parameters",
        "airflow_provider_asyncapi.core.requests.request_step": "RequestStep",
        "airflow_provider_asyncapi.core.submit.plan": "SubmitPlan",
        "airflow_provider_asyncapi.core.wait.checkpoint": "WaitCheckpoint",
        "airflow_provider_asyncapi.core.wait.plan": "WaitPlan",
    },
)
