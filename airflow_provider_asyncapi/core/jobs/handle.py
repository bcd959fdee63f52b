"""The job handle, which one task passes to the next about a remote job. It goes through XCom, so it has no secret."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from datetime import UTC, datetime
from typing import Any

from airflow_provider_asyncapi.core.errors import (
    InvalidHandleError,
    MissingValueError,
    ResultTooLargeError,
    UnstorableValueError,
)
from airflow_provider_asyncapi.core.jobs.storable import has_more_values, to_storable, to_storable_status
from airflow_provider_asyncapi.core.jobs.stored_fields import read_fields
from airflow_provider_asyncapi.core.json_values import JsonValue
from airflow_provider_asyncapi.core.outcome import IDENTIFIERS, RESULT_IDENTIFIER, Outcome
from airflow_provider_asyncapi.core.templates import CONTROL
from airflow_provider_asyncapi.core.text import clean_text, make_displayable, shorten

#: Version of the stored layout; see :mod:`~.stored_fields`.
VERSION = 1
#: Longest JSON text of a variable, and of all variables of a job, in characters; the fetch operator is for larger data.
MAX_VARIABLE, MAX_VARIABLES = 48 * 1024, 192 * 1024
#: Largest number of values in all variables of a job; walking them blocks the triggerer's event loop for about 30 ms.
MAX_VALUES = 20_000
#: Longest identifier, in characters; no server accepts a longer URL.
MAX_IDENTIFIER = 8 * 1024
_KEYS = (
    "identifier",
    "outcome",
    "status",
    "progress",
    "submitted_at",
    "urls",
    "variables",
    "task",
    "call",
    "slot_of",
    "profile",
    "trace",
)

#: What to do with the handles of several jobs.
MAP_ADVICE = "map the task over the handles: AsyncApiSensor.partial(…).expand(job=submit.handles)"


@dataclass(frozen=True, slots=True)
class JobHandle:
    """
    A remote job.

    :param identifier: the identifier from the API, a string or an integer; None for a job that was over before it got
        one.
    :param outcome: the outcome by the last response.
    :param status: the status in the last response.
    :param progress: a number from 0 to 1.
    :param submitted_at: the time of the submit, in seconds since the epoch; None if another tool submitted the job.
    :param urls: the URLs of the submit (``submit``) and of the last poll (``status``), without queries.
    :param variables: the captured values, by name and by selector.
    :param task: the task instance that submitted the job: ``dag_id``, ``run_id``, ``task_id`` and ``map_index``.
    :param call: index of the callback that ended the wait, from 0; None if a poll ended it.
    :param slot_of: the task instance whose slot the job has (``max_active_jobs``), if it isn't the one in ``task``.
    :param profile: name and version of the profile that described the submit (:mod:`~.profile_version`); empty for
        none.
    :param trace: the identity of the job's span (:mod:`~.monitoring.spans`), if Airflow's tracing is on; else empty.
    """

    identifier: str | int | None
    outcome: Outcome = Outcome.RUNNING
    status: JsonValue = None
    _: KW_ONLY
    progress: float | None = None
    submitted_at: float | None = None
    urls: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, JsonValue] = field(default_factory=dict)
    task: Mapping[str, JsonValue] = field(default_factory=dict)
    call: int | None = None
    slot_of: Mapping[str, JsonValue] = field(default_factory=dict)
    profile: Mapping[str, JsonValue] = field(default_factory=dict)
    trace: Mapping[str, JsonValue] = field(default_factory=dict)

    @classmethod
    def parse(cls, given: Any) -> JobHandle:
        """
        Parse a handle, or make one from a bare identifier.

        :param given: the dict of a handle, a string or an integer. A string is always an identifier, even if it looks
            like a handle: it may come from an API, and the contents of a handle are trusted.
        :raises InvalidHandleError: if it is anything else, an empty identifier, or a broken handle.
        :raises NewerLayoutError: if a newer version of this provider has stored it in a layout that this one can't
            read.
        """
        if isinstance(given, JobHandle):
            return given
        if given == "None":
            raise InvalidHandleError(
                "job: the template gave None, so the task that it takes the job from has pushed nothing"
            )
        if isinstance(given, Mapping):
            return cls._parse_dict(given)
        if isinstance(given, list):
            raise InvalidHandleError(f"job: this is a list of {len(given)} jobs, and the task takes one; {MAP_ADVICE}")
        if isinstance(given, str) and _looks_like_handle(given):
            raise InvalidHandleError(
                f"job: this is the text of a job handle, or of what looks like one, and only a handle itself is taken"
                f" for one: {shorten(given, 80)!r}; set it to submit.handle or wait.handle, or a template that is only"
                " {{ ti.xcom_pull(task_ids='…', key='job') }}"
            )
        try:
            return cls(check_identifier(given))
        except MissingValueError as error:
            raise InvalidHandleError(
                f"job: {error}; it takes a job handle (submit.handle, wait.handle) or an identifier, and got"
                f" {type(given).__name__}"
            ) from None

    @classmethod
    def _parse_dict(cls, given: Mapping[str, Any]) -> JobHandle:
        if given.get("version") is None:
            raise InvalidHandleError(
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
                slot_of=_read_mapping(fields, "slot_of"),
                profile=_read_mapping(fields, "profile"),
                trace=_read_mapping(fields, "trace"),
            )
        except (KeyError, ValueError, TypeError, OverflowError, MissingValueError, UnstorableValueError) as error:
            raise InvalidHandleError(f"job: broken job handle: {type(error).__name__}: {error}") from None

    def dump(self) -> dict[str, JsonValue]:
        """Return the handle as a dict for XCom."""
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
            **({"slot_of": dict(self.slot_of)} if self.slot_of else {}),
            **({"profile": dict(self.profile)} if self.profile else {}),
            **({"trace": dict(self.trace)} if self.trace else {}),
        }

    @property
    def printable_identifier(self) -> str:
        """The identifier for log messages."""
        return make_displayable(str(self.identifier))

    @property
    def result_identifier(self) -> JsonValue:
        """The identifier for requests about the result; by default the identifier of the job."""
        return self.variables.get(RESULT_IDENTIFIER, self.identifier)

    def scope(self) -> dict[str, JsonValue]:
        """Return all variables that requests about the job may use."""
        return {**self.variables, RESULT_IDENTIFIER: self.result_identifier, "identifier": self.identifier}

    def split(self) -> list[JobHandle]:
        """Return a handle for each job, if the submit has made several (``identifiers``), without a common span."""
        variables = {name: value for name, value in self.variables.items() if name != IDENTIFIERS}
        return [
            dataclasses.replace(self, identifier=identifier, variables=variables, trace={})
            for identifier in self.variables[IDENTIFIERS]
        ]

    def with_variables(self, captured: Mapping[str, JsonValue], where: str = "capture") -> JobHandle:
        """
        Return the handle with these variables added.

        :param where: the parameter that sets them, for messages.
        :raises ResultTooLargeError: if a variable, or all variables of the job together, are too large.
        :raises UnstorableValueError: if Airflow can't store a variable.
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
                f"{where}: the variables of the job contain more than {MAX_VALUES} values, too many for the triggerer;"
                " capture the address of the result, and fetch it"
            )
        return dataclasses.replace(self, variables=variables)


def _read_mapping(fields: Mapping[str, Any], name: str) -> dict[str, JsonValue]:
    return {key: to_storable(value, f"{name} {key!r}") for key, value in dict(fields.get(name) or {}).items()}


def _check_size(what: str, value: JsonValue, limit: int, where: str) -> None:
    size = len(json.dumps(value))
    if size > limit:
        raise ResultTooLargeError(
            f"{where}: {what} {size} characters as JSON, and the limit is {limit}; capture the address of the result,"
            " and fetch it"
        )


def check_identifier(value: JsonValue) -> str | int:
    """
    Return an identifier as a job handle stores it: an integer beyond 64 bits becomes the text of its digits.

    :raises MissingValueError: if the value can't be an identifier: null, an empty string, an object, a list, a boolean,
        a string with a line break or an unpaired surrogate, or a string that is too long.
    """
    if isinstance(value, bool) or not isinstance(value, str | int):
        kind = {dict: "an object", list: "a list", bool: "a boolean", type(None): "null"}.get(type(value))
        raise MissingValueError(f"an identifier has to be a string or an integer, not {kind or type(value).__name__}")
    if isinstance(value, str):
        if not value.strip():
            raise MissingValueError("an identifier can't be empty")
        if CONTROL.search(value):
            raise MissingValueError(
                "an identifier can't contain line breaks, control characters or half a character:"
                f" {shorten(ascii(value), 80)}"
            )
        if len(value) > MAX_IDENTIFIER:
            raise MissingValueError(
                f"an identifier can't have {len(value)} characters, the limit is {MAX_IDENTIFIER}: {shorten(value, 80)}"
            )
    identifier: str | int = to_storable(value, "identifier")
    return identifier


def _looks_like_handle(text: str) -> bool:
    """Return whether a text looks like a handle that a Jinja filter, or surrounding text, has turned into a string."""
    return text.lstrip().startswith("{") and all(key in text for key in ("version", "identifier", "outcome"))
