"""The request that polls several jobs, and how its response is split by job."""

from __future__ import annotations

import enum
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_asyncapi.core.errors import ConfigurationError
from airflow_provider_asyncapi.core.http.messages import Request, Response, ResponsePart
from airflow_provider_asyncapi.core.json_values import JsonValue, as_list, as_text
from airflow_provider_asyncapi.core.outcome import IDENTIFIERS
from airflow_provider_asyncapi.core.parameter_values import parse_whole_number
from airflow_provider_asyncapi.core.requests.request_template import RequestTemplate
from airflow_provider_asyncapi.core.selectors.selector import SelectorChain
from airflow_provider_asyncapi.core.templates import Variables

if TYPE_CHECKING:
    # DAG files are parsed without connections.
    from airflow_provider_asyncapi.core.connection.api import Api

#: The variable if its value stays a list. No author can write this name, since it begins with a space.
_AS_LIST = " identifiers"
_SIZE = 500
_OWN_PARAMETERS = ("items", "id", "size", "separator", "absent")


class Absent(enum.StrEnum):
    """The meaning of a response that doesn't contain a job of the request."""

    RUNNING = "running"
    SUCCESS = "success"
    FAILURE = "failure"
    #: A transient error: the next response should contain the job.
    RETRY = "retry"
    #: The job is polled with the request for one job.
    POLL = "poll"


@dataclass(frozen=True, slots=True)
class Batch:
    """
    The request that polls several jobs.

    :param request: the request, with the variable ``{identifiers}`` unless its response lists any jobs.
    :param items: the selector of the jobs in its response.
    :param id: the selector of the identifier in one of these jobs.
    :param absent: the meaning of a response that doesn't contain a job.
    :param size: largest number of jobs in one request.
    :param separator: the text between two identifiers; None if each has a query parameter of its own.
    :param key: a text that is equal for batches with the same description.
    """

    request: RequestTemplate = field(compare=False)
    items: SelectorChain
    id: SelectorChain
    absent: Absent
    size: int
    separator: str | None
    key: str

    @classmethod
    def parse(cls, given: Any, *, singly: bool) -> Batch | None:
        """
        Parse the parameter ``batch``; return None if it isn't given.

        :param singly: whether there is also a request for one job.
        :raises ConfigurationError: if it is invalid; the message names the key.
        """
        if given is None:
            return None
        if not isinstance(given, Mapping):
            raise ConfigurationError(f"batch: has to be a mapping that describes a request, not {given!r}")
        for name in ("items", "id"):
            if given.get(name) is None:
                raise ConfigurationError(f"batch: {name} is missing; it is a selector, such as 'jobs[*]' and 'id'")
        size = parse_whole_number(given.get("size"), "batch: size", _SIZE)
        separator = given.get("separator", ",")
        if separator is not None and (not isinstance(separator, str) or not separator):
            raise ConfigurationError(f"batch: separator has to be a string or None, not {separator!r}")
        absent = given.get("absent") or (Absent.POLL if singly else Absent.RETRY)
        if absent not in list(Absent) or (absent == Absent.POLL and not singly):
            choices = ", ".join(Absent)
            raise ConfigurationError(
                f"batch: absent has to be one of {choices} (poll needs an endpoint for one job, too), not {absent!r}"
            )
        request = RequestTemplate.parse(_rename_list_variables(given, separator), "batch", also=_OWN_PARAMETERS)
        names = request.find_variables()
        if separator is None and IDENTIFIERS in names:
            raise ConfigurationError(
                "batch: without a separator, {identifiers} has to be the whole value of a query parameter or of a field"
                " of the JSON body"
            )
        if not names & {IDENTIFIERS, _AS_LIST} and given.get("absent") is None:
            raise ConfigurationError(
                "batch: the request has to contain {identifiers}; for a list of jobs that can't be filtered by"
                " identifier, set absent, because a job may not be in the list"
            )
        return cls(
            request,
            SelectorChain.parse(given["items"], "batch.items"),
            SelectorChain.parse(given["id"], "batch.id"),
            Absent(absent),
            size,
            separator,
            json.dumps(given, sort_keys=True, default=str),
        )

    def render(self, api: Api, identifiers: Sequence[str | int]) -> Request:
        """Return the request that polls these jobs."""
        known: dict[str, JsonValue] = {_AS_LIST: list(identifiers)}
        if self.separator is not None:
            known[IDENTIFIERS] = self.separator.join(map(as_text, identifiers))
        return api.render_request(self.request, {**api.scope, **known})

    def split(self, response: Response, variables: Variables) -> dict[str, Response]:
        """
        Split a response by job: return a mapping of identifier, as text, to the job's item as a response.

        :raises ContentError: if the body can't be read.
        """
        split: dict[str, Response] = {}
        for item in as_list(self.items.find_value(response, variables)):
            part = ResponsePart(response, item)
            identifier = self.id.find_value(part, variables)
            if identifier is not None:
                split[as_text(identifier)] = part
        return split


@dataclass(frozen=True, slots=True)
class BatchResponse:
    """
    The response to a request for several jobs.

    :param request: the request.
    :param response: the whole response.
    :param items: identifier, as text, to the response for this job; None if the response isn't about single jobs, such
        as an error.
    """

    request: Request
    response: Response
    items: Mapping[str, Response] | None

    def response_for(self, identifier: str | int | None) -> Response | None:
        """Return the response for one job, or the whole one if it isn't split by job; None if the job is absent."""
        return self.response if self.items is None else self.items.get(as_text(identifier))


def _rename_list_variables(given: Mapping[str, Any], separator: str | None) -> dict[str, Any]:
    """Return the request, with the variable renamed if its value stays a list."""
    request = dict(given)
    if given.get("json") is not None:
        request["json"] = _rename_in(given["json"])
    if separator is None:
        request["query_params"] = _rename_in(given.get("query_params"))
    return request


def _rename_in(value: JsonValue) -> JsonValue:
    if isinstance(value, Mapping):
        return {key: _rename_in(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_rename_in(item) for item in value]
    return f"{{{_AS_LIST}}}" if value == f"{{{IDENTIFIERS}}}" else value
