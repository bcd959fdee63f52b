"""The job handle: what one task tells the next about the remote job. It goes through XCom, so it holds no secret."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from airflow_provider_asyncapi.core.errors import HandleError, MissingValueError, ResultTooLargeError
from airflow_provider_asyncapi.core.names import RESULT_IDENTIFIER, Outcome
from airflow_provider_asyncapi.core.templates import CONTROL
from airflow_provider_asyncapi.core.values import JsonValue, shorten

VERSION = 1
#: The longest JSON text of a captured variable, in characters; larger things belong to the fetch operator.
MAX_VARIABLE = 48 * 1024
_KEYS = ("version", "identifier", "outcome", "status", "progress", "submitted_at", "urls", "variables", "task", "call")


@dataclass(frozen=True, slots=True)
class JobHandle:
    """
    One remote job.

    :param identifier: as the API gave it: a string or an integer; None for a job that was over before it got one.
    :param outcome: what the last answer meant.
    :param status: the status value last seen.
    :param progress: from 0 to 1.
    :param submitted_at: seconds since the epoch; None where another tool submitted the job.
    :param urls: where the job was submitted (``submit``) and polled (``status``), without queries.
    :param variables: what was captured, by name and by selector.
    :param task: which task instance submitted it: ``dag_id``, ``run_id``, ``task_id`` and ``map_index``.
    :param call: which of its callbacks ended the wait, counted from 0; None where a poll did.
    """

    identifier: str | int | None
    outcome: Outcome = Outcome.RUNNING
    status: JsonValue = None
    progress: float | None = None
    submitted_at: float | None = None
    urls: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, JsonValue] = field(default_factory=dict)
    task: Mapping[str, JsonValue] = field(default_factory=dict)
    call: int | None = None

    @classmethod
    def parse(cls, given: Any) -> JobHandle:
        """
        Read a handle, or make one of a bare identifier.

        :param given: a handle's dict, a string or an integer. Text is always an identifier, whatever it says: an API
            gave it, and what a handle says is believed.
        :raises HandleError: on anything else, an empty identifier, or a handle of another version.
        """
        if isinstance(given, JobHandle):
            return given
        if given == "None":
            raise HandleError("job: the template gave None, so the task that it takes the job from has pushed nothing")
        if isinstance(given, Mapping):
            return cls._parse_dict(given)
        if isinstance(given, str) and _looks_like_handle(given):
            raise HandleError(
                f"job: this is the text of a job handle, or of what looks like one, and only a handle itself is taken"
                f" for one: {shorten(given, 80)!r}; give submit.job or wait.job, or a template that is nothing but"
                " {{ ti.xcom_pull(task_ids='…', key='job') }}"
            )
        try:
            return cls(check_identifier(given))
        except MissingValueError as error:
            raise HandleError(
                f"job: {error}; it takes a job handle (submit.job, wait.job) or an identifier, and got"
                f" {type(given).__name__}"
            ) from None

    @classmethod
    def _parse_dict(cls, given: Mapping[str, Any]) -> JobHandle:
        version = given.get("version")
        if version != VERSION:
            raise HandleError(
                f"job: this is a job handle of version {version!r}, and this provider reads version {VERSION};"
                " run the task that made it again, or use the provider's version that made it"
                if version is not None
                else f"job: this isn't a job handle, it has no version; its keys are {sorted(map(str, given))[:10]}"
            )
        unknown = [key for key in given if key not in _KEYS]
        try:
            if unknown:
                raise ValueError(f"unknown key {unknown[0]!r}")  # noqa: TRY301 - one message for all mistakes
            identifier, submitted_at, progress = given["identifier"], given.get("submitted_at"), given.get("progress")
            return cls(
                identifier=None if identifier is None else check_identifier(identifier),
                outcome=Outcome(given["outcome"]),
                status=given.get("status"),
                progress=None if progress is None else float(progress),
                submitted_at=datetime.fromisoformat(submitted_at).timestamp() if submitted_at else None,
                urls=dict(given.get("urls") or {}),
                variables=dict(given.get("variables") or {}),
                task=dict(given.get("task") or {}),
                call=None if given.get("call") is None else int(given["call"]),
            )
        except (KeyError, ValueError, TypeError, OverflowError, MissingValueError) as error:
            raise HandleError(f"job: broken job handle: {type(error).__name__}: {error}") from None

    def dump(self) -> dict[str, JsonValue]:
        """Give the handle as a dict for XCom."""
        moment = self.submitted_at
        return {
            "version": VERSION,
            "identifier": self.identifier,
            "outcome": str(self.outcome),
            "status": self.status,
            "progress": self.progress,
            "submitted_at": None if moment is None else datetime.fromtimestamp(moment, UTC).isoformat(),
            "urls": dict(self.urls),
            "variables": dict(self.variables),
            "task": dict(self.task),
            "call": self.call,
        }

    @property
    def result_identifier(self) -> JsonValue:
        """What the result is fetched by; a job without one of its own has its identifier for it."""
        return self.variables.get(RESULT_IDENTIFIER, self.identifier)

    def scope(self) -> dict[str, JsonValue]:
        """Give all variables that the job brings."""
        return {**self.variables, RESULT_IDENTIFIER: self.result_identifier, "identifier": self.identifier}

    def with_variables(self, captured: Mapping[str, JsonValue]) -> JobHandle:
        """
        Give the handle with these variables added.

        :raises ResultTooLargeError: where one is larger than a variable should be.
        """
        for name, value in captured.items():
            size = len(json.dumps(value))
            if size > MAX_VARIABLE:
                raise ResultTooLargeError(
                    f"capture: {name!r} found {size} characters, and a variable may have {MAX_VARIABLE};"
                    " capture where the result is, and fetch it"
                )
        return dataclasses.replace(self, variables={**self.variables, **captured}) if captured else self


def check_identifier(value: JsonValue) -> str | int:
    """
    Check what may be an identifier.

    :raises MissingValueError: on null, an empty string, an object, a list, a boolean, a line break.
    """
    if isinstance(value, bool) or not isinstance(value, str | int):
        kind = {dict: "an object", list: "a list", bool: "a boolean", type(None): "null"}.get(type(value))
        raise MissingValueError(f"an identifier has to be a string or an integer, not {kind or type(value).__name__}")
    if isinstance(value, str):
        if not value.strip():
            raise MissingValueError("an identifier can't be empty")
        if CONTROL.search(value):
            raise MissingValueError(
                f"an identifier can't hold line breaks or control characters: {shorten(repr(value), 80)}"
            )
    return value


def _looks_like_handle(text: str) -> bool:
    """Return whether a text is what a filter, or another text around it, makes of a handle."""
    return text.lstrip().startswith("{") and all(key in text for key in ("version", "identifier", "outcome"))
