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


def _parse_seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"has to be a positive number of seconds, not {text!r}")
    return seconds


@dataclass(frozen=True, slots=True)
class Command:
    """
    A command.

    :param name: the word that chooses it.
    :param help: the line of the list of commands.
    :param target: the function, as ``module:function``; the module is in this folder.
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
_OUTPUT = (
    _argument("--output", default=".", metavar="DIR", help="folder for the profiles (default: the current one)"),
    _argument("--overwrite", action="store_true", help="replace profiles that exist already"),
    _JSON,
)

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
                    "--timeout",
                    type=_parse_seconds,
                    metavar="SECONDS",
                    help="default: that of the profile, or else 3600",
                ),
                _argument("--record", metavar="FILE", help="YAML file for the exchanges, to replay them in tests"),
                _argument("--headers", action="store_true", help="show all headers"),
                _JSON,
            ),
            "Show each request and response, what the selectors find, how each response is classified, and the result."
            " The exit code is 1 if the job fails, or the API refuses a request.",
        ),
        Group(
            "import",
            "Turn descriptions of other tools into profiles",
            (
                Command(
                    "airbyte",
                    "Import the asynchronous streams of a manifest of Airbyte",
                    "importing:import_airbyte",
                    (
                        _argument("manifest", metavar="MANIFEST", help="YAML or JSON file; - for standard input"),
                        _argument("stream", nargs="?", metavar="STREAM", help="name of a stream (default: all)"),
                        *_OUTPUT,
                    ),
                    "Write a profile for each stream whose retriever is an AsyncRetriever. Print the connection and the"
                    " variables that it needs, and what can't be carried over, with its place in the manifest.",
                ),
                Command(
                    "openapi",
                    "Import an operation of an OpenAPI 3 document that starts a job",
                    "importing:import_openapi",
                    (
                        _argument("document", metavar="DOCUMENT", help="YAML or JSON file; - for standard input"),
                        _argument(
                            "operation",
                            nargs="?",
                            metavar="OPERATION",
                            help="operationId, or method and path; by default, list the operations that may start jobs",
                        ),
                        *_OUTPUT,
                    ),
                    "Write a profile for the operation. What the document doesn't say, such as which statuses mean"
                    " success, is assumed from names, and marked in the profile.",
                ),
                Command(
                    "arazzo",
                    "Import a workflow of an Arazzo document",
                    "importing:import_arazzo",
                    (
                        _argument("document", metavar="DOCUMENT", help="YAML or JSON file; - for standard input"),
                        _argument(
                            "workflow", nargs="?", metavar="WORKFLOW", help="workflowId; by default, list the workflows"
                        ),
                        _argument(
                            "--source",
                            action="append",
                            default=[],
                            metavar="NAME=FILE",
                            help="an OpenAPI document that isn't beside this one (may be repeated)",
                        ),
                        _argument(
                            "--success",
                            action="append",
                            default=[],
                            metavar="STATUS",
                            help="a status of a job that is done",
                        ),
                        _argument(
                            "--failure",
                            action="append",
                            default=[],
                            metavar="STATUS",
                            help="a status that means failure",
                        ),
                        *_OUTPUT,
                    ),
                    "Write a draft of a profile from the steps that submit, poll and fetch. What the document doesn't"
                    " say, such as which statuses mean success, is marked in the profile.",
                ),
            ),
        ),
        Command(
            "explore",
            "Make a profile and a DAG of cURL commands",
            "explore:explore",
            (
                _argument(
                    "--curl",
                    action="append",
                    default=[],
                    metavar="COMMAND|@FILE",
                    help="a cURL command, a file with commands, or - for standard input: first the submit, then the"
                    " status, then the result (may be repeated)",
                ),
                _argument(
                    "--var",
                    action="append",
                    default=[],
                    metavar="NAME=VALUE",
                    help="the value of a variable of the commands, such as $TOKEN (may be repeated)",
                ),
                _argument("--identifier", metavar="SELECTOR", help="the identifier in the response to the submit"),
                _argument("--status", metavar="SELECTOR", help="the status in the response to a poll"),
                _argument(
                    "--success",
                    action="append",
                    default=[],
                    metavar="STATUS",
                    help="a status of a job that has succeeded (may be repeated)",
                ),
                _argument(
                    "--failure",
                    action="append",
                    default=[],
                    metavar="STATUS",
                    help="a status of a job that has failed (may be repeated)",
                ),
                _argument("--result", metavar="SELECTOR", help="the result, or its URL, in the last status"),
                _argument("--name", help="name of the profile and the DAG; default: from the URL"),
                _argument("--output", default=".", metavar="FOLDER", help="folder for the files (default: this one)"),
                _argument("--overwrite", action="store_true", help="replace files that exist"),
                _argument("--send-files", action="store_true", help="read and send the files that a command names"),
                _argument("--interval", type=_parse_seconds, metavar="SECONDS", help="time between polls (default: 2)"),
                _argument(
                    "--timeout",
                    type=_parse_seconds,
                    default=600.0,
                    metavar="SECONDS",
                    help="time for the job (default: 600)",
                ),
                _JSON,
            ),
            "Send the requests of one to three cURL commands, find the identifier, the statuses and the result in the"
            " responses, and write a profile and a DAG. In a terminal, questions settle what isn't clear. The secrets"
            " of the commands aren't written. The exit code is 1 if the job fails, or the API refuses a request.",
        ),
        Command(
            "migrate",
            "Print the equivalents of HttpOperator and HttpSensor",
            "migrate:migrate",
            (_argument("file", metavar="FILE", help="a DAG file, which is read and not executed"), _JSON),
            "Print the equivalent of each HttpOperator and HttpSensor as Python, with comments about what isn't carried"
            " over, and point out loops that poll. The exit code is 1 if there is none of them.",
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
            "Print each value that the selector finds as a line of JSON. If it finds nothing, print why, and the"
            " nearest values; the exit code is then 1.",
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
