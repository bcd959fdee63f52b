"""The progress of the remote job, in the forms in which APIs report it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_asyncapi.core.errors import ConfigurationError, ContentError
from airflow_provider_asyncapi.core.http.messages import Response
from airflow_provider_asyncapi.core.json_values import JsonValue, as_number
from airflow_provider_asyncapi.core.selectors.selector import SelectorChain
from airflow_provider_asyncapi.core.templates import Variables

_PERCENT = re.compile(r"([\d.]+)\s*%")
_PART_OF = re.compile(r"(\d+)\s*(?:/|of)\s*(\d+)")
_FORMS = ({"percent"}, {"fraction"}, {"done", "total"}, {"pending", "total"})


@dataclass(frozen=True, slots=True)
class Progress:
    """
    The selectors of the progress.

    The parameter is a selector (of a percentage, ``"45 %"``, or ``"3/10"``), or a mapping of selectors:
    ``{"percent": …}``, ``{"fraction": …}``, ``{"done": …, "total": …}``, ``{"pending": …, "total": …}``.
    """

    parts: Mapping[str, SelectorChain]

    @classmethod
    def parse(cls, given: Any) -> Progress | None:
        """
        Parse the ``progress`` parameter.

        :raises ConfigurationError: if it has another form.
        """
        if given is None:
            return None
        if not isinstance(given, Mapping):
            return cls({"percent": SelectorChain.parse(given, "progress")})
        if set(given) not in _FORMS:
            forms = ", ".join(" and ".join(sorted(form)) for form in _FORMS)
            raise ConfigurationError(
                f"progress: has to be a selector or a mapping with {forms}; it has {sorted(map(str, given))}"
            )
        return cls({name: SelectorChain.parse(value, f"progress[{name!r}]") for name, value in given.items()})

    def read_fraction(self, response: Response, variables: Variables) -> float | None:
        """Return the progress, from 0 to 1; None if the response doesn't contain it."""
        try:
            values = {name: selection.find_value(response, variables) for name, selection in self.parts.items()}
        except ContentError:
            return None
        if "percent" in values:
            found = _parse_percentage(values["percent"])
        elif "fraction" in values:
            found = as_number(values["fraction"])
        else:
            found = _compute_ratio(values)
        return None if found is None else round(min(1.0, max(0.0, found)), 4)


def _parse_percentage(value: JsonValue) -> float | None:
    if isinstance(value, str):
        if match := _PERCENT.fullmatch(value.strip()):
            number = as_number(match[1])
            return None if number is None else number / 100
        if match := _PART_OF.fullmatch(value.strip()):
            return _compute_ratio({"done": match[1], "total": match[2]})
    number = as_number(value)
    return None if number is None else number / 100


def _compute_ratio(values: Mapping[str, JsonValue]) -> float | None:
    total, done, pending = (as_number(values.get(name)) for name in ("total", "done", "pending"))
    if pending is not None and total is not None:
        done = total - pending
    return None if done is None or not total else done / total
