"""The rules that decide whether and how a job that has failed is run again."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_asyncapi.core.errors import ConfigurationError
from airflow_provider_asyncapi.core.http.messages import Response
from airflow_provider_asyncapi.core.jobs.lookup import Lookup
from airflow_provider_asyncapi.core.outcome import IDEMPOTENCY_KEY, Rerun
from airflow_provider_asyncapi.core.requests.request_step import RequestStep
from airflow_provider_asyncapi.core.selectors.selector import SelectorChain
from airflow_provider_asyncapi.core.status import rules
from airflow_provider_asyncapi.core.status.rules import Rule
from airflow_provider_asyncapi.core.templates import CONNECTION, Variables


@dataclass(frozen=True, slots=True)
class RerunRules:
    """
    The failures after which a job is run again.

    :param resubmit_on: the rules, one of which has to match a response about the failure; None for every failure.
    :param repair_on: the rules for the failures after which the job is repaired; None for every failure.
    """

    resubmit_on: tuple[Rule, ...] | None = None
    repair_on: tuple[Rule, ...] | None = None

    @classmethod
    def parse(cls, given: Mapping[str, Any], *, ignore_case: bool = False) -> RerunRules | None:
        """
        Parse the parameters ``resubmit_on`` and ``repair_on``; return None if neither is given.

        :raises ConfigurationError: if one is invalid; the message names the rule.
        """
        resubmit_on, repair_on = (
            None if given.get(name) is None else rules.parse_conditions(given[name], name, ignore_case=ignore_case)
            for name in ("resubmit_on", "repair_on")
        )
        return None if resubmit_on is None and repair_on is None else cls(resubmit_on, repair_on)

    def allows(self, how: Rerun, response: Response, variables: Variables) -> bool:
        """
        Return whether the rules allow a way to run the job again after a failure that a response reports.

        :raises AsyncApiError: if a rule can't be evaluated.
        """
        given = self.repair_on if how is Rerun.REPAIR else self.resubmit_on
        return given is None or rules.find_match(given, response, variables) is not None

    def choose(self, allowed: Collection[Rerun]) -> Rerun:
        """Return how the job is run again, by what the rules allow after all responses about the failure."""
        if Rerun.SUBMIT not in allowed:
            return Rerun.NEVER
        return Rerun.REPAIR if self.repair_on is not None and Rerun.REPAIR in allowed else Rerun.SUBMIT


@dataclass(frozen=True, slots=True)
class Repair:
    """
    The request that resumes a job after it has failed.

    :param step: the request; its response is a refusal if it isn't 2xx, or by a rule with the outcome ``failure``.
    :param identifier: the selector of the identifier under which the job runs again; None if it keeps its identifier.
    :param lookup: the request that finds out whether the job was repaired if the response was lost.
    """

    step: RequestStep
    identifier: SelectorChain | None = None
    lookup: Lookup | None = None

    @property
    def is_repeatable(self) -> bool:
        """Whether the request may be sent again; False if it has to be looked up instead whether it was carried out."""
        return self.lookup is None and self.step.is_repeatable

    @classmethod
    def parse(cls, given: Mapping[str, Any], *, complete: bool = True) -> Repair | None:
        """
        Parse the parameter ``repair``; return None if it isn't given.

        :param complete: whether no profile can add it, so that ``repair_on`` without it is an error.
        :raises ConfigurationError: if it is invalid; the message names the key.
        """
        request = given.get("repair")
        if request is None:
            if complete and given.get("repair_on") is not None:
                raise ConfigurationError("repair_on: needs repair, the request that resumes the failed job")
            return None
        if not isinstance(request, Mapping):
            raise ConfigurationError(f"repair: has to be a mapping that describes a request, not {request!r}")
        own = {name: value for name, value in request.items() if name not in ("identifier", "lookup")}
        step = RequestStep.parse(own, "repair", method="POST")
        named = {name for name in step.request.find_variables() if not name.startswith(CONNECTION)}
        if not named - {IDEMPOTENCY_KEY}:
            raise ConfigurationError(
                "repair: the request has to name the failed job by a variable, such as {identifier}"
            )
        identifier = request.get("identifier")
        lookup = Lookup.parse_optional(request.get("lookup"), identifier, "repair.lookup")
        if lookup is not None and not lookup.identifier.selectors:
            raise ConfigurationError(
                "repair.lookup: identifier is missing; it is the selector of the job's identifier, or of another value"
                " that is in the response only if the job was repaired"
            )
        return cls(step, SelectorChain.parse_optional(identifier, "repair.identifier"), lookup)
