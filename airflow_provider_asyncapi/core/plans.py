"""
What the three tasks were told, read and checked; and how a profile fills in what they leave out.

Each name is imported at its first use: until then, importing an operator costs a DAG file little.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_asyncapi.core.lazy import load_lazily

if TYPE_CHECKING:
    from airflow_provider_asyncapi.core.fetch.plan import FetchPlan
    from airflow_provider_asyncapi.core.profiles.merging import merge_parameters
    from airflow_provider_asyncapi.core.requests.step import Step
    from airflow_provider_asyncapi.core.submit.plan import SubmitPlan
    from airflow_provider_asyncapi.core.wait.plan import Wait, WaitPlan

__all__ = ["FetchPlan", "Step", "SubmitPlan", "Wait", "WaitPlan", "merge_parameters"]

__getattr__ = load_lazily(
    globals(),
    {
        "airflow_provider_asyncapi.core.fetch.plan": "FetchPlan",
        "airflow_provider_asyncapi.core.profiles.merging": "merge_parameters",
        "airflow_provider_asyncapi.core.requests.step": "Step",
        "airflow_provider_asyncapi.core.submit.plan": "SubmitPlan",
        "airflow_provider_asyncapi.core.wait.plan": "Wait WaitPlan",
    },
)
