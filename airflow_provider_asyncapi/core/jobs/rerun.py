"""The rules that decide whether a job that has failed is run again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_asyncapi.core.http.messages import Response
from airflow_provider_asyncapi.core.outcome import Rerun
from airflow_provider_asyncapi.core.status import rules
from airflow_provider_asyncapi.core.status.rules import Rule
from airflow_provider_asyncapi.core.templates import Variables


@dataclass(frozen=True, slots=True)
class RerunRules:
    """
    The failures after which a job is run again.

    :param resubmit_on: the rules, one of which has to match a response about the failure.
    """

    resubmit_on: tuple[Rule, ...]

    @classmethod
    def parse(cls, given: Mapping[str, Any], *, ignore_case: bool = False) -> RerunRules | None:
        """
        Parse the parameter ``resubmit_on``; return None if it isn't given.

        :raises ConfigurationError: if it is invalid; the message names the rule.
        """
        if given.get("resubmit_on") is None:
            return None
        return cls(rules.parse_conditions(given["resubmit_on"], "resubmit_on", ignore_case=ignore_case))

    def decide(self, response: Response, variables: Variables) -> Rerun:
        """
        Return what the rules say about a failure that a response reports.

        :raises ContentError: if a rule needs the body and the body can't be read.
        """
        return Rerun.SUBMIT if rules.find_match(self.resubmit_on, response, variables) else Rerun.NEVER
