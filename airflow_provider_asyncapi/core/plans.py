"""
What the three tasks were told, read and checked; and how a profile fills in what they leave out.

Each name is loaded when it is first asked for (PEP 562): until then, importing an operator costs a DAG file little.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_asyncapi.core.fetch.plan import FetchPlan
    from airflow_provider_asyncapi.core.profiles.merging import merged
    from airflow_provider_asyncapi.core.requests.step import Step
    from airflow_provider_asyncapi.core.submit.plan import SubmitPlan
    from airflow_provider_asyncapi.core.wait.plan import Wait, WaitPlan

__all__ = ["FetchPlan", "Step", "SubmitPlan", "Wait", "WaitPlan", "merged"]

_HOMES = {
    "FetchPlan": "fetch.plan",
    "Step": "requests.step",
    "SubmitPlan": "submit.plan",
    "Wait": "wait.plan",
    "WaitPlan": "wait.plan",
    "merged": "profiles.merging",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # Found here from now on, without this function.
    value = globals()[name] = getattr(import_module(f"{__package__}.{_HOMES[name]}"), name)
    return value
