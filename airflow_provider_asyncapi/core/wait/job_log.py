"""The log of the remote job, as the parameter ``logs`` describes it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_provider_asyncapi.core.errors import ConfigurationError
from airflow_provider_asyncapi.core.json_values import JsonValue, as_text
from airflow_provider_asyncapi.core.requests.request_template import RequestTemplate
from airflow_provider_asyncapi.core.selectors.selector import SelectorChain
from airflow_provider_asyncapi.core.templates import find_variables, walk_strings
from airflow_provider_asyncapi.core.wait.log_position import LogPosition

LOGS = "logs"
#: The variable with the position in the log, from which on the API returns lines.
LOG_CURSOR = "log_cursor"
_OWN_PARAMETERS = ("lines", "cursor")


@dataclass(frozen=True, slots=True)
class JobLog:
    """
    The parameter ``logs``.

    :param lines: the selector of the lines: a text, or a list of texts; None for the whole body of the request.
    :param request: the request for the log; None if it is part of the response to each poll.
    :param cursor: the selector of the next value of ``{log_cursor}``; None to count the bytes of the log.
    """

    lines: SelectorChain | None
    request: RequestTemplate | None = None
    cursor: SelectorChain | None = None

    @classmethod
    def parse(cls, given: Any) -> JobLog | None:
        """
        Parse the parameter ``logs``: a selector, a list of selectors, or a request; return None if it isn't given.

        :raises ConfigurationError: if it is invalid; the message names the key.
        """
        if given is None:
            return None
        if not isinstance(given, Mapping) or "selector" in given:
            return cls(SelectorChain.parse(given, LOGS))
        request = RequestTemplate.parse(given, LOGS, also=_OWN_PARAMETERS, complete=True)
        log = cls(
            SelectorChain.parse_optional(given.get("lines"), f"{LOGS}.lines"),
            request,
            SelectorChain.parse_optional(given.get("cursor"), f"{LOGS}.cursor"),
        )
        names_cursor = LOG_CURSOR in request.find_variables()
        if log.cursor is not None and not names_cursor:
            raise ConfigurationError(f"{LOGS}: cursor is never used, because the request doesn't name {{{LOG_CURSOR}}}")
        if names_cursor and log.cursor is None and log.lines is not None:
            raise ConfigurationError(
                f"{LOGS}: cursor is missing; it is the selector of the next {{{LOG_CURSOR}}} (bytes are counted only"
                " if the whole body is the log)"
            )
        return log

    @property
    def is_incremental(self) -> bool:
        """Whether a response contains only lines after ``{log_cursor}``."""
        return self.request is not None and LOG_CURSOR in self.request.find_variables()

    @property
    def counts_bytes(self) -> bool:
        """Whether ``{log_cursor}`` is a number of bytes."""
        return self.is_incremental and self.cursor is None

    def request_after(self, position: LogPosition) -> RequestTemplate:
        """Return the request for the lines after a position; the first one has no query parameter for the cursor."""
        assert self.request is not None, "only called if there is a request"  # noqa: S101 - for the type checker
        if self.cursor is None or position.cursor is not None:
            return self.request
        params = {
            name: value
            for name, value in self.request.query_params.items()
            if not any(LOG_CURSOR in find_variables(text) for text in walk_strings(value))
        }
        return dataclasses.replace(self.request, query_params=params)


def split_lines(values: Sequence[JsonValue], *, are_entries: bool, is_complete: bool) -> list[str]:
    """
    Return the lines of texts and entries, without a line at the end that may not be complete yet.

    :param values: texts of one or more lines; other values become JSON.
    :param are_entries: whether a text without a line break is a line of its own.
    :param is_complete: whether nothing is added to the log any more.
    """
    lines: list[str] = []
    for number, value in enumerate(values, 1):
        text = as_text(value)
        found = text.splitlines()
        is_partial = not text.endswith(("\n", "\r")) and not (are_entries and len(found) <= 1)
        lines += found[:-1] if is_partial and number == len(values) and not is_complete else found
    return lines
