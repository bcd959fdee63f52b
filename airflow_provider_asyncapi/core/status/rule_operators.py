"""
The operators of rules: their operands, the checks when the DAG is parsed, and the tests of values.

To add one, write an :class:`Operator` and name it in :data:`OPERATORS`; other packages declare an entry point of the
group ``airflow_provider_asyncapi.rule_operators``.
Everything else, the reference included, is derived from this registry.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_asyncapi.core.errors import ConfigurationError, SelectorError
from airflow_provider_asyncapi.core.json_values import (
    JsonValue,
    as_list,
    as_moment,
    as_number,
    as_text,
    is_scalar,
    parse_iso_time,
    to_comparable,
)
from airflow_provider_asyncapi.core.lazy import LazyModule
from airflow_provider_asyncapi.core.registry import Registry

if TYPE_CHECKING:
    from airflow_provider_asyncapi.core.selectors import patterns
else:
    # Few rules have a regular expression.
    patterns = LazyModule("airflow_provider_asyncapi.core.selectors.patterns")


@dataclass(frozen=True, slots=True)
class Operator:
    """
    An operator of a rule.

    :param name: the key of a rule that holds the operand.
    :param takes: the operand, for the reference: "a number".
    :param summary: the condition under which a value passes, for the reference.
    :param parse_operand: makes an operand of what the author has given, or raises a :class:`ConfigurationError` whose
        message begins with its second argument: the rule and the operator.
    :param passes: returns whether a value passes, from the value, the operand and whether case is ignored.
    :param tests_all_at_once: whether it tests what a selector finds as a whole, None if that is nothing; otherwise each
        value is tested by itself, and at least one has to be found.
    :param takes_variables: whether the operand may name variables, which are put in before it is read.
    :param names_a_value: whether it looks for a value that the author names, which a framework's own error page hasn't
        got by chance: only these are tested in responses with a status from 500 on.
    """

    name: str
    takes: str
    summary: str
    parse_operand: Callable[[Any, str], Any]
    passes: Callable[[JsonValue, Any, bool], bool]
    tests_all_at_once: bool = False
    takes_variables: bool = False
    names_a_value: bool = False


def _parse_values(given: Any, where: str) -> list[Any]:
    values = as_list(given)
    if not values or not all(map(is_scalar, values)):
        raise ConfigurationError(
            f"{where} needs a string, a number or a boolean, or a list of these, not {given!r};"
            " null counts as nothing, which exists tests"
        )
    return values


@dataclass(frozen=True, slots=True)
class Bound:
    """
    What a value is compared with, or a value that is compared.

    :param number: it as a number; None if it is none.
    :param moment: it as a point in time, in seconds since the epoch; None if it is none. Large numbers are both.
    """

    number: float | None
    moment: float | None

    @classmethod
    def read(cls, value: JsonValue) -> Bound:
        """Read a number, or a time: in ISO 8601, or in seconds or milliseconds since the epoch."""
        number = as_number(value)
        if number is not None:
            return cls(number, as_moment(number))
        return cls(None, parse_iso_time(value) if isinstance(value, str) else None)


def _parse_bound(given: Any, where: str) -> Bound:
    bound = Bound.read(given)
    if bound.number is None and bound.moment is None:
        raise ConfigurationError(f"{where} needs a number or an ISO 8601 time, not {given!r}")
    return bound


def _parse_bool(given: Any, where: str) -> bool:
    if not isinstance(given, bool):
        raise ConfigurationError(f"{where} has to be True or False, not {given!r}")
    return given


def _parse_regex(given: Any, where: str) -> str:
    if not isinstance(given, str):
        raise ConfigurationError(f"{where} needs a regular expression, not {given!r}")
    try:
        patterns.parse_pattern(given)
    except SelectorError as error:
        raise ConfigurationError(f"{where} needs a regular expression: {error}") from None
    return given


def _is_in(value: JsonValue, operand: list[Any], ignore_case: bool) -> bool:
    found = to_comparable(value, ignore_case=ignore_case)
    return any(found == to_comparable(item, ignore_case=ignore_case) for item in operand)


def _is_not_in(value: JsonValue, operand: list[Any], ignore_case: bool) -> bool:
    return not _is_in(value, operand, ignore_case)


def _exists(value: JsonValue, operand: bool, _ignore_case: bool) -> bool:
    """Return whether a value exists if it has to, or doesn't if it must not; empty values don't exist."""
    return (value is not None and value not in ([], {}, "")) is operand


def _is_greater(value: JsonValue, operand: Bound, _ignore_case: bool) -> bool:
    difference = _subtract(value, operand)
    return difference is not None and difference > 0


def _is_less(value: JsonValue, operand: Bound, _ignore_case: bool) -> bool:
    difference = _subtract(value, operand)
    return difference is not None and difference < 0


def _subtract(value: JsonValue, operand: Bound) -> float | None:
    """Return the difference of two numbers or of two times; None if they can't be compared."""
    found = Bound.read(value)
    if found.number is not None and operand.number is not None:
        return found.number - operand.number
    if found.moment is not None and operand.moment is not None:
        return found.moment - operand.moment
    return None


def _matches(value: JsonValue, operand: str, ignore_case: bool) -> bool:
    return patterns.parse_pattern(operand, ignore_case=ignore_case).matches(as_text(value))


_VALUES = "a string, a number or a boolean, or a list of these"
_BOUND = "a number, or a time in ISO 8601"
OPERATORS: Registry[Operator] = Registry(
    "operator of a rule",
    "rule_operators",
    (
        Operator(
            "in", _VALUES, "the value is one of these", _parse_values, _is_in, takes_variables=True, names_a_value=True
        ),
        Operator("not_in", _VALUES, "the value is none of these", _parse_values, _is_not_in, takes_variables=True),
        Operator(
            "exists",
            "`True` or `False`",
            "there is a value, or there is none; an empty list, object or string is none",
            _parse_bool,
            _exists,
            tests_all_at_once=True,
        ),
        Operator("gt", _BOUND, "the value is greater than this", _parse_bound, _is_greater, takes_variables=True),
        Operator("lt", _BOUND, "the value is less than this", _parse_bound, _is_less, takes_variables=True),
        Operator(
            "matches",
            "a regular expression",
            "it matches somewhere in the value",
            _parse_regex,
            _matches,
            names_a_value=True,
        ),
    ),
)
