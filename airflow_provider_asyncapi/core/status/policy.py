"""Classify the response of a poll: by the rules first, then by the status values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_asyncapi.core.errors import AsyncApiError, ConfigurationError
from airflow_provider_asyncapi.core.http.messages import Response
from airflow_provider_asyncapi.core.json_values import JsonValue, as_list, is_scalar, to_comparable
from airflow_provider_asyncapi.core.outcome import Outcome
from airflow_provider_asyncapi.core.selectors.selector import SelectorChain
from airflow_provider_asyncapi.core.status import rules
from airflow_provider_asyncapi.core.status.rules import Rule
from airflow_provider_asyncapi.core.templates import Variables

STATUS_PARAMETERS = (
    "completion_key",
    "completion_value",
    "failure_value",
    "running_value",
    "no_data_value",
    "ignore_case",
    "rules",
)
#: The outcome of each parameter's values, in the order in which the parameters are checked.
_VALUES = {
    "completion_value": Outcome.SUCCESS,
    "failure_value": Outcome.FAILURE,
    "no_data_value": Outcome.NO_DATA,
    "running_value": Outcome.RUNNING,
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """
    The meaning of a response.

    :param outcome: the outcome.
    :param value: the status value found; the outcome if only a rule decided; None if there is none.
    :param is_known: whether a rule or a value decided; otherwise the job is assumed to be running.
    """

    outcome: Outcome
    value: JsonValue = None
    is_known: bool = True


@dataclass(frozen=True, slots=True)
class StatusPolicy:
    """
    How the responses of one API are classified.

    :param rules: the rules, which are applied first, in order.
    :param key: the selector of the status; None if only rules decide.
    :param meanings: the outcome of each comparable status value.
    :param is_exhaustive: whether a status without a meaning is a failure (``running_value`` is set).
    :param ignore_case: whether strings are compared without regard to case.
    """

    rules: tuple[Rule, ...] = ()
    key: SelectorChain | None = None
    meanings: Mapping[str, Outcome] | None = None
    is_exhaustive: bool = False
    ignore_case: bool = False

    @classmethod
    def parse(cls, given: Mapping[str, Any], *, complete: bool = True) -> StatusPolicy:
        """
        Parse the status parameters.

        :param given: a mapping with keys of :data:`STATUS_PARAMETERS`.
        :param complete: whether no profile can add anything, so that a missing parameter is an error.
        :raises ConfigurationError: if there are values without a key, or a value has two meanings.
        """
        ignore_case = given.get("ignore_case") or False
        if not isinstance(ignore_case, bool):
            raise ConfigurationError(f"ignore_case: has to be True or False, not {ignore_case!r}")
        meanings: dict[str, Outcome] = {}
        parameter_of: dict[str, str] = {}
        for name, outcome in _VALUES.items():
            for value in as_list(given.get(name)):
                if not is_scalar(value):
                    raise ConfigurationError(
                        f"{name}: has to be a string, a number or a boolean, or a list of these, not {value!r};"
                        " for other comparisons, use rules"
                    )
                text = to_comparable(value, ignore_case=ignore_case)
                if parameter_of.get(text, name) != name:
                    raise ConfigurationError(
                        f"{name}: {value!r} is also a {parameter_of[text]}; a status has one meaning"
                    )
                meanings[text] = outcome
                parameter_of[text] = name
        key = SelectorChain.parse_optional(given.get("completion_key"), "completion_key")
        if complete and meanings and key is None:
            first = next(iter(parameter_of.values()))
            raise ConfigurationError(f"{first}: needs completion_key, the selector of the status to compare")
        if complete and key is not None and Outcome.SUCCESS not in meanings.values() and not given.get("rules"):
            raise ConfigurationError(
                "completion_key: needs completion_value, the status of a job that has succeeded (or rules)"
            )
        return cls(
            rules.parse_rules(given.get("rules"), ignore_case=ignore_case),
            key,
            meanings,
            given.get("running_value") is not None,
            ignore_case,
        )

    @property
    def is_empty(self) -> bool:
        """Whether there are neither rules nor a status, so that no response has a meaning."""
        return not self.rules and self.key is None

    def classify(self, response: Response, variables: Variables) -> Verdict:
        """
        Return the meaning of a response.

        :raises ContentError: if the body can't be read.
        """
        rule = rules.find_match(self.rules, response, variables)
        is_error = response.status >= 400  # noqa: PLR2004 - the errors
        if rule is not None and rule.tests_status_code and rule.outcome.is_final and is_error:
            # A rule has decided by the status code; the body of an error page needn't hold a status.
            return Verdict(rule.outcome, str(rule.outcome))
        value = self._find_status(response, variables, lenient=rule is not None)
        if rule is not None:
            return Verdict(rule.outcome, str(rule.outcome) if value is None else value)
        meanings = self.meanings or {}
        # If nothing is found, there is no status, even if a status is called "null".
        outcome = None if value is None else meanings.get(to_comparable(value, ignore_case=self.ignore_case))
        if outcome is not None:
            return Verdict(outcome, value)
        return Verdict(Outcome.FAILURE if self.is_exhaustive else Outcome.RUNNING, value, is_known=False)

    def _find_status(self, response: Response, variables: Variables, *, lenient: bool) -> JsonValue:
        if self.key is None:
            return None
        try:
            found = self.key.find_only(response, variables)
            return None if found is None else found[1]
        except AsyncApiError:
            # A rule has already decided (202 with an empty body): the status is only for display.
            if lenient:
                return None
            raise
