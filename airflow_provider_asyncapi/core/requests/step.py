"""One request of a conversation, and what its answer means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_asyncapi.core.errors import ConfigurationError
from airflow_provider_asyncapi.core.outcome import IDEMPOTENCY_KEY
from airflow_provider_asyncapi.core.requests.request_template import RequestTemplate
from airflow_provider_asyncapi.core.selectors.selector import SelectorChain, parse_captures
from airflow_provider_asyncapi.core.status import rules
from airflow_provider_asyncapi.core.status.rules import Rule

STEP_PARAMETERS = ("rules", "capture", "error_message")


@dataclass(frozen=True, slots=True)
class Step:
    """
    One request that changes something, and what its answer means.

    :param name: for messages.
    :param request: the request.
    :param rules: what an answer means; without a match 2xx is a success.
    :param captures: what to take from the answer.
    :param error_message: where the answer says what is wrong.
    """

    name: str
    request: RequestTemplate
    rules: tuple[Rule, ...] = ()
    captures: Mapping[str, SelectorChain] = field(default_factory=dict)
    error_message: SelectorChain | None = None

    @property
    def is_repeatable(self) -> bool:
        """Whether the API is told by a key that the request is the same as before."""
        return IDEMPOTENCY_KEY in self.request.find_variables()

    @classmethod
    def parse(cls, given: Mapping[str, Any], name: str, *, method: str | None = None, complete: bool = True) -> Step:
        """
        Read a step from plain data: a request, and beside it the keys of :data:`STEP_PARAMETERS`.

        :param complete: whether nothing can be added any more (by a profile), so that what is missing is an error.
        :raises ConfigurationError: naming the part that is wrong.
        """
        if not isinstance(given, Mapping):
            raise ConfigurationError(f"{name}: has to be a mapping that describes a request, not {given!r}")
        return cls(
            name,
            RequestTemplate.parse(given, name, method=method, also=STEP_PARAMETERS, complete=complete),
            rules.parse_rules(given.get("rules"), f"{name}.rules" if name != "submit" else "rules"),
            parse_captures(given.get("capture"), "capture"),
            SelectorChain.parse_optional(given.get("error_message"), "error_message"),
        )


def read_flag(given: Mapping[str, Any], name: str) -> bool:
    """
    Read a parameter that is a yes or no; no where it isn't given.

    :raises ConfigurationError: on anything else.
    """
    value = given.get(name) or False
    if not isinstance(value, bool):
        raise ConfigurationError(f"{name}: has to be True or False, not {value!r}")
    return value
