"""The command that makes a profile and a DAG of cURL commands."""

from __future__ import annotations

import argparse
import json
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from airflow.providers.common.compat.sdk import AirflowException

from airflow_provider_asyncapi.cli.connections import read_api
from airflow_provider_asyncapi.cli.exploration import Answers, Exploration
from airflow_provider_asyncapi.cli.narrated_hook import NarratedHook
from airflow_provider_asyncapi.cli.narration import Narrator
from airflow_provider_asyncapi.cli.output import Output
from airflow_provider_asyncapi.cli.questions import Questions
from airflow_provider_asyncapi.cli.running import CommandError, ExitCode
from airflow_provider_asyncapi.cli.variables import parse_assignments
from airflow_provider_asyncapi.connections.profiles import is_profile_name
from airflow_provider_asyncapi.core.json_values import as_text, to_comparable
from airflow_provider_asyncapi.core.outcome import Outcome
from airflow_provider_asyncapi.core.profiles.lint import find_mistakes
from airflow_provider_asyncapi.core.text import shorten
from airflow_provider_asyncapi.importing.curl.connection import SecretSplitter
from airflow_provider_asyncapi.importing.curl.request import CurlRequest, read_curl_commands

_MAX_COMMANDS = 3
_MAX_SIZE = 1024 * 1024
_MAX_RESULT = 2000
_VERSION = re.compile(r"v\d+(?:\.\d+)*|api|rest|latest", re.IGNORECASE)
_VERB = re.compile(r"run|runs|start|trigger|submit|execute|create|query|async|new|jobs?", re.IGNORECASE)
#: Parts of a host's name that don't name the vendor.
_COMMON_LABELS = frozenset({"api", "www", "app", "com", "org", "net", "io", "co", "rest", "gateway", "localhost"})


def explore(arguments: argparse.Namespace, output: Output) -> ExitCode:
    """Run a job of cURL commands, and write a profile and a DAG."""
    questions = Questions()
    commands = _read_commands(arguments, questions)
    name = arguments.name or _make_name(commands[0])
    files = _choose_files(arguments, name)
    answers = _read_answers(arguments)
    splitter = SecretSplitter(commands[0].origin)
    requests = [splitter.split(command) for command in commands]
    conn_id, api = read_api(_with_connection(splitter.connection), {})
    narrator = Narrator(output, api, {}, show_headers=False)
    for notice in splitter.notices:
        narrator.write(f"note: {notice}")
    with NarratedHook(conn_id, api, narrator) as hook:
        exploration = Exploration(hook, narrator, requests, name, answers, questions)
        outcome, error = _run(exploration, narrator, arguments.timeout)
    profile = exploration.job.format_profile()
    mistakes = [str(mistake) for mistake in find_mistakes(profile)]
    is_written = error is None and not mistakes
    if is_written:
        for path, text in zip(files, (profile, exploration.job.format_dag()), strict=True):
            path.write_text(text, encoding="utf-8")
    if output.as_json:
        output.write_json(
            {
                "outcome": outcome,
                "error": error,
                "mistakes": mistakes,
                "candidates": [
                    {"selector": each.selector, "value": each.value, "reasons": each.reasons}
                    for each in exploration.candidates
                ],
                "statuses": [{"status": value, "outcome": meaning} for value, meaning in exploration.seen.values()],
                "connection": splitter.shown_connection,
                "files": [str(path) for path in files] if is_written else [],
                "exchanges": narrator.exchanges,
            }
        )
        return ExitCode.OK if is_written and outcome is Outcome.SUCCESS else ExitCode.FAILED
    for text in (*([error] if error else []), *mistakes):
        narrator.write(f"  {text}")
    if exploration.result is not None:
        narrator.write("Result")
        narrator.write(f"  {shorten(exploration.result, _MAX_RESULT)}")
    if is_written:
        _write_next_steps(output, name, files, splitter.shown_connection)
    return ExitCode.OK if is_written and outcome is Outcome.SUCCESS else ExitCode.FAILED


def _run(exploration: Exploration, narrator: Narrator, timeout: float) -> tuple[Outcome, str | None]:
    """Return the outcome of the job, and the reason why nothing can be written."""
    try:
        outcome = exploration.run()
    except KeyboardInterrupt:
        narrator.flush()
        if narrator.handle is not None:
            narrator.write(f"  job {narrator.handle.identifier} keeps running")
        raise
    except AirflowException as error:
        return Outcome.RUNNING, str(error)
    finally:
        narrator.flush()
    return outcome, _describe_unfinished(exploration, timeout) if outcome is Outcome.RUNNING else None


def _read_commands(arguments: argparse.Namespace, questions: Questions) -> list[CurlRequest]:
    texts = [_read_text(given) for given in arguments.curl]
    if not texts:
        if not questions.are_possible:
            raise CommandError("--curl: is missing; set it to the cURL command that submits a job, as text or as @FILE")
        texts = [questions.read_command("Paste the cURL command that submits a job")]
        for what in ("requests the status of a job", "requests the result of a job"):
            text = questions.read_command(f"Paste the one that {what} (if you have it)")
            if not text:
                break
            texts.append(text)
    values = {name: as_text(value) for name, value in parse_assignments(arguments.var).items()}
    commands = [command for text in texts for command in read_curl_commands(text, values)]
    if len(commands) > _MAX_COMMANDS:
        raise CommandError(
            f"--curl: {len(commands)} commands are given; three at most: submit, status and result, in this order"
        )
    for command in commands:
        if command.files and not arguments.send_files:
            raise CommandError(
                f"--curl: the command sends the file {command.files[0]!r}; add --send-files to have it read and sent"
            )
    if unknown := find_unknown_variables(commands[0]):
        raise CommandError(f"--var: the variable {unknown} has no value; add --var {unknown}=…")
    return commands


def find_unknown_variables(command: CurlRequest) -> str | None:
    """Return a variable of the first command that has no value; None if all have one."""
    texts = [command.path, *command.headers.values(), *(value for _, value in command.query)]
    if command.credentials is not None:
        texts += [command.credentials.login or "", command.credentials.password or ""]
    return next((match[1] for text in texts if (match := re.search(r"\{(\w+)\}", text))), None)


def _read_text(given: str) -> str:
    if given != "-" and not given.startswith("@"):
        return given
    try:
        if given == "-":
            return sys.stdin.read(_MAX_SIZE)
        with Path(given[1:]).open(encoding="utf-8") as stream:
            return stream.read(_MAX_SIZE)
    except OSError as error:
        raise CommandError(f"--curl: {given[1:]}: can't be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise CommandError(f"--curl: {given.removeprefix('@')}: isn't text in UTF-8") from None


def _make_name(command: CurlRequest) -> str:
    """Return a name for the profile, such as ``example_exports`` for https://api.example.com/v1/exports."""
    host = urlsplit(command.origin).hostname or ""
    labels = [label for label in host.split(".") if label not in _COMMON_LABELS and not label.isdigit()]
    parts = [part for part in command.path.split("/") if part and not _VERSION.fullmatch(part) and "{" not in part]
    # A verb alone says little: `orders_run`.
    kept = parts[-2:] if parts and _VERB.fullmatch(parts[-1]) else parts[-1:]
    words = [*labels[:1], *map(unquote, kept)]
    return re.sub(r"\W+", "_", "_".join(words), flags=re.ASCII).strip("_").lower() or "job"


def _choose_files(arguments: argparse.Namespace, name: str) -> tuple[Path, Path]:
    if not is_profile_name(name) or "/" in name:
        raise CommandError(f"--name: {name!r} can't be the name of a profile; use letters, digits, _ and -")
    folder = Path(arguments.output)
    if not folder.is_dir():
        raise CommandError(f"--output: {arguments.output} isn't a folder")
    files = folder / f"{name}.toml", folder / f"{name}_dag.py"
    for path in files:
        if path.exists() and not arguments.overwrite:
            raise CommandError(f"--name: {path} exists; choose another name, or add --overwrite to replace it")
    return files


def _with_connection(connection: dict[str, Any]) -> argparse.Namespace:
    fields = {name: value for name, value in connection.items() if name != "conn_type"}
    return argparse.Namespace(conn=json.dumps(fields), conn_id=None)


def _read_answers(arguments: argparse.Namespace) -> Answers:
    if both := set(map(to_comparable, arguments.success)) & set(map(to_comparable, arguments.failure)):
        raise CommandError(f"--failure: {min(both)!r} is also given by --success; a status has one meaning")
    outcomes = {
        to_comparable(value): outcome
        for outcome, values in ((Outcome.SUCCESS, arguments.success), (Outcome.FAILURE, arguments.failure))
        for value in values
    }
    return Answers(
        identifier=arguments.identifier,
        status=arguments.status,
        outcomes=outcomes,
        result=arguments.result,
        interval=arguments.interval,
        timeout=arguments.timeout,
    )


def _describe_unfinished(exploration: Exploration, timeout: float) -> str:
    seen = ", ".join(as_text(value) for value, _ in exploration.seen.values()) or "none"
    return (
        f"the job isn't over after {timeout:g} s; statuses seen: {seen}. If one of them means that it is over, add"
        " --success or --failure; else a longer --timeout"
    )


def _write_next_steps(output: Output, name: str, files: Sequence[Path], connection: dict[str, Any]) -> None:
    profile, dag = files
    output.write("Written")
    output.write(f"  {profile}")
    output.write(f"  {dag}")
    output.write("Next")
    output.write(f"  airflow connections add {name} --conn-json {shlex.quote(json.dumps(connection))}")
    output.write(f"  airflow asyncapi try {profile} --conn-id {name}")
    output.write(
        f"  move {profile.name} to the folder of [asyncapi] profiles_folder, {dag.name} to the folder of the DAGs"
    )
