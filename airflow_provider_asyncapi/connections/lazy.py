"""
The names that are used only to read a connection or to describe its form, imported at their first use.

A DAG file imports the hook, which imports the modules of this folder, and does neither. A test compares the two lists
of modules.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_asyncapi.core.lazy import load_lazily

if TYPE_CHECKING:
    from airflow_provider_asyncapi.connections.clouds.lender import ConnectionLender
    from airflow_provider_asyncapi.connections.profiles import load_profile
    from airflow_provider_asyncapi.connections.rotating_tokens import VariableTokenStore
    from airflow_provider_asyncapi.connections.source_files import inspect_file
    from airflow_provider_asyncapi.connections.tokens import HostTokenStore
    from airflow_provider_asyncapi.core.auth.registry import (
        AUTH_KINDS,
        arrange_form,
        collect_auth_keys,
    )
    from airflow_provider_asyncapi.core.callbacks.settings import parse_callback_secrets
    from airflow_provider_asyncapi.core.connection.api import Api
    from airflow_provider_asyncapi.core.connection.fields import find_secret_values, read_mapping
    from airflow_provider_asyncapi.core.connection.general_fields import GENERAL_FIELDS
    from airflow_provider_asyncapi.core.connection.settings import ConnectionSettings
    from airflow_provider_asyncapi.core.entry_points import find_entry_points
    from airflow_provider_asyncapi.core.foreign_names import suggest_nearest
    from airflow_provider_asyncapi.core.jobs.profile_version import version_of
    from airflow_provider_asyncapi.core.profiles.merging import EXTENDS, merge_profiles
    from airflow_provider_asyncapi.core.profiles.schema import check_profile

__all__ = [
    "AUTH_KINDS",
    "EXTENDS",
    "GENERAL_FIELDS",
    "Api",
    "ConnectionLender",
    "ConnectionSettings",
    "HostTokenStore",
    "VariableTokenStore",
    "arrange_form",
    "check_profile",
    "collect_auth_keys",
    "find_entry_points",
    "find_secret_values",
    "inspect_file",
    "load_profile",
    "merge_profiles",
    "parse_callback_secrets",
    "read_mapping",
    "suggest_nearest",
    "version_of",
]

__getattr__ = load_lazily(
    globals(),
    {
        "airflow_provider_asyncapi.connections.profiles": "load_profile",
        "airflow_provider_asyncapi.connections.clouds.lender": "ConnectionLender",
        "airflow_provider_asyncapi.connections.rotating_tokens": "VariableTokenStore",
        "airflow_provider_asyncapi.connections.source_files": "inspect_file",
        "airflow_provider_asyncapi.connections.tokens": "HostTokenStore",
        "airflow_provider_asyncapi.core.auth.registry": "AUTH_KINDS arrange_form collect_auth_keys",
        "airflow_provider_asyncapi.core.callbacks.settings": "parse_callback_secrets",
        "airflow_provider_asyncapi.core.connection.api": "Api",
        "airflow_provider_asyncapi.core.connection.fields": "find_secret_values read_mapping",
        "airflow_provider_asyncapi.core.connection.general_fields": "GENERAL_FIELDS",
        "airflow_provider_asyncapi.core.connection.settings": "ConnectionSettings",
        "airflow_provider_asyncapi.core.profiles.merging": "EXTENDS merge_profiles",
        "airflow_provider_asyncapi.core.profiles.schema": "check_profile",
        "airflow_provider_asyncapi.core.foreign_names": "suggest_nearest",
        "airflow_provider_asyncapi.core.jobs.profile_version": "version_of",
        "airflow_provider_asyncapi.core.entry_points": "find_entry_points",
    },
)
