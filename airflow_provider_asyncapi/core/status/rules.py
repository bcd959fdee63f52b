"""
Rules: the meaning of a response, if single values aren't enough.

A rule is plain data::

    {"selector": "numError", "gt": 0, "outcome": "failure"}
    {"selector": "status_code", "in": [202], "outcome": "running"}
    {"selector": "$.parts[*].state", "in": ["DONE"], "over": "all", "outcome": "success"}
    {
        "all": [{"selector": "status", "in": "completed"}, {"selector": "userErrors", "exists": True}],
        "outcome": "failure",
    }

The first rule that matches decides. If the status code is an error (400 and above), rules that don't test
``status_code`` match only if they can read the response, find something in it, and don't mean a success. They never
match the codes of :data:`NOT_ABOUT_THE_JOB`, because a gateway, a rate limiter or an authorization server has written
the body. From 500 on, they match only if they name the value to find, by ``in`` or ``matches``: the error pages of many
frameworks have an ``error``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_asyncapi.core import templates
from airflow_provider_asyncapi.core.errors import ConfigurationError, ContentError
from airflow_provider_asyncapi.core.http import documents
from airflow_provider_asyncapi.core.http.messages import Response
from airflow_provider_asyncapi.core.json_values import JsonValue, as_list, as_text
from airflow_provider_asyncapi.core.outcome import Outcome
from airflow_provider_asyncapi.core.selectors.selector import SelectorChain
from airflow_provider_asyncapi.core.status.rule_operators import OPERATORS, Operator
from airflow_provider_asyncapi.core.templates import Variables

_FIRST_ERROR = 400
_FIRST_SERVER_ERROR = 500
#: Refused credentials, and "try again later" (RFC 9110, section 15.5 and 15.6; RFC 8470; RFC 6585).
NOT_ABOUT_THE_JOB = frozenset({401, 403, 407, 408, 425, 429, 502, 503, 504, 511})


@dataclass(frozen=True, slots=True)
class OperandTemplate:
    """
    An operand that names variables, such as ``{before}``.

    :param operator: whose operand it is.
    :param given: the operand as the author has written it.
    :param where: the rule and the operator, for messages.
    """

    operator: Operator
    given: Any
    where: str

    @property
    def text(self) -> str:
        """The operand, for messages."""
        return as_text(self.given)

    def variable_names(self) -> list[str]:
        """Return the names of all variables in it."""
        return [name for text in templates.walk_strings(self.given) for name in templates.find_variables(text)]

    def render(self, variables: Variables) -> Any:
        """
        Return the operand with its variables put in; of a list in a variable, each item.

        :raises ConfigurationError: if the operator doesn't take what they hold.
        :raises UnknownVariableError: if nothing has set one of them.
        """
        values = [self._render_item(item, variables) for item in as_list(self.given)]
        flat = [each for value in values for each in as_list(value)]
        return self.operator.parse_operand(flat[0] if len(flat) == 1 else flat, self.where)

    def _render_item(self, item: Any, variables: Variables) -> Any:
        if not isinstance(item, str):
            return item
        name = templates.find_whole_variable(item)
        if name is not None:
            return templates.look_up(name, variables, self.where)
        return templates.render_text(item, variables, self.where)


def parse_operand(operator: Operator, given: Any, where: str) -> Any:
    """
    Read an operand, or leave it a template until its variables are known.

    :raises ConfigurationError: if the operator doesn't take it.
    """
    if operator.takes_variables:
        template = OperandTemplate(operator, given, where)
        if template.variable_names():
            return template
    return operator.parse_operand(given, where)


@dataclass(frozen=True, slots=True)
class Condition:
    """
    One test of what a selector finds.

    :param selector: the selector of the values.
    :param operator: the operator that tests the values.
    :param operand: the operand of the operator; an :class:`OperandTemplate` if that names variables.
    :param over: ``any`` or ``all`` of the values found have to pass; if none is found, only ``exists: False`` passes,
        and ``not_in`` doesn't either.
    :param ignore_case: compare strings without regard to case.
    """

    selector: SelectorChain
    operator: Operator
    operand: Any
    over: str = "any"
    ignore_case: bool = False

    @classmethod
    def parse(cls, given: Any, where: str, *, ignore_case: bool = False, also: tuple[str, ...] = ()) -> Condition:
        """
        Parse a condition.

        :param also: further keys that the caller parses.
        :raises ConfigurationError: if the condition is invalid; the message names the key.
        """
        if not isinstance(given, Mapping):
            raise ConfigurationError(f"{where}: has to be a mapping, not {given!r}")
        if any(key not in OPERATORS for key in set(given) - {"selector", "over", *also}):
            OPERATORS.load_installed()
        operators = [key for key in given if key in OPERATORS]
        unknown = set(given) - set(OPERATORS) - {"selector", "over", *also}
        if unknown or len(operators) != 1 or "selector" not in given:
            raise ConfigurationError(
                f"{where}: has to have a selector and one of {', '.join(OPERATORS)}, and may have over"
                f" ('any' or 'all'); it has {', '.join(map(repr, given)) or 'nothing'}"
            )
        operator = OPERATORS[operators[0]]
        over = given.get("over", "any")
        if over not in ("any", "all"):
            raise ConfigurationError(f"{where}: over has to be 'any' or 'all', not {over!r}")
        operand = parse_operand(operator, given[operator.name], f"{where}: {operator.name}")
        return cls(SelectorChain.parse(given["selector"], where), operator, operand, over, ignore_case)

    @property
    def tests_status_code(self) -> bool:
        """Whether the condition tests the HTTP status code."""
        return any(selector.tests_status_code for selector in self.selector.selectors)

    @property
    def needs_value(self) -> bool:
        """Whether the condition holds only if a value is found."""
        return not (self.operator.tests_all_at_once and self.passes(None, {}))

    def find_values(self, response: Response, variables: Variables) -> list[JsonValue]:
        """Return the values to test: the value found, or the items of a list."""
        return as_list(self.selector.find_value(response, variables))

    def passes(self, value: JsonValue, variables: Variables) -> bool:
        """
        Return whether one value passes.

        :raises ConfigurationError: if a variable that the operand names holds something that can't be compared.
        :raises UnknownVariableError: if nothing has set the variable.
        """
        operand = self.operand.render(variables) if isinstance(self.operand, OperandTemplate) else self.operand
        return self.operator.passes(value, operand, self.ignore_case)

    def holds(self, response: Response, variables: Variables) -> bool:
        """Return whether the response passes."""
        if self.operator.tests_all_at_once:
            return self.passes(self.selector.find_value(response, variables), variables)
        values = self.find_values(response, variables)
        return bool(values) and (all if self.over == "all" else any)(self.passes(value, variables) for value in values)


@dataclass(frozen=True, slots=True)
class Rule:
    """
    Conditions that all have to hold, and the outcome if they do.

    :param conditions: the conditions, tested in order until one fails.
    :param outcome: the meaning of a response that matches.
    """

    conditions: tuple[Condition, ...]
    outcome: Outcome

    @classmethod
    def parse(cls, given: Any, where: str, *, ignore_case: bool = False) -> Rule:
        """
        Parse a rule.

        :raises ConfigurationError: if the rule is invalid; the message names the key.
        """
        if not isinstance(given, Mapping):
            raise ConfigurationError(f"{where}: a rule has to be a mapping, not {given!r}")
        outcomes = ", ".join(Outcome)
        if given.get("outcome") not in list(Outcome):
            raise ConfigurationError(f"{where}: outcome {given.get('outcome')!r} isn't one of {outcomes}")
        if "all" in given:
            parts = given["all"]
            if set(given) != {"all", "outcome"} or not isinstance(parts, list | tuple) or not parts:
                raise ConfigurationError(f"{where}: beside outcome, all has to be a list of conditions and stand alone")
            conditions = [
                Condition.parse(part, f"{where}.all[{index}]", ignore_case=ignore_case)
                for index, part in enumerate(parts)
            ]
        else:
            conditions = [Condition.parse(given, where, ignore_case=ignore_case, also=("outcome",))]
        return cls(tuple(conditions), Outcome(given["outcome"]))

    @property
    def tests_status_code(self) -> bool:
        """Whether a condition tests the HTTP status code."""
        return any(condition.tests_status_code for condition in self.conditions)

    @property
    def needs_body(self) -> bool:
        """Whether a condition tests something in the body."""
        return any(condition.selector.needs_body for condition in self.conditions)

    @property
    def may_read_errors(self) -> bool:
        """Whether an error response may match: not if the outcome is a success, or if no value has to be found."""
        needs_value = any(condition.needs_value for condition in self.conditions)
        return needs_value and self.outcome is not Outcome.SUCCESS

    @property
    def names_a_value(self) -> bool:
        """Whether the rule names a value to find, which a framework's own error page doesn't contain by chance."""
        return any(condition.operator.names_a_value for condition in self.conditions)

    def matches(self, response: Response, variables: Variables) -> bool:
        """
        Return whether all conditions hold.

        :raises ContentError: if the body can't be read. On an error status the rule just doesn't match then, unless it
            tests the status code.
        """
        if response.status < _FIRST_ERROR or self.tests_status_code:
            return self._holds(response, variables)
        if response.status in NOT_ABOUT_THE_JOB or not self.may_read_errors or documents.is_html(response.body):
            return False
        if response.status >= _FIRST_SERVER_ERROR and not self.names_a_value:
            return False
        try:
            return self._holds(response, variables)
        except ContentError:
            return False

    def _holds(self, response: Response, variables: Variables) -> bool:
        # The status code is tested first: if it doesn't pass, the body isn't read.
        ordered = sorted(self.conditions, key=lambda condition: condition.selector.needs_body)
        return all(condition.holds(response, variables) for condition in ordered)


def parse_rules(given: Any, where: str = "rules", *, ignore_case: bool = False) -> tuple[Rule, ...]:
    """
    Parse an ordered list of rules.

    :raises ConfigurationError: if a rule is invalid; the message has its index.
    """
    if given is None:
        return ()
    if not isinstance(given, list | tuple):
        raise ConfigurationError(f"{where}: has to be a list of rules, not {type(given).__name__}")
    return tuple(Rule.parse(rule, f"{where}[{index}]", ignore_case=ignore_case) for index, rule in enumerate(given))


def parse_conditions(given: Any, where: str, *, ignore_case: bool = False) -> tuple[Rule, ...]:
    """
    Parse a list of rules without outcomes, one of which has to match.

    :raises ConfigurationError: if the list is empty, or a rule is invalid; the message has its index.
    """
    if not isinstance(given, list | tuple) or not given:
        raise ConfigurationError(f"{where}: has to be a list of rules without outcomes, not {given!r}")
    found = []
    for index, rule in enumerate(given):
        if not isinstance(rule, Mapping) or "outcome" in rule:
            raise ConfigurationError(f"{where}[{index}]: has to be a rule without outcome, not {rule!r}")
        # On an error status, the rules of a failure may read the body.
        outcome = {"outcome": Outcome.FAILURE}
        found.append(Rule.parse({**rule, **outcome}, f"{where}[{index}]", ignore_case=ignore_case))
    return tuple(found)


def find_match(rules: tuple[Rule, ...], response: Response, variables: Variables) -> Rule | None:
    """
    Return the first rule that matches.

    :raises ContentError: if a rule needs the body and the body can't be read, unless it is empty (as in some 202
        responses) and a later rule matches without it.
    """
    unreadable: ContentError | None = None
    for rule in rules:
        try:
            if rule.matches(response, variables):
                return rule
        except ContentError as error:
            if response.body.strip():
                raise
            unreadable = unreadable or error
    if unreadable is not None:
        raise unreadable
    return None
