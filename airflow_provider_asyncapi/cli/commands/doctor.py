"""The command that checks an installation: what is missing, and how to change it."""

from __future__ import annotations

import argparse
import os
import platform
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from importlib import metadata

import requests
from airflow import __version__ as airflow_version
from airflow.providers.common.compat.sdk import AirflowException, conf

from airflow_provider_asyncapi import __version__
from airflow_provider_asyncapi.airflow_private import health
from airflow_provider_asyncapi.airflow_private.connections import look_up_connection
from airflow_provider_asyncapi.airflow_private.versions import HAS_PLUGIN_PAGES
from airflow_provider_asyncapi.cli.output import Output
from airflow_provider_asyncapi.cli.profile_files import read_profile_file
from airflow_provider_asyncapi.cli.running import CommandError, ExitCode
from airflow_provider_asyncapi.connections.form import CONNECTION_TYPE
from airflow_provider_asyncapi.connections.profiles import find_profile_files
from airflow_provider_asyncapi.connections.reading import name_connection, read_connection
from airflow_provider_asyncapi.core.errors import AsyncApiError
from airflow_provider_asyncapi.core.profiles.lint import find_mistakes
from airflow_provider_asyncapi.hooks.airflow_urls import find_base_url
from airflow_provider_asyncapi.hooks.asyncapi import AsyncApiHook

#: The prefix of the environment variables that hold connections.
_CONNECTION_VARIABLE = "AIRFLOW_CONN_"
#: Seconds that Airflow's API server may take to answer.
_TIMEOUT = 5


class State(StrEnum):
    """The result of a check; a warning may be on purpose."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """
    The result of a check.

    :param check: what was checked.
    :param found: what was found.
    :param advice: what to change; empty if all is well.
    """

    check: str
    state: State
    found: str
    advice: str = ""


def examine(_arguments: argparse.Namespace, output: Output) -> ExitCode:
    """Check versions, processes, settings, profiles and connections."""
    findings: list[Finding] = []
    for check in _CHECKS:
        for finding in check():
            findings.append(finding)
            if not output.as_json:
                _write(output, finding)
    if output.as_json:
        output.write_json([asdict(finding) for finding in findings])
    return ExitCode.FAILED if any(each.state is State.PROBLEM for each in findings) else ExitCode.OK


def _write(output: Output, finding: Finding) -> None:
    output.write(f"{finding.state:8} {finding.check}: {finding.found}")
    if finding.advice:
        output.write(f"{'':8} {finding.advice}")


def check_versions() -> Iterator[Finding]:
    """Report the versions."""
    found = f"provider {__version__}, Airflow {airflow_version}, Python {platform.python_version()}"
    yield Finding("versions", State.OK, found)


def check_processes() -> Iterator[Finding]:
    """Check that the database can be read, and that a triggerer runs."""
    try:
        states = health.read_health()
    except Exception as error:  # noqa: BLE001 - a database that isn't set up raises anything
        states = {"metadatabase": f"{type(error).__name__}"}
    if states.get("metadatabase") != "healthy":
        advice = "Run this command where Airflow's database can be reached, with the configuration of the scheduler."
        yield Finding("database", State.PROBLEM, "it can't be read", advice)
        return
    yield Finding("database", State.OK, "it can be read")
    state = states.get("triggerer")
    if state == "healthy":
        yield Finding("triggerer", State.OK, "one runs")
    else:
        found = "there has never been one" if state is None else "none has sent a heartbeat lately"
        advice = "Run `airflow triggerer`: deferred tasks wait until one runs."
        yield Finding("triggerer", State.PROBLEM, found, advice)


def check_deferring() -> Iterator[Finding]:
    """Check that tasks are deferred by default."""
    if conf.getboolean("operators", "default_deferrable", fallback=False):
        yield Finding("default_deferrable", State.OK, "tasks wait in the triggerer")
    else:
        advice = "Set [operators] default_deferrable = True, or deferrable=True on the tasks."
        yield Finding("default_deferrable", State.WARNING, "tasks hold a worker slot while they wait", advice)


def check_plugin() -> Iterator[Finding]:
    """Check that Airflow knows the plugin, which serves the page of jobs and receives callbacks."""
    if not metadata.entry_points(group="airflow.plugins", name="asyncapi"):
        advice = "Install the package with pip, so that Airflow finds its entry points."
        yield Finding("plugin", State.PROBLEM, "Airflow doesn't find it", advice)
    elif not HAS_PLUGIN_PAGES:
        yield Finding("plugin", State.WARNING, "it has no page of jobs", "The page needs Airflow 3.2 or newer.")
    else:
        yield Finding("plugin", State.OK, "the page Async API jobs is registered")


def check_api_server() -> Iterator[Finding]:
    """Check that Airflow's API server can be reached at the address for callbacks, and serves the plugin."""
    check = "callbacks"
    try:
        base = find_base_url("callback_base_url", "callback")
    except AsyncApiError as error:
        advice = "That is needed only for callbacks, webhooks and links."
        yield Finding(check, State.WARNING, str(error), advice)
        return
    url = f"{base}/asyncapi/static/jobs.js"
    try:
        # The address of Airflow itself; a redirect would hide that it is another one.
        status = requests.get(url, timeout=_TIMEOUT, allow_redirects=False).status_code
    except requests.RequestException as error:
        advice = "Check [asyncapi] callback_base_url (or [api] base_url), and that `airflow api-server` runs."
        yield Finding(check, State.PROBLEM, f"{base} can't be reached from here: {type(error).__name__}", advice)
        return
    if status == requests.codes.ok:
        yield Finding(check, State.OK, f"{base} can be reached from here, and serves the plugin")
    else:
        advice = "Install the package where the API server runs, restart it, and check the path of the address."
        yield Finding(check, State.PROBLEM, f"{url} answered {status}", advice)


def check_profiles() -> Iterator[Finding]:
    """Check all profiles that tasks can use."""
    try:
        files = find_profile_files()
        wrong = [name for name, file in files.items() if find_mistakes(read_profile_file(file))]
    except (AsyncApiError, CommandError) as error:
        yield Finding("profiles", State.PROBLEM, str(error))
        return
    if wrong:
        advice = "`airflow asyncapi profiles check` shows the mistakes."
        yield Finding("profiles", State.PROBLEM, f"there are mistakes in {', '.join(wrong)}", advice)
    else:
        yield Finding("profiles", State.OK, f"{len(files)}, without mistakes")


def check_connections() -> Iterator[Finding]:
    """Test each connection of this type, as the Test button does."""
    try:
        ids = health.list_connection_ids(CONNECTION_TYPE)
    except Exception as error:  # noqa: BLE001 - a database that isn't set up raises anything
        yield Finding(
            "connections", State.PROBLEM, f"connections in the database can't be listed: {type(error).__name__}"
        )
        return
    variables = [name for name in os.environ if name.startswith(_CONNECTION_VARIABLE)]
    ids += [name.removeprefix(_CONNECTION_VARIABLE).lower() for name in sorted(variables)]
    tested = 0
    for conn_id in dict.fromkeys(ids):
        for finding in _test_connection(conn_id):
            tested += 1
            yield finding
    if not tested:
        advice = "Connections of a secrets backend aren't listed: `try --conn-id` uses one."
        yield Finding("connections", State.WARNING, f"there is none of type {CONNECTION_TYPE}", advice)


def _test_connection(conn_id: str) -> Iterator[Finding]:
    check = f"connection {conn_id}"
    try:
        connection = look_up_connection(conn_id)
        if connection.conn_type != CONNECTION_TYPE:
            return
        hook = AsyncApiHook(conn_id)
        hook.api = read_connection(connection, look_up=look_up_connection)
    except AsyncApiError as error:
        yield Finding(check, State.PROBLEM, str(name_connection(error, conn_id)), "Change the connection.")
        return
    except (AirflowException, ValueError) as error:
        yield Finding(check, State.PROBLEM, f"can't be read: {type(error).__name__}")
        return
    works, message = hook.test_connection()
    if works:
        yield Finding(check, State.OK, message)
    else:
        yield Finding(check, State.PROBLEM, message, "Check host and credentials of the connection.")


_CHECKS: tuple[Callable[[], Iterator[Finding]], ...] = (
    check_versions,
    check_processes,
    check_deferring,
    check_plugin,
    check_api_server,
    check_profiles,
    check_connections,
)
