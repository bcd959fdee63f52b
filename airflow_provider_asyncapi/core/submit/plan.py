"""The plan of a submission, parsed from the parameters of the submitting operator."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from airflow_provider_asyncapi.core.errors import ConfigurationError
from airflow_provider_asyncapi.core.jobs.lookup import Lookup
from airflow_provider_asyncapi.core.json_values import JsonValue, as_list
from airflow_provider_asyncapi.core.requests.bodies import FILE_PARAMETER
from airflow_provider_asyncapi.core.requests.request_step import STEP_PARAMETERS, RequestStep, read_flag
from airflow_provider_asyncapi.core.requests.request_template import REQUEST_PARAMETERS
from airflow_provider_asyncapi.core.requests.schedule import RETRY_PARAMETERS, PollSchedule
from airflow_provider_asyncapi.core.selectors.selector import SelectorChain
from airflow_provider_asyncapi.core.templates import CONNECTION

#: Parameters of the operator that submits.
SUBMIT_PARAMETERS = (
    *REQUEST_PARAMETERS,
    FILE_PARAMETER,
    *STEP_PARAMETERS,
    "identifier",
    "identifiers",
    "lookup",
    "prepare",
    "start",
    "variables",
    "callback",
    "on_changed_request",
    "cancel",
    *RETRY_PARAMETERS,
)


class OnChange(enum.StrEnum):
    """Action if the request has changed since an earlier try, which may have submitted a job."""

    FAIL = "fail"
    RESUME = "resume"
    CANCEL = "cancel"

    @classmethod
    def parse(cls, given: Any) -> OnChange:
        """
        Parse the parameter ``on_changed_request``; return :attr:`FAIL` if it isn't given.

        :raises ConfigurationError: if it is invalid.
        """
        if given is None:
            return cls.FAIL
        if not isinstance(given, str) or given not in list(cls):
            raise ConfigurationError(
                f"on_changed_request: has to be one of {[str(each) for each in cls]}, not {given!r}"
            )
        return cls(given)


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitPlan:
    """
    The plan of a submission.

    :cvar parameters: the names of the parameters.
    :cvar task_parameters: parameters that only a task has, which is tried again, or resumed by a callback.
    :param submit: the request that creates the job.
    :param identifier: the selector of the identifier in its response.
    :param prepare: the requests before it, in order, whose captures it may name.
    :param start: the further requests that fill, start or enqueue the job, in order.
    :param variables: variables of the DAG author, for this request and all later ones of the job.
    :param schedule: the retries after transient errors.
    :param lookup: the request that finds out whether the job was submitted.
    :param callback: whether the API calls back when the job is over.
    :param on_changed_request: the action if the request has changed since an earlier try.
    :param cancel: the request that cancels the job of that try.
    :param has_several_jobs: whether the response contains the identifiers of several jobs.
    """

    parameters: ClassVar[tuple[str, ...]] = SUBMIT_PARAMETERS
    task_parameters: ClassVar[frozenset[str]] = frozenset({"callback", "on_changed_request", "cancel"})

    submit: RequestStep
    identifier: SelectorChain
    start: tuple[RequestStep, ...] = ()
    variables: Mapping[str, JsonValue] = field(default_factory=dict)
    schedule: PollSchedule = field(default_factory=lambda: PollSchedule.parse_retries({}))
    lookup: Lookup | None = None
    callback: bool = False
    on_changed_request: OnChange = OnChange.FAIL
    cancel: RequestStep | None = None
    has_several_jobs: bool = False
    prepare: tuple[RequestStep, ...] = ()

    @property
    def is_repeatable(self) -> bool:
        """Whether the submit may be sent again; False if the job has to be looked up by its key instead."""
        return self.lookup is None and self.submit.is_repeatable

    @classmethod
    def parse(cls, given: Mapping[str, Any], *, complete: bool = True) -> SubmitPlan:
        """
        Parse the parameters of the operator.

        :param complete: whether a missing parameter is an error; False if a profile may still add it.
        :raises ConfigurationError: if a parameter is invalid; the message names it.
        """
        several = given.get("identifiers") is not None
        if complete and given.get("identifier") is None and not several:
            raise ConfigurationError(
                "identifier: is missing; it is the selector of the job's identifier in the response, such as 'data.id'"
                " or 'header:Location'"
            )
        if several:
            _check_several(given)
        on_changed_request = OnChange.parse(given.get("on_changed_request"))
        if complete and (on_changed_request is OnChange.CANCEL) != (given.get("cancel") is not None):
            raise ConfigurationError(
                "on_changed_request: 'cancel' and the parameter cancel, a request that stops the job, go together"
            )
        name = "identifiers" if several else "identifier"
        identifier = given.get(name)
        own = (*REQUEST_PARAMETERS, FILE_PARAMETER, *STEP_PARAMETERS)
        request = {name: value for name, value in given.items() if name in own}
        return cls(
            submit=RequestStep.parse(request, "submit", method="POST", complete=complete, sends_files=True),
            identifier=SelectorChain.parse_optional(identifier, name) or SelectorChain(()),
            start=_parse_steps(given, "start"),
            variables=_parse_variables(given.get("variables") or {}),
            schedule=PollSchedule.parse_retries(given),
            lookup=Lookup.parse_optional(given.get("lookup"), identifier, "lookup"),
            callback=read_flag(given, "callback"),
            on_changed_request=on_changed_request,
            cancel=RequestStep.parse_optional(given.get("cancel"), "cancel", method="POST"),
            has_several_jobs=several,
            prepare=_parse_steps(given, "prepare"),
        )


def _parse_steps(given: Mapping[str, Any], name: str) -> tuple[RequestStep, ...]:
    return tuple(RequestStep.parse(step, name, method="POST", sends_files=True) for step in as_list(given.get(name)))


def _check_several(given: Mapping[str, Any]) -> None:
    """Check that no other parameter of a submit is about a single job, if the submit makes several."""
    if given.get("identifier") is not None:
        raise ConfigurationError(
            "identifiers: set this one or identifier; identifiers is for a response with the identifiers of several"
            " jobs"
        )
    for name in ("callback", "cancel"):
        if given.get(name):
            raise ConfigurationError(f"{name}: is about one job, and identifiers makes several")


def _parse_variables(given: Any) -> Mapping[str, JsonValue]:
    if not isinstance(given, Mapping):
        raise ConfigurationError(f"variables: has to be a mapping of names to values, not {type(given).__name__}")
    for name in given:
        if str(name).startswith(CONNECTION):
            raise ConfigurationError(
                f"variables: {name!r} can't be set here: only the connection sets names that begin with {CONNECTION!r}"
            )
    return given
