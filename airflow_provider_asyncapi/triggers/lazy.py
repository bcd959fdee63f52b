"""
The names that triggers use only when they run, imported at their first use.

A worker makes the trigger to which it defers a task, and a DAG file imports a trigger that watches an asset; neither
runs it. A trigger may also be on the event loop of thousands that fetch nothing. A test compares the two lists of
modules.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_asyncapi.core.lazy import load_lazily

if TYPE_CHECKING:
    from airflow_provider_asyncapi.connections.profiles import load_profile
    from airflow_provider_asyncapi.core.events.flow import find_new_items
    from airflow_provider_asyncapi.core.fetch.plan import FetchPlan
    from airflow_provider_asyncapi.core.wait.callback_flow import wait_with_callbacks
    from airflow_provider_asyncapi.core.wait.ending import raise_deadline_error
    from airflow_provider_asyncapi.hooks.clients import CurrentClient
    from airflow_provider_asyncapi.hooks.running import run_on_thread
    from airflow_provider_asyncapi.results.fetching import FetchTask, fetch
    from airflow_provider_asyncapi.results.limits import ResultLimits
    from airflow_provider_asyncapi.triggers.beginning import WorkerNeededError, begin_wait
    from airflow_provider_asyncapi.triggers.callbacks_seen import has_called_back
    from airflow_provider_asyncapi.triggers.cancel_requests import cancel_in_background
    from airflow_provider_asyncapi.triggers.fetching import fetch_value
    from airflow_provider_asyncapi.triggers.shared_plans import SharedPlan
    from airflow_provider_asyncapi.triggers.task_xcoms import finish_despite_cancel, read_published_state
    from airflow_provider_asyncapi.triggers.xcom_publisher import XComPublisher, push_result

__all__ = [
    "CurrentClient",
    "FetchPlan",
    "FetchTask",
    "ResultLimits",
    "SharedPlan",
    "WorkerNeededError",
    "XComPublisher",
    "begin_wait",
    "cancel_in_background",
    "fetch",
    "fetch_value",
    "find_new_items",
    "finish_despite_cancel",
    "has_called_back",
    "load_profile",
    "push_result",
    "raise_deadline_error",
    "read_published_state",
    "run_on_thread",
    "wait_with_callbacks",
]

__getattr__ = load_lazily(
    globals(),
    {
        "airflow_provider_asyncapi.connections.profiles": "load_profile",
        "airflow_provider_asyncapi.core.events.flow": "find_new_items",
        "airflow_provider_asyncapi.core.fetch.plan": "FetchPlan",
        "airflow_provider_asyncapi.core.wait.callback_flow": "wait_with_callbacks",
        "airflow_provider_asyncapi.core.wait.ending": "raise_deadline_error",
        "airflow_provider_asyncapi.hooks.clients": "CurrentClient",
        "airflow_provider_asyncapi.hooks.running": "run_on_thread",
        "airflow_provider_asyncapi.results.fetching": "FetchTask fetch",
        "airflow_provider_asyncapi.results.limits": "ResultLimits",
        "airflow_provider_asyncapi.triggers.beginning": "WorkerNeededError begin_wait",
        "airflow_provider_asyncapi.triggers.callbacks_seen": "has_called_back",
        "airflow_provider_asyncapi.triggers.cancel_requests": "cancel_in_background",
        "airflow_provider_asyncapi.triggers.fetching": "fetch_value",
        "airflow_provider_asyncapi.triggers.shared_plans": "SharedPlan",
        "airflow_provider_asyncapi.triggers.task_xcoms": "finish_despite_cancel read_published_state",
        "airflow_provider_asyncapi.triggers.xcom_publisher": "XComPublisher push_result",
    },
)
