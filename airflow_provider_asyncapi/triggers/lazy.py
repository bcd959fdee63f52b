"""
The names that few triggers use, and only when they run, imported at their first use.

A DAG file imports a trigger that watches an asset, and a trigger may be on the event loop of thousands that fetch
nothing. A test compares the two lists of modules.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_asyncapi.core.lazy import load_lazily

if TYPE_CHECKING:
    from airflow_provider_asyncapi.core.fetch.plan import FetchPlan
    from airflow_provider_asyncapi.hooks.clients import CurrentClient
    from airflow_provider_asyncapi.hooks.running import run_on_thread
    from airflow_provider_asyncapi.results.fetching import FetchTask, fetch
    from airflow_provider_asyncapi.results.limits import ResultLimits

__all__ = ["CurrentClient", "FetchPlan", "FetchTask", "ResultLimits", "fetch", "run_on_thread"]

__getattr__ = load_lazily(
    globals(),
    {
        "airflow_provider_asyncapi.core.fetch.plan": "FetchPlan",
        "airflow_provider_asyncapi.hooks.clients": "CurrentClient",
        "airflow_provider_asyncapi.hooks.running": "run_on_thread",
        "airflow_provider_asyncapi.results.fetching": "FetchTask fetch",
        "airflow_provider_asyncapi.results.limits": "ResultLimits",
    },
)
