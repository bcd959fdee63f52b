"""The command that runs a job as a profile describes it, without a DAG."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from airflow.providers.common.compat.sdk import AirflowException, AirflowSkipException

from airflow_provider_asyncapi.cli.connections import read_api
from airflow_provider_asyncapi.cli.narrated_hook import NarratedHook
from airflow_provider_asyncapi.cli.narration import Narrator
from airflow_provider_asyncapi.cli.output import Output
from airflow_provider_asyncapi.cli.recording import write_recording
from airflow_provider_asyncapi.cli.running import CommandError, ExitCode
from airflow_provider_asyncapi.cli.tried_profile import (
    check_submit,
    choose_parameters,
    list_parameters,
    load_description,
)
from airflow_provider_asyncapi.cli.variables import parse_assignments
from airflow_provider_asyncapi.core.errors import AsyncApiError
from airflow_provider_asyncapi.core.http.redaction import redact_url
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.json_values import JsonValue, as_list
from airflow_provider_asyncapi.core.profiles.lint import suggest_name
from airflow_provider_asyncapi.core.text import shorten
from airflow_provider_asyncapi.exceptions import AsyncApiConfigurationError

#: Seconds until a wait ends if neither the command nor the profile says it.
_TIMEOUT = 3600.0
#: The length of the result that is shown, in characters.
_MAX_RESULT = 2000


def try_profile(arguments: argparse.Namespace, output: Output) -> ExitCode:
    """Submit a job, poll it until it is over, and fetch its result, or do one of these."""
    if arguments.action in ("status", "fetch") and arguments.job is None:
        raise CommandError(f"JOB: `{arguments.action}` needs the identifier of a job, or the job that `submit` printed")
    description = load_description(arguments.profile)
    parameters = choose_parameters(description)
    _apply_settings(parameters, arguments.set)
    if arguments.action in ("all", "submit") and arguments.job is None:
        check_submit(description.get("submit", {}), parameters["submit"], parse_assignments(arguments.var))
    conn_id, api = read_api(arguments, description.get("connection", {}))
    narrator = Narrator(output, api, parameters["status"], show_headers=arguments.headers)
    if arguments.record is not None:
        narrator.begin_recording()
    with NarratedHook(conn_id, api, narrator) as hook:
        attempt = _Attempt(hook, narrator, parameters, arguments)
        try:
            code = attempt.run()
        except AsyncApiConfigurationError as error:
            narrator.flush()
            raise CommandError(str(error)) from None
        except AirflowSkipException as skipped:
            code, attempt.error = ExitCode.OK, str(skipped)
        except AirflowException as error:
            code, attempt.error = ExitCode.FAILED, str(error)
        narrator.flush()
    if narrator.recorded is not None:
        write_recording(Path(arguments.record), narrator.recorded, api)
    attempt.write_end(output)
    return code


def _apply_settings(parameters: Mapping[str, dict[str, Any]], given: list[str]) -> None:
    """Set parameters from the command line, such as ``submit.endpoint=/exports``."""
    for name, value in parse_assignments(given, "--set").items():
        table, _, key = name.partition(".")
        if table not in parameters or not key:
            raise CommandError(f"--set: {name!r} isn't a parameter; write it as submit.endpoint=/exports")
        known = list_parameters(table, [key])
        if key not in known:
            raise CommandError(f"--set: [{table}] has no parameter {key!r}{suggest_name(key, known)}")
        parameters[table][key] = value


@contextmanager
def _explain_store_errors(destination: str | None) -> Iterator[None]:
    """Raise the error of an object store as one of the command: the library of each store has errors of its own."""
    try:
        yield
    except (AirflowException, AirflowSkipException, AsyncApiError):
        raise
    except Exception as error:
        if destination is None or destination.startswith("file:"):
            raise
        raise CommandError(
            f"destination: {redact_url(destination)!r} can't be written to: {type(error).__name__}: {error}; the id of"
            " the connection of the store is the user of its URL, as in s3://my_conn@bucket/folder/"
        ) from error


class _Attempt:
    """One run of the command, and its results."""

    def __init__(
        self,
        hook: NarratedHook,
        narrator: Narrator,
        parameters: Mapping[str, dict[str, Any]],
        arguments: argparse.Namespace,
    ) -> None:
        self._hook, self._narrator, self._parameters, self._arguments = hook, narrator, parameters, arguments
        self._variables = parse_assignments(arguments.var)
        self._has_result = False
        self._result: JsonValue = None
        self.error: str | None = None

    def run(self) -> ExitCode:
        match self._arguments.action:
            case "submit":
                self._submit()
            case "status":
                self._poll_once(self._read_job())
            case "fetch":
                self._fetch(self._read_job())
            case _:
                handle = self._submit() if self._arguments.job is None else self._read_job()
                handle = self._wait(handle)
                if self._parameters["fetch"]:
                    self._fetch(handle)
        return ExitCode.OK

    @property
    def _status_parameters(self) -> dict[str, Any]:
        """The parameters of a poll."""
        return {name: value for name, value in self._parameters["status"].items() if name != "timeout"}

    def _read_job(self) -> JobHandle:
        text = self._arguments.job
        try:
            given = json.loads(text) if text.lstrip().startswith("{") else text
        except ValueError as error:
            raise CommandError(f"JOB: begins as JSON, but isn't: {error}") from None
        return JobHandle.parse(given).with_variables(self._variables)

    def _submit(self) -> JobHandle:
        self._narrator.begin("Submit")
        given = self._parameters["submit"]
        variables = {**given.get("variables", {}), **self._variables}
        handle = self._hook.submit_job(**{**given, "variables": variables})
        self._narrator.flush()
        for selector in as_list(given.get("identifier")):
            if isinstance(selector, str) and selector in handle.variables:
                self._narrator.write(f"  identifier: {selector!r} finds {json.dumps(handle.identifier)}")
        for name in given.get("capture", {}):
            found = json.dumps(handle.variables[name]) if name in handle.variables else "nothing"
            self._narrator.write(f"  capture: {name} is {found}")
        self._narrator.handle = handle
        return handle

    def _poll_once(self, handle: JobHandle) -> None:
        self._narrator.begin(f"Status of job {handle.identifier}", polls=True)
        self._narrator.handle = self._hook.get_job(handle, **self._status_parameters)
        self._narrator.explain(None, self._narrator.handle)

    def _wait(self, handle: JobHandle) -> JobHandle:
        if handle.outcome.is_final:
            return handle
        self._narrator.handle = handle
        self._narrator.begin(f"Status of job {handle.identifier}", polls=True)
        with self._offer_cancel():
            timeout = self._arguments.timeout or self._parameters["status"].get("timeout", _TIMEOUT)
            handle = self._hook.wait_for_job(handle, timeout=timeout, **self._status_parameters)
        self._narrator.handle = handle
        return handle

    @contextmanager
    def _offer_cancel(self) -> Iterator[None]:
        """Ask whether to cancel the job if the user interrupts the wait."""
        try:
            yield
        except KeyboardInterrupt:
            handle, cancel = self._narrator.handle, self._parameters["cancel"]
            if handle is not None and cancel and sys.stdin.isatty():
                sys.stderr.write(f"\nCancel job {handle.identifier}? [y/N] ")
                sys.stderr.flush()
                if sys.stdin.readline().strip().lower() in ("y", "yes"):
                    self._narrator.begin("Cancel")
                    is_accepted = self._hook.cancel_job(handle, reason="interrupted", **cancel)
                    self._narrator.flush()
                    self._narrator.write(f"  {'accepted' if is_accepted else 'not accepted'}")
                    raise
            self._narrator.write(f"  job {handle and handle.identifier} keeps running")
            raise

    def _fetch(self, handle: JobHandle) -> None:
        self._narrator.begin("Fetch")
        given = dict(self._parameters["fetch"])
        if (destination := self._arguments.destination) is not None:
            is_folder = destination.endswith("/")
            given["destination"] = (
                destination if "://" in destination else Path(destination).resolve().as_uri() + "/" * is_folder
            )
        self._narrator.handle = handle
        with _explain_store_errors(given.get("destination")):
            self._result = self._hook.fetch_result(handle, **given)
        self._has_result = True

    def write_end(self, output: Output) -> None:
        handle = self._narrator.handle
        if output.as_json:
            output.write_json(
                {
                    "job": None if handle is None else handle.dump(),
                    "result": self._result,
                    "error": self.error,
                    "exchanges": self._narrator.exchanges,
                }
            )
            return
        if self.error is not None:
            self._narrator.write(f"  {self.error}")
        elif self._has_result:
            self._narrator.write("Result")
            text = json.dumps(self._result, ensure_ascii=False, default=str)
            self._narrator.write(f"  {shorten(text, _MAX_RESULT)}")
        elif handle is not None:
            self._narrator.write(f"Job {handle.identifier}: {handle.outcome}")
