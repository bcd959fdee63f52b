"""Asking for many jobs at once: how one request names them, and how its answer is taken apart."""

from __future__ import annotations

import enum
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_asyncapi.core.connection.settings import Api
from airflow_provider_asyncapi.core.errors import ConfigurationError
from airflow_provider_asyncapi.core.http.messages import Part, Request, Response
from airflow_provider_asyncapi.core.json_values import JsonValue, as_list, as_text
from airflow_provider_asyncapi.core.requests.request_template import RequestTemplate
from airflow_provider_asyncapi.core.selectors.selection import Selection
from airflow_provider_asyncapi.core.templates import Variables

IDENTIFIERS = "identifiers"
#: The same, where it stays a list; an author can't write this name, for it has a space too many.
_AS_LIST = " identifiers"
_SIZE = 500
_OWN_PARAMETERS = ("items", "id", "size", "separator", "absent")


class Absent(enum.StrEnum):
    """What it means that the answer doesn't hold a job that it was asked for."""

    RUNNING = "running"
    SUCCESS = "success"
    FAILURE = "failure"
    #: A transient error: it will be there the next time.
    RETRY = "retry"
    #: The job is asked for singly.
    POLL = "poll"


@dataclass(frozen=True, slots=True)
class Batch:
    """
    How many jobs are asked for with one request.

    :param request: names them ``{identifiers}``.
    :param items: the jobs in its answer.
    :param id: which job it is, in one of them.
    :param absent: what it means that a job isn't among them.
    :param size: how many are asked for at a time at most.
    :param separator: what stands between two in a text; None where each has a query parameter of its own.
    :param key: the same for all batches of the same description.
    """

    request: RequestTemplate = field(compare=False)
    items: Selection
    id: Selection
    absent: Absent
    size: int
    separator: str | None
    key: str

    @classmethod
    def parse(cls, given: Any, *, singly: bool) -> Batch | None:
        """
        Read the parameter ``batch``; None where there is none.

        :param singly: whether there is a request for one job too.
        :raises ConfigurationError: naming the part that is wrong.
        """
        if given is None:
            return None
        if not isinstance(given, Mapping):
            raise ConfigurationError(f"batch: has to be a mapping that describes a request, not {given!r}")
        for name in ("items", "id"):
            if given.get(name) is None:
                raise ConfigurationError(f"batch: {name} is missing; it is a selector, such as 'jobs[*]' and 'id'")
        size = given.get("size", _SIZE)
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise ConfigurationError(f"batch: size has to be a whole number of at least 1, not {size!r}")
        separator = given.get("separator", ",")
        if separator is not None and (not isinstance(separator, str) or not separator):
            raise ConfigurationError(f"batch: separator has to be a text or None, not {separator!r}")
        absent = given.get("absent") or (Absent.POLL if singly else Absent.RETRY)
        if absent not in list(Absent) or (absent == Absent.POLL and not singly):
            choices = ", ".join(Absent)
            raise ConfigurationError(
                f"batch: absent has to be one of {choices} (poll only beside an endpoint for one job), not {absent!r}"
            )
        request = RequestTemplate.parse(_with_lists(given, separator), "batch", also=_OWN_PARAMETERS)
        names = request.names()
        if separator is None and IDENTIFIERS in names:
            raise ConfigurationError(
                "batch: without a separator {identifiers} can only be a query parameter or a value of a JSON body, and"
                " nothing beside it"
            )
        if not names & {IDENTIFIERS, _AS_LIST}:
            raise ConfigurationError("batch: the request has to name the jobs: {identifiers}")
        return cls(
            request,
            Selection.parse(given["items"], "batch.items"),
            Selection.parse(given["id"], "batch.id"),
            Absent(absent),
            size,
            separator,
            json.dumps(given, sort_keys=True, default=str),
        )

    def render(self, api: Api, identifiers: Sequence[str | int]) -> Request:
        """Make the request for some jobs."""
        known: dict[str, JsonValue] = {_AS_LIST: list(identifiers)}
        if self.separator is not None:
            known[IDENTIFIERS] = self.separator.join(map(as_text, identifiers))
        return api.request(self.request, {**api.scope, **known})

    def split(self, response: Response, variables: Variables) -> dict[str, Response]:
        """
        Take an answer apart: identifier, as text, to the job's item as if it were an answer of its own.

        :raises ContentError: where the body can't be read.
        """
        split: dict[str, Response] = {}
        for item in as_list(self.items.value(response, variables)):
            answer = Part(response, item)
            identifier = self.id.value(answer, variables)
            if identifier is not None:
                split[as_text(identifier)] = answer
        return split


@dataclass(frozen=True, slots=True)
class Answers:
    """
    What a batch was answered.

    :param request: what was asked.
    :param response: the answer as it came.
    :param items: identifier, as text, to the answer for this job; None where the answer isn't about jobs at all.
    """

    request: Request
    response: Response
    items: Mapping[str, Response] | None

    def about(self, identifier: str | int | None) -> Response | None:
        """Give the answer for one job, or that for all where it isn't about jobs; None where the job is absent."""
        return self.response if self.items is None else self.items.get(as_text(identifier))


def _with_lists(given: Mapping[str, Any], separator: str | None) -> dict[str, Any]:
    """Give the request with the variable renamed where it stays a list."""
    request = dict(given)
    if given.get("json") is not None:
        request["json"] = _renamed(given["json"])
    if separator is None:
        request["query_params"] = _renamed(given.get("query_params"))
    return request


def _renamed(value: JsonValue) -> JsonValue:
    if isinstance(value, Mapping):
        return {key: _renamed(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_renamed(item) for item in value]
    return f"{{{_AS_LIST}}}" if value == f"{{{IDENTIFIERS}}}" else value
