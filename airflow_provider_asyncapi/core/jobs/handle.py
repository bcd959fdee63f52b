"""The job handle: what one task tells the next about the remote job. It goes through XCom, so it holds no secret."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from airflow_provider_asyncapi.core.errors import (
    HandleError,
    MissingValueError,
    ResultTooLargeError,
    UnstorableValueError,
)
from airflow_provider_asyncapi.core.jobs.layouts import read_fields
from airflow_provider_asyncapi.core.jobs.storable import has_more_values, to_storable, to_storable_status
from airflow_provider_asyncapi.core.json_values import JsonValue, clean_text, make_displayable, shorten
from airflow_provider_asyncapi.core.outcome import RESULT_IDENTIFIER, Outcome
from airflow_provider_asyncapi.core.templates import CONTROL

#: Of the layout; see :mod:`~.layouts`.
VERSION = 1
#: The longest JSON text of a variable, and of all of a job, in characters; larger things belong to the fetch operator.
MAX_VARIABLE, MAX_VARIABLES = 48 * 1024, 192 * 1024
#: How many values all variables of a job may hold: looking at them holds the triggerer's event loop for some 30 ms.
MAX_VALUES = 20_000
#: The longest identifier, in characters: no server takes a longer URL.
MAX_IDENTIFIER = 8 * 1024
_KEYS = ("identifier", "outcome", "status", "progress", "submitted_at", "urls", "variables", "task", "call")


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
        :raises HandleError: on anything else, an empty identifier, or a broken handle.
        :raises NewerLayoutError: if a newer version of this provider has made the handle, and this one can't read it.
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
                f" for one: {shorten(given, 80)!r}; give submit.handle or wait.handle, or a template that is only"
                " {{ ti.xcom_pull(task_ids='…', key='job') }}"
            )
        try:
            return cls(check_identifier(given))
        except MissingValueError as error:
            raise HandleError(
                f"job: {error}; it takes a job handle (submit.handle, wait.handle) or an identifier, and got"
                f" {type(given).__name__}"
            ) from None

    @classmethod
    def _parse_dict(cls, given: Mapping[str, Any]) -> JobHandle:
        if given.get("version") is None:
            raise HandleError(
                f"job: this isn't a job handle, it has no version; its keys are {sorted(map(str, given))[:10]}"
            )
        try:
            fields = read_fields(given, "job: the job handle", version=VERSION, known=_KEYS)
            identifier, status = fields["identifier"], fields.get("status")
            submitted_at, progress = fields.get("submitted_at"), fields.get("progress")
            return cls(
                identifier=None if identifier is None else check_identifier(identifier),
                outcome=Outcome(fields["outcome"]),
                # A text was shortened when it was found.
                status=clean_text(status) if isinstance(status, str) else to_storable_status(status),
                progress=None if progress is None else min(1.0, max(0.0, float(progress))),
                submitted_at=datetime.fromisoformat(submitted_at).timestamp() if submitted_at else None,
                urls=_read_mapping(fields, "urls"),
                variables=_read_mapping(fields, "variables"),
                task=_read_mapping(fields, "task"),
                call=None if fields.get("call") is None else int(fields["call"]),
            )
        except (KeyError, ValueError, TypeError, OverflowError, MissingValueError, UnstorableValueError) as error:
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
    def shown_identifier(self) -> str:
        """The identifier as it stands in a log."""
        return make_displayable(str(self.identifier))

    @property
    def result_identifier(self) -> JsonValue:
        """What the result is fetched by; a job without one of its own has its identifier for it."""
        return self.variables.get(RESULT_IDENTIFIER, self.identifier)

    def scope(self) -> dict[str, JsonValue]:
        """Give all variables that the job brings."""
        return {**self.variables, RESULT_IDENTIFIER: self.result_identifier, "identifier": self.identifier}

    def with_variables(self, captured: Mapping[str, JsonValue], where: str = "capture") -> JobHandle:
        """
        Return the handle with these variables added.

        :param where: the parameter that has set them, for messages.
        :raises ResultTooLargeError: if one, or all of the job, are larger than variables should be.
        :raises UnstorableValueError: if Airflow can't store one.
        """
        if not captured:
            return self
        variables = {**self.variables}
        for name, value in captured.items():
            variables[name] = to_storable(value, f"{where} {shorten(name)!r}")
            _check_size(f"{name!r} has", variables[name], MAX_VARIABLE, where)
        _check_size("all variables of the job have", variables, MAX_VARIABLES, where)
        if has_more_values(variables, MAX_VALUES):
            raise ResultTooLargeError(
                f"{where}: the variables of the job hold more than {MAX_VALUES} values, and each is looked at in the"
                " triggerer; capture where the result is, and fetch it"
            )
        return dataclasses.replace(self, variables=variables)


def _read_mapping(fields: Mapping[str, Any], name: str) -> dict[str, JsonValue]:
    return {key: to_storable(value, f"{name} {key!r}") for key, value in dict(fields.get(name) or {}).items()}


def _check_size(what: str, value: JsonValue, limit: int, where: str) -> None:
    size = len(json.dumps(value))
    if size > limit:
        raise ResultTooLargeError(
            f"{where}: {what} {size} characters as JSON, and the limit is {limit}; capture where the result is, and"
            " fetch it"
        )


def check_identifier(value: JsonValue) -> str | int:
    """
    Return an identifier as a job handle holds it: an integer beyond 64 bits as the text of its digits.

    :raises MissingValueError: if it can't be one: null, an empty string, an object, a list, a boolean, a text with a
        line break or half a character, or a text that is too long.
    """
    if isinstance(value, bool) or not isinstance(value, str | int):
        kind = {dict: "an object", list: "a list", bool: "a boolean", type(None): "null"}.get(type(value))
        raise MissingValueError(f"an identifier has to be a string or an integer, not {kind or type(value).__name__}")
    if isinstance(value, str):
        if not value.strip():
            raise MissingValueError("an identifier can't be empty")
        if CONTROL.search(value):
            raise MissingValueError(
                "an identifier can't hold line breaks, control characters or half a character:"
                f" {shorten(ascii(value), 80)}"
            )
        if len(value) > MAX_IDENTIFIER:
            raise MissingValueError(
                f"an identifier can't have {len(value)} characters, the limit is {MAX_IDENTIFIER}: {shorten(value, 80)}"
            )
    identifier: str | int = to_storable(value, "identifier")
    return identifier


def _looks_like_handle(text: str) -> bool:
    """Return whether a text is what a filter, or another text around it, makes of a handle."""
    return text.lstrip().startswith("{") and all(key in text for key in ("version", "identifier", "outcome"))
