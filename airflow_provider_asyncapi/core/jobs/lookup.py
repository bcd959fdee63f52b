"""The request that finds out what became of a request whose response was lost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_asyncapi.core.errors import ConfigurationError
from airflow_provider_asyncapi.core.requests.request_template import RequestTemplate
from airflow_provider_asyncapi.core.selectors.captures import parse_captures
from airflow_provider_asyncapi.core.selectors.selector import SelectorChain

#: Parameters of a lookup in addition to the parameters of a request.
_OWN_PARAMETERS = ("identifier", "capture")


@dataclass(frozen=True, slots=True)
class Lookup:
    """
    The request that finds out whether a job was submitted, or repaired, if the response to that was lost.

    :param request: the request, which finds the job by its idempotency key or another unique value.
    :param identifier: the selector of the identifier in its response; no value there, or a 404, means no job.
    :param captures: the captures from its response.
    """

    request: RequestTemplate
    identifier: SelectorChain
    captures: Mapping[str, SelectorChain] = field(default_factory=dict)

    @classmethod
    def parse_optional(cls, given: Any, identifier: Any, where: str) -> Lookup | None:
        """
        Parse the parameter ``lookup``; return None if it isn't given.

        :param identifier: the selector in the response that was lost, which is the default of the one here.
        :param where: the name of the parameter, for messages.
        :raises ConfigurationError: if it is invalid; the message names the key.
        """
        if given is None:
            return None
        if not isinstance(given, Mapping):
            raise ConfigurationError(f"{where}: has to be a mapping that describes a request, not {given!r}")
        return cls(
            RequestTemplate.parse(given, where, also=_OWN_PARAMETERS, complete=True),
            SelectorChain.parse_optional(given.get("identifier") or identifier, f"{where}.identifier")
            or SelectorChain(()),
            parse_captures(given.get("capture"), f"{where}.capture"),
        )
