"""
The commands and their arguments, as data.

Airflow imports this module at each start of ``airflow``, so it imports neither the commands nor anything else of this
package; a command is imported when it is run.
"""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from airflow.cli.cli_config import CLICommand


@dataclass(frozen=True, slots=True)
class Argument:
    """
    An argument of a command.

    :param flags: the name of a positional argument, or the flags of an option.
    :param options: the other arguments of :meth:`argparse.ArgumentParser.add_argument`.
    """

    flags: tuple[str, ...]
    options: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Command:
    """
    A command.

    :param name: the word that chooses it.
    :param help: the line of the list of commands.
    :param target: the function, as ``module:function``; the module is in this package.
    :param arguments: the arguments.
    :param description: the text of its own help.
    """

    name: str
    help: str
    target: str
    arguments: tuple[Argument, ...] = ()
    description: str | None = None

    def make_function(self) -> Callable[[argparse.Namespace], None]:
        """Return the function that imports and runs the command, and ends the process with its exit code."""

        def run(arguments: argparse.Namespace) -> None:
            running = importlib.import_module("airflow_provider_asyncapi.cli.running")
            running.run_command(self.target, arguments)

        return run


@dataclass(frozen=True, slots=True)
class Group:
    """
    A group of commands.

    :param name: the word that chooses it.
    :param help: the line of the list of commands.
    :param commands: the commands and groups in it.
    """

    name: str
    help: str
    commands: tuple[Command | Group, ...] = field(default=())


Entry: TypeAlias = Command | Group


def _argument(*flags: str, **options: Any) -> Argument:
    return Argument(flags, options)


_VARIABLES = _argument(
    "--var",
    action="append",
    default=[],
    metavar="NAME=VALUE",
    help="a variable; JSON, or else a string (may be repeated)",
)
_JSON = _argument("--json", action="store_true", help="print JSON for programs")

ASYNCAPI = Group(
    "asyncapi",
    "Describe and try asynchronous HTTP APIs",
    (
        Group(
            "profiles",
            "Show and check profiles, the descriptions of APIs",
            (
                Command("list", "List the profiles that tasks can use", "profiles:list_profiles", (_JSON,)),
                Command(
                    "show",
                    "Show a profile, and where each of its keys comes from",
                    "profiles:show_profile",
                    (_argument("name", help="name of the profile"), _JSON),
                ),
                Command(
                    "check",
                    "Check profiles for mistakes",
                    "profiles:check_profiles",
                    (
                        _argument("files", nargs="*", metavar="FILE", help="TOML file; default: all known profiles"),
                        _JSON,
                    ),
                    "Print each mistake with its place and advice. The exit code is 1 if there are mistakes.",
                ),
            ),
        ),
        Command(
            "try",
            "Run a job as a profile describes it, without a DAG",
            "try_profile:try_profile",
            (
                _argument("profile", metavar="PROFILE", help="name of a profile, or a TOML file"),
                _argument(
                    "action",
                    nargs="?",
                    default="all",
                    choices=("all", "submit", "status", "fetch"),
                    help="what to do (default: all)",
                ),
                _argument(
                    "job", nargs="?", metavar="JOB", help="identifier of a job, or a job as `submit --json` prints it"
                ),
                _argument("--conn-id", default="asyncapi_default", help="id of the connection"),
                _argument("--conn", metavar="JSON|URI", help="the connection itself, as JSON or URI"),
                _VARIABLES,
                _argument(
                    "--set",
                    action="append",
                    default=[],
                    metavar="TABLE.KEY=VALUE",
                    help="a parameter, such as submit.endpoint=/exports (may be repeated)",
                ),
                _argument("--destination", metavar="PATH", help="file, or folder with / at its end, for the result"),
                _argument(
                    "--timeout", type=float, metavar="SECONDS", help="default: that of the profile, or else 3600"
                ),
                _argument("--record", metavar="FILE", help="YAML file for the exchanges, to replay them in tests"),
                _argument("--headers", action="store_true", help="show all headers"),
                _JSON,
            ),
            "Show each request and response, what the selectors find, how each response is classified, and the result."
            " The exit code is 1 if the job fails, or the API refuses a request.",
        ),
        Command(
            "doctor",
            "Check versions, processes, settings and connections",
            "doctor:examine",
            (_JSON,),
            "Check the installation where the command runs, and say what to change. The exit code is 1 if there is a"
            " problem.",
        ),
        Command(
            "select",
            "Show what a selector finds in a saved response",
            "select:select",
            (
                _argument("selector", metavar="SELECTOR", help="the selector, such as data.id or header:Location"),
                _argument(
                    "file",
                    metavar="FILE",
                    help="file with the body, or with head and body as `curl --include` prints them; - for standard"
                    " input",
                ),
                _argument(
                    "--header",
                    action="append",
                    default=[],
                    metavar="'NAME: VALUE'",
                    help="a header of the response (may be repeated)",
                ),
                _argument("--status", type=int, metavar="CODE", help="the status code of the response"),
                _VARIABLES,
                _JSON,
            ),
            "Print each value that the selector finds as a line of JSON. If it finds nothing, print the nearest values;"
            " the exit code is then 1.",
        ),
    ),
)


def get_asyncapi_commands() -> list[CLICommand]:
    """Return the commands for Airflow's command line."""
    return [_to_airflow(ASYNCAPI)]


def _to_airflow(entry: Entry) -> CLICommand:
    from airflow.cli.cli_config import ActionCommand, Arg, GroupCommand  # noqa: PLC0415 - the other parser needs none

    if isinstance(entry, Group):
        return GroupCommand(entry.name, entry.help, [_to_airflow(each) for each in entry.commands])
    arguments = [Arg(each.flags, **each.options) for each in entry.arguments]
    return ActionCommand(entry.name, entry.help, entry.make_function(), arguments, entry.description)


def make_parser(prog: str) -> argparse.ArgumentParser:
    """
    Return a parser of the commands without Airflow's.

    :param prog: the beginning of the command line, for messages.
    """
    parser = argparse.ArgumentParser(prog, description=ASYNCAPI.help)
    _add_commands(parser, ASYNCAPI)
    return parser


def _add_commands(parser: argparse.ArgumentParser, group: Group) -> None:
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True)
    for entry in group.commands:
        subparser = subparsers.add_parser(
            entry.name, help=entry.help, description=getattr(entry, "description", None) or entry.help
        )
        if isinstance(entry, Group):
            _add_commands(subparser, entry)
            continue
        for argument in entry.arguments:
            subparser.add_argument(*argument.flags, **argument.options)
        subparser.set_defaults(func=entry.make_function())
