"""
The names that the hook uses only when one of its methods is called, imported at their first use.

A DAG file imports the hook with the operators, and calls none. On a worker nothing imports aiohttp, unless a task calls
an asynchronous method. A test compares the two lists of modules.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_asyncapi.core.lazy import load_lazily

if TYPE_CHECKING:
    from airflow.providers.common.compat.connection import get_async_connection

    from airflow_provider_asyncapi.connections.reading import name_connection, read_connection
    from airflow_provider_asyncapi.core.connection.probe import probe
    from airflow_provider_asyncapi.core.effects import Log
    from airflow_provider_asyncapi.hooks.airflow_urls import make_webhook_url
    from airflow_provider_asyncapi.hooks.calls import HookCalls
    from airflow_provider_asyncapi.hooks.clients import SharedClient
    from airflow_provider_asyncapi.hooks.fetch_result import fetch_result
    from airflow_provider_asyncapi.hooks.running import LOOK_UP_TIMEOUT, convert_errors, run_call, run_on_thread
    from airflow_provider_asyncapi.monitoring.metrics import make_first_byte_recorder
    from airflow_provider_asyncapi.transports.aiohttp import AiohttpDriver
    from airflow_provider_asyncapi.transports.requests import RequestsDriver
    from airflow_provider_asyncapi.transports.tls import tls_context

__all__ = [
    "LOOK_UP_TIMEOUT",
    "AiohttpDriver",
    "HookCalls",
    "Log",
    "RequestsDriver",
    "SharedClient",
    "convert_errors",
    "fetch_result",
    "get_async_connection",
    "make_first_byte_recorder",
    "make_webhook_url",
    "name_connection",
    "probe",
    "read_connection",
    "run_call",
    "run_on_thread",
    "tls_context",
]

__getattr__ = load_lazily(
    globals(),
    {
        "airflow_provider_asyncapi.connections.reading": "name_connection read_connection",
        "airflow.providers.common.compat.connection": "get_async_connection",
        "airflow_provider_asyncapi.core.connection.probe": "probe",
        "airflow_provider_asyncapi.core.effects": "Log",
        "airflow_provider_asyncapi.hooks.airflow_urls": "make_webhook_url",
        "airflow_provider_asyncapi.hooks.calls": "HookCalls",
        "airflow_provider_asyncapi.hooks.clients": "SharedClient",
        "airflow_provider_asyncapi.hooks.fetch_result": "fetch_result",
        "airflow_provider_asyncapi.hooks.running": "LOOK_UP_TIMEOUT convert_errors run_call run_on_thread",
        "airflow_provider_asyncapi.monitoring.metrics": "make_first_byte_recorder",
        "airflow_provider_asyncapi.transports.aiohttp": "AiohttpDriver",
        "airflow_provider_asyncapi.transports.requests": "RequestsDriver",
        "airflow_provider_asyncapi.transports.tls": "tls_context",
    },
)
