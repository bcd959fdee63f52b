"""The commands, as Airflow and as Python run them."""

from __future__ import annotations

import argparse
import importlib
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

import airflow_provider_asyncapi
from airflow_provider_asyncapi.cli.commands.registry import ASYNCAPI, Command, Entry, Group, get_asyncapi_commands


def walk(entry: Entry, *words: str) -> Iterator[tuple[tuple[str, ...], Command]]:
    if isinstance(entry, Group):
        for each in entry.commands:
            yield from walk(each, *words, each.name)
    else:
        yield words, entry


COMMANDS = dict(walk(ASYNCAPI))


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_each_command_has_a_function_and_a_help(words, shell):
    module, _, name = COMMANDS[words].target.partition(":")
    assert callable(getattr(importlib.import_module(f"airflow_provider_asyncapi.cli.commands.{module}"), name))
    shown = shell(*words, "--help")
    assert (shown.code, shown.err) == (0, "")
    assert all(argument.flags[-1] in shown.out for argument in COMMANDS[words].arguments if "-" in argument.flags[0])


def test_airflow_runs_the_same_commands(capsys):
    from airflow.cli import cli_parser

    parser = argparse.ArgumentParser()
    # As Airflow's own parser does with what the function returns.
    subparsers = parser.add_subparsers()
    for command in get_asyncapi_commands():
        cli_parser._add_command(subparsers, command)
    arguments = parser.parse_args(["asyncapi", "profiles", "list"])
    with pytest.raises(SystemExit) as ended:
        arguments.func(arguments)
    assert ended.value.code == 0
    assert "celigo" in capsys.readouterr().out


@pytest.mark.any_python
def test_airflow_finds_the_commands():
    import airflow

    if airflow.__version__ < "3.2":
        pytest.skip("Airflow 3.1 takes no commands from providers")
    from airflow.providers_manager import ProvidersManager

    assert get_asyncapi_commands in ProvidersManager().cli_command_functions


@pytest.mark.any_python
def test_the_registry_is_light():
    script = "import sys, airflow_provider_asyncapi.cli.commands.registry; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, check=True, text=True)
    loaded = set(done.stdout.split())
    assert {name for name in loaded if name.startswith("airflow")} == {
        "airflow_provider_asyncapi",
        "airflow_provider_asyncapi.cli",
        "airflow_provider_asyncapi.cli.commands",
        "airflow_provider_asyncapi.cli.commands.registry",
    }


@pytest.mark.any_python
def test_python_runs_the_package():
    words = [sys.executable, "-m", airflow_provider_asyncapi.__name__, "profiles", "show", "no_such"]
    # In its test mode, Airflow prints where its configuration is.
    environment = {name: value for name, value in os.environ.items() if name != "AIRFLOW__CORE__UNIT_TEST_MODE"}
    done = subprocess.run(words, capture_output=True, check=False, text=True, env=environment)
    assert (done.returncode, done.stdout) == (2, "")
    assert "no_such" in done.stderr


def test_an_unknown_command_is_refused_with_the_known_ones(shell):
    done = shell("profile")
    assert done.code == 2
    assert "profiles" in done.err
