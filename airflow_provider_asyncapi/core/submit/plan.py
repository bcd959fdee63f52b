"""How a job is submitted."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from airflow_provider_asyncapi.core.errors import ConfigurationError
from airflow_provider_asyncapi.core.json_values import JsonValue, as_list
from airflow_provider_asyncapi.core.requests.request_template import REQUEST_PARAMETERS, RequestTemplate
from airflow_provider_asyncapi.core.requests.schedule import PollSchedule, parse_retry_delays
from airflow_provider_asyncapi.core.requests.step import STEP_PARAMETERS, Step, flag
from airflow_provider_asyncapi.core.selectors.selector import SelectorChain, parse_captures
from airflow_provider_asyncapi.core.templates import CONNECTION

#: A worker waits while submitting, so its patience is short: 1, 2, 4, 8 s.
_PATIENCE = PollSchedule(interval=1.0, max_errors=5)
#: What a trigger operator takes.
SUBMIT_PARAMETERS = (
    *REQUEST_PARAMETERS,
    *STEP_PARAMETERS,
    "identifier",
    "lookup",
    "start",
    "variables",
    "callback",
    "on_changed_request",
    "cancel",
    "max_consecutive_errors",
    "retry_delays",
)
#: What a look-up takes beside a request.
_LOOKUP_PARAMETERS = ("identifier", "capture")


class OnChange(enum.StrEnum):
    """What to do if the request of a later try isn't that of the earlier one, which may have submitted a job."""

    FAIL = "fail"
    RESUME = "resume"
    CANCEL = "cancel"

    @classmethod
    def parse(cls, given: Any) -> OnChange:
        """
        Read the parameter ``on_changed_request``; fail if it isn't given.

        :raises ConfigurationError: on anything else.
        """
        if given is None:
            return cls.FAIL
        if not isinstance(given, str) or given not in list(cls):
            raise ConfigurationError(
                f"on_changed_request: has to be one of {[str(each) for each in cls]}, not {given!r}"
            )
        return cls(given)


@dataclass(frozen=True, slots=True)
class Lookup:
    """
    How to find out whether a job was submitted whose answer was lost.

    :param request: asks for the job with the idempotency key, or whatever else tells it from all others.
    :param identifier: where the answer says which job it is; nothing there, or a 404, means that there is none.
    :param captures: what to take from the answer.
    """

    request: RequestTemplate
    identifier: SelectorChain
    captures: Mapping[str, SelectorChain] = field(default_factory=dict)

    @classmethod
    def parse(cls, given: Any, identifier: Any) -> Lookup | None:
        """
        Read the parameter ``lookup``; None where there is none.

        :param identifier: the selector in the answer to the submit, which holds here too where no other is given.
        :raises ConfigurationError: naming the part that is wrong.
        """
        if given is None:
            return None
        if not isinstance(given, Mapping):
            raise ConfigurationError(f"lookup: has to be a mapping that describes a request, not {given!r}")
        return cls(
            RequestTemplate.parse(given, "lookup", also=_LOOKUP_PARAMETERS, complete=True),
            SelectorChain.parse_optional(given.get("identifier") or identifier, "lookup.identifier")
            or SelectorChain(()),
            parse_captures(given.get("capture"), "lookup.capture"),
        )


@dataclass(frozen=True, slots=True)
class SubmitPlan:
    """
    How a job is submitted.

    :param submit: the request that makes the job.
    :param identifier: where the answer says which job it is.
    :param start: the requests that fill, start or enqueue it, for APIs that need them; in order.
    :param variables: what the author calls by name in this and all later requests.
    :param schedule: how many transient errors to bear, and how long to wait after each.
    :param lookup: how to find the job where nobody knows whether it was submitted.
    :param callback: whether the API calls back when the job is over.
    :param on_changed_request: what to do if the request isn't that of an earlier try.
    :param cancel: the request that stops the job of that try.
    """

    parameters: ClassVar[tuple[str, ...]] = SUBMIT_PARAMETERS

    submit: Step
    identifier: SelectorChain
    start: tuple[Step, ...] = ()
    variables: Mapping[str, JsonValue] = field(default_factory=dict)
    schedule: PollSchedule = _PATIENCE
    lookup: Lookup | None = None
    callback: bool = False
    on_changed_request: OnChange = OnChange.FAIL
    cancel: Step | None = None

    @property
    def is_repeatable(self) -> bool:
        """Whether sending the submit again does no harm: not where the job has to be looked up by the key instead."""
        return self.lookup is None and self.submit.is_repeatable

    @classmethod
    def parse(cls, given: Mapping[str, Any], *, complete: bool = True) -> SubmitPlan:
        """
        Read the parameters of the trigger operator.

        :param complete: whether nothing can be added any more (by a profile), so that what is missing is an error.

        :raises ConfigurationError: naming the parameter that is wrong.
        """
        if complete and given.get("identifier") is None:
            raise ConfigurationError(
                "identifier: is missing; it is the selector of the job's identifier in the answer, such as 'data.id' or"
                " 'header:Location'"
            )
        on_changed_request = OnChange.parse(given.get("on_changed_request"))
        if complete and (on_changed_request is OnChange.CANCEL) != (given.get("cancel") is not None):
            raise ConfigurationError(
                "on_changed_request: 'cancel' and the parameter cancel, a request that stops the job, go together"
            )
        schedule = PollSchedule(
            interval=_PATIENCE.interval,
            max_errors=given.get("max_consecutive_errors") or _PATIENCE.max_errors,
            retry_delays=parse_retry_delays(given.get("retry_delays")),
        )
        request = {name: value for name, value in given.items() if name in (*REQUEST_PARAMETERS, *STEP_PARAMETERS)}
        return cls(
            Step.parse(request, "submit", method="POST", complete=complete),
            SelectorChain.parse_optional(given.get("identifier"), "identifier") or SelectorChain(()),
            tuple(Step.parse(step, "start", method="POST") for step in as_list(given.get("start"))),
            _checked_variables(given.get("variables") or {}),
            schedule,
            Lookup.parse(given.get("lookup"), given.get("identifier")),
            flag(given, "callback"),
            on_changed_request,
            Step.parse(given["cancel"], "cancel", method="POST") if given.get("cancel") is not None else None,
        )


def _checked_variables(given: Any) -> Mapping[str, JsonValue]:
    if not isinstance(given, Mapping):
        raise ConfigurationError(f"variables: has to be a mapping of names to values, not {type(given).__name__}")
    for name in given:
        if str(name).startswith(CONNECTION):
            raise ConfigurationError(
                f"variables: {name!r} can't be set here, for only the connection sets what begins so"
            )
    return given
