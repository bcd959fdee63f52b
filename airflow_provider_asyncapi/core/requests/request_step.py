"""A step: one request, and the meaning of its response."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_asyncapi.core.errors import ConfigurationError
from airflow_provider_asyncapi.core.outcome import IDEMPOTENCY_KEY
from airflow_provider_asyncapi.core.requests.request_template import RequestTemplate
from airflow_provider_asyncapi.core.requests.resume_plan import ResumePlan
from airflow_provider_asyncapi.core.selectors.captures import parse_captures
from airflow_provider_asyncapi.core.selectors.selector import SelectorChain
from airflow_provider_asyncapi.core.status import rules
from airflow_provider_asyncapi.core.status.rules import Rule

STEP_PARAMETERS = ("rules", "capture", "error_message")


@dataclass(frozen=True, slots=True)
class RequestStep:
    """
    A request that changes something, and the meaning of its response.

    :param name: the name of the step, for messages.
    :param request: the request.
    :param rules: the rules that classify the response; without a match 2xx is a success.
    :param captures: the selectors of the captured values.
    :param error_message: the selector of the API's own message about an error.
    :param resume: the way in which its upload of a file is resumed; None if it isn't.
    """

    name: str
    request: RequestTemplate
    rules: tuple[Rule, ...] = ()
    captures: Mapping[str, SelectorChain] = field(default_factory=dict)
    error_message: SelectorChain | None = None
    resume: ResumePlan | None = None

    @property
    def is_repeatable(self) -> bool:
        """Whether the API recognizes a repetition: by the idempotency key, or since it states what it has of a file."""
        return self.resume is not None or IDEMPOTENCY_KEY in self.request.find_variables()

    @classmethod
    def parse(
        cls,
        given: Mapping[str, Any],
        name: str,
        *,
        method: str | None = None,
        complete: bool = True,
        sends_files: bool = False,
    ) -> RequestStep:
        """
        Read a step from plain data: a request, and beside it the keys of :data:`STEP_PARAMETERS`.

        :param complete: whether a missing parameter is an error; False if a profile may still add it.
        :param sends_files: whether the request can send files.
        :raises ConfigurationError: if a part is invalid; the message names it.
        """
        if not isinstance(given, Mapping):
            raise ConfigurationError(f"{name}: has to be a mapping that describes a request, not {given!r}")
        with _set_step_of_errors(name):
            request = RequestTemplate.parse(
                given, name, method=method, also=STEP_PARAMETERS, complete=complete, sends_files=sends_files
            )
            resume = ResumePlan.parse_optional(given, request, name)
        if name == "submit":
            step_rules = rules.parse_rules(given.get("rules"))
        else:
            with _set_step_of_errors(name):
                step_rules = rules.parse_rules(given.get("rules"), f"{name}.rules")
        return cls(
            name,
            request,
            step_rules,
            parse_captures(given.get("capture"), "capture"),
            SelectorChain.parse_optional(given.get("error_message"), "error_message"),
            resume,
        )

    @classmethod
    def parse_optional(cls, given: Any, name: str, *, method: str | None = None) -> RequestStep | None:
        """Parse a parameter as :meth:`parse` does; return None if it isn't given."""
        return None if given is None else cls.parse(given, name, method=method)


@contextmanager
def _set_step_of_errors(name: str) -> Iterator[None]:
    """Set the step of an error, whose message begins with the step's name."""
    try:
        yield
    except ConfigurationError as error:
        error.step = name
        raise


def read_flag(given: Mapping[str, Any], name: str) -> bool:
    """
    Return the value of a boolean parameter; False if it isn't given.

    :raises ConfigurationError: if it is anything else.
    """
    value = given.get(name) or False
    if not isinstance(value, bool):
        raise ConfigurationError(f"{name}: has to be True or False, not {value!r}")
    return value
