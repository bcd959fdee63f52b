"""
The names that are used only to read a connection or to describe its form, imported at their first use.

A DAG file imports the hook, which imports the modules of this folder, and does neither. A test compares the two lists
of modules.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_asyncapi.core.lazy import load_lazily

if TYPE_CHECKING:
    from airflow_provider_asyncapi.connections.rotating_tokens import VariableTokenStore
    from airflow_provider_asyncapi.connections.source_files import inspect_file
    from airflow_provider_asyncapi.connections.tokens import HostTokenStore
    from airflow_provider_asyncapi.core.auth.registry import AUTH_KINDS, collect_auth_fields, collect_connection_fields
    from airflow_provider_asyncapi.core.callbacks.calls import parse_callback_secrets
    from airflow_provider_asyncapi.core.connection.api import Api
    from airflow_provider_asyncapi.core.connection.fields import find_secret_values, read_mapping
    from airflow_provider_asyncapi.core.connection.settings import ConnectionSettings
    from airflow_provider_asyncapi.core.profiles.merging import EXTENDS, merge_profiles
    from airflow_provider_asyncapi.core.profiles.schema import check_profile

__all__ = [
    "AUTH_KINDS",
    "EXTENDS",
    "Api",
    "ConnectionSettings",
    "HostTokenStore",
    "VariableTokenStore",
    "check_profile",
    "collect_auth_fields",
    "collect_connection_fields",
    "find_secret_values",
    "inspect_file",
    "merge_profiles",
    "parse_callback_secrets",
    "read_mapping",
]

__getattr__ = load_lazily(
    globals(),
    {
        "airflow_provider_asyncapi.connections.rotating_tokens": "VariableTokenStore",
        "airflow_provider_asyncapi.connections.source_files": "inspect_file",
        "airflow_provider_asyncapi.connections.tokens": "HostTokenStore",
        "airflow_provider_asyncapi.core.auth.registry": "AUTH_KINDS collect_auth_fields collect_connection_fields",
        "airflow_provider_asyncapi.core.callbacks.calls": "parse_callback_secrets",
        "airflow_provider_asyncapi.core.connection.api": "Api",
        "airflow_provider_asyncapi.core.connection.fields": "find_secret_values read_mapping",
        "airflow_provider_asyncapi.core.connection.settings": "ConnectionSettings",
        "airflow_provider_asyncapi.core.profiles.merging": "EXTENDS merge_profiles",
        "airflow_provider_asyncapi.core.profiles.schema": "check_profile",
    },
)
