"""The profile that a command tries: one that tasks can use, or a file."""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from airflow_provider_asyncapi.cli.profile_files import read_profile_file
from airflow_provider_asyncapi.cli.running import CommandError
from airflow_provider_asyncapi.connections.profiles import load_profile
from airflow_provider_asyncapi.core.outcome import CALLBACK_URL
from airflow_provider_asyncapi.core.profiles.lint import find_mistakes
from airflow_provider_asyncapi.core.profiles.merging import EXTENDS, merge_profiles
from airflow_provider_asyncapi.hooks.calls import SUBMIT_PARAMETERS, WAIT_PARAMETERS
from airflow_provider_asyncapi.hooks.fetch_result import list_fetch_parameters


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
        raise CommandError("\n".join(mistake.describe_in(name) for mistake in mistakes))
    content = tomllib.loads(text)
    return merge_profiles(load_profile(content[EXTENDS]), content) if EXTENDS in content else content


def choose_parameters(description: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the parameters of each table that the hook's methods take: they don't need a task."""
    chosen = {}
    for table in ("submit", "status", "fetch", "cancel"):
        given = description.get(table, {})
        known = list_parameters(table, given)
        chosen[table] = {name: value for name, value in given.items() if name in known}
    return chosen


def list_parameters(table: str, given: Iterable[str]) -> Collection[str]:
    """
    Return the names of the parameters that a table may have here.

    :param given: the names in the table, which may be those of other packages.
    """
    match table:
        case "submit":
            return SUBMIT_PARAMETERS
        case "status":
            return WAIT_PARAMETERS | {"timeout"}
        case "fetch":
            return list_fetch_parameters(given)
        case _:
            return {*given}


def check_submit(submit: Mapping[str, Any], parameters: Mapping[str, Any], variables: Mapping[str, Any]) -> None:
    """
    Check that a job can be submitted without a task.

    :param submit: the table of the profile.
    :param parameters: the parameters that are used.
    :param variables: the variables of the command line.
    :raises CommandError: if the profile makes several jobs, or its API calls a task back.
    """
    if submit.get("identifiers") and not parameters.get("identifier"):
        raise CommandError(
            f"[submit] identifiers: {submit['identifiers']!r} finds several jobs, and this command follows one; name"
            " it, as in --set submit.identifier='jobs[0].id'"
        )
    if submit.get("callback") and CALLBACK_URL not in variables:
        raise CommandError(
            "[submit] callback: the API calls a task of Airflow back, and this command can't be called; give the URL"
            f" of another receiver by --var {CALLBACK_URL}=https://…, and the job is polled"
        )
