"""The profile that a command tries: one that tasks can use, or a file."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from airflow_provider_asyncapi.cli.profiles import read_profile_file
from airflow_provider_asyncapi.cli.running import CommandError
from airflow_provider_asyncapi.connections.profiles import load_profile
from airflow_provider_asyncapi.core.plans import SubmitPlan, WaitPlan
from airflow_provider_asyncapi.core.profiles.lint import find_mistakes
from airflow_provider_asyncapi.core.profiles.merging import EXTENDS, merge_profiles
from airflow_provider_asyncapi.hooks.fetch_result import list_fetch_parameters

#: What needs a task, or an operator of several tasks.
_OF_TASKS = frozenset({"callback", "on_changed_request", "identifiers", "files"})


def load_description(name: str) -> Mapping[str, Mapping[str, Any]]:
    """
    Return the tables of a profile.

    :param name: the name of a profile, or a file whose name ends with ``.toml``.
    :raises CommandError: if the file has mistakes; the message has each with its line.
    :raises ConfigurationError: if there is no such profile.
    """
    if not name.endswith(".toml"):
        return load_profile(name)
    text = read_profile_file(Path(name))
    if mistakes := find_mistakes(text):
        raise CommandError("\n".join(f"{name}:{mistake.line or ''}: {mistake}" for mistake in mistakes))
    content = tomllib.loads(text)
    return merge_profiles(load_profile(content[EXTENDS]), content) if EXTENDS in content else content


def choose_parameters(description: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the parameters of the hook's methods: those of the tables that don't need a task."""
    known = {
        "submit": {*SubmitPlan.parameters} - {"cancel"},
        "status": {*WaitPlan.parameters, "timeout"},
        "fetch": list_fetch_parameters(description.get("fetch", {})),
        "cancel": {*description.get("cancel", {})},
    }
    return {
        table: {
            name: value
            for name, value in description.get(table, {}).items()
            if name in names and (name not in _OF_TASKS or (name == "files" and table != "status"))
        }
        for table, names in known.items()
    }
