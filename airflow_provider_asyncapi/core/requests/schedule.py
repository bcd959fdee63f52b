"""The schedule of polls: pure functions of counts and times."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from airflow_provider_asyncapi.core.errors import ConfigurationError
from airflow_provider_asyncapi.core.http.dates import parse_http_date
from airflow_provider_asyncapi.core.json_values import as_moment, as_number
from airflow_provider_asyncapi.core.parameter_values import parse_whole_number
from airflow_provider_asyncapi.core.selectors.selector import SelectorChain
from airflow_provider_asyncapi.core.templates import CONNECTION

_INTERVAL = 60.0
_LONGEST_INTERVAL = 3600.0
_MAX_ERRORS = 10
#: Minimum number of seconds between two polls, whatever the API responds.
SHORTEST_WAIT = 0.1
#: Delay after a `Retry-After: 0`, in seconds, so that it doesn't cause a busy loop.
_SHORTEST_RETRY_AFTER = 1.0
#: The delay after errors begins with the poll interval and doubles with each error, up to this number of seconds.
_LONGEST_ERROR_WAIT = 300.0

_SECONDS = re.compile(r"\d{1,300}(?:\.\d{1,9})?", re.ASCII)
#: A year in seconds: a larger number is invalid.
LONGEST_PLAUSIBLE = 366 * 86400.0
#: The longest wait that a ``Retry-After`` can ask for, in seconds, unless ``max_interval`` is longer.
LONGEST_RETRY_AFTER = 3600.0

SCHEDULE_PARAMETERS = (
    "poke_interval",
    "initial_delay",
    "backoff",
    "max_interval",
    "jitter",
    "max_iterations",
    "max_consecutive_errors",
    "retry_delays",
    "retry_after",
    "visible_after",
)
#: The parameters of the retries for which a worker is blocked.
RETRY_PARAMETERS = ("max_consecutive_errors", "retry_delays", "retry_after")


def parse_retry_after(value: str | None, now: float) -> float | None:
    """
    Read a ``Retry-After`` header (RFC 9110, section 10.2.3).

    :param value: seconds, or an HTTP date. A number that is too large for seconds is read as a moment since the epoch.
    :param now: seconds since the epoch.
    :return: seconds from now, at least 0; None if the header is missing or malformed, or a moment since the epoch that
        is over.
    """
    if value is None:
        return None
    text = value.strip()
    if _SECONDS.fullmatch(text):
        number = float(text)
        if (moment_of_number := as_moment(number)) is not None:
            until = moment_of_number - now
            return min(until, LONGEST_PLAUSIBLE) if until > 0 else None
        return min(number, LONGEST_PLAUSIBLE)
    moment = parse_http_date(text)
    return None if moment is None else min(max(0.0, moment - now), LONGEST_PLAUSIBLE)


@dataclass(frozen=True, slots=True, kw_only=True)
class PollSchedule:
    """
    The interval of polls, and the number of tolerated errors. All times are in seconds.

    :param interval: seconds between polls.
    :param initial_delay: seconds before the first poll.
    :param backoff: factor by which the interval grows with each poll.
    :param max_interval: the longest interval to which it grows, in seconds.
    :param jitter: fraction by which each delay varies at random (0.1: up to 10 % shorter or longer).
    :param max_polls: maximum number of polls; None for no limit.
    :param max_errors: number of consecutive transient errors after which the task fails.
    :param retry_delays: delays in seconds by status code, if the response has no ``Retry-After``.
    :param max_retry_delay: longest delay after an error for which a worker waits, in seconds.
    :param retry_after: the selectors of hints other than ``Retry-After``; read by :mod:`.retry_hints`.
    :param visible_after: seconds after the submission in which a 404 means that the job isn't visible yet.
    """

    interval: float = _INTERVAL
    initial_delay: float = 0.0
    backoff: float = 1.0
    max_interval: float = _LONGEST_INTERVAL
    jitter: float = 0.0
    max_polls: int | None = None
    max_errors: int = _MAX_ERRORS
    retry_delays: Mapping[int, float] = field(default_factory=dict)
    visible_after: float = 0.0
    max_retry_delay: float = 600.0
    retry_after: SelectorChain | None = None

    @classmethod
    def parse(cls, given: Mapping[str, Any]) -> PollSchedule:
        """
        Read the schedule parameters.

        :param given: a mapping with keys of :data:`SCHEDULE_PARAMETERS`; a value of None stands for the default.
        :raises ConfigurationError: if a value is invalid (negative, not finite, an interval of 0).
        """
        interval = _parse_seconds(given, "poke_interval", _INTERVAL, least=SHORTEST_WAIT)
        backoff = _parse_number(given, "backoff", 1.0, least=1.0)
        max_interval = _parse_seconds(given, "max_interval", max(interval, _LONGEST_INTERVAL), least=SHORTEST_WAIT)
        if max_interval < interval:
            raise ConfigurationError(f"max_interval: {max_interval:g} s is shorter than poke_interval ({interval:g} s)")
        return cls(
            interval=interval,
            initial_delay=_parse_seconds(given, "initial_delay", 0.0),
            backoff=backoff,
            max_interval=max_interval,
            jitter=_parse_number(given, "jitter", 0.0, most=1.0),
            max_polls=parse_whole_number(given.get("max_iterations"), "max_iterations", None),
            max_errors=parse_whole_number(given.get("max_consecutive_errors"), "max_consecutive_errors", _MAX_ERRORS),
            retry_delays=parse_retry_delays(given.get("retry_delays")),
            visible_after=_parse_seconds(given, "visible_after", 0.0),
            retry_after=parse_retry_hints(given.get("retry_after")),
        )

    @classmethod
    def parse_retries(cls, given: Mapping[str, Any]) -> PollSchedule:
        """
        Read the schedule of retries for which a worker is blocked, and which therefore end soon: after 1, 2, 4 and 8 s.

        :param given: a mapping with keys of :data:`RETRY_PARAMETERS`; others are ignored.
        :raises ConfigurationError: if a value is invalid.
        """
        set_here = {name: given[name] for name in RETRY_PARAMETERS if given.get(name) is not None}
        return cls.parse({"poke_interval": 1, "max_consecutive_errors": 5, **set_here})

    @property
    def has_constant_interval(self) -> bool:
        """Whether the interval is always the same, unless the API sends ``Retry-After``."""
        return self.backoff == 1 and self.jitter == 0

    @property
    def longest_retry_after(self) -> float:
        """The longest wait that a ``Retry-After`` can ask for, in seconds."""
        return max(self.max_interval, LONGEST_RETRY_AFTER)

    def min_delay_after_response(self, retry_after: float | None) -> float:
        """
        Return the minimum delay from a poll to the next one, also to the last poll at the deadline.

        :param retry_after: the seconds of ``Retry-After``; None if there is none.
        """
        if retry_after is not None:
            return min(max(retry_after, min(self.interval, _SHORTEST_RETRY_AFTER)), self.longest_retry_after)
        return max(SHORTEST_WAIT, self.interval * (1 - self.jitter))

    def delay_after_poll(self, polls: int, retry_after: float | None, rng: Callable[[], float]) -> float:
        """
        Return the delay after a poll that has a response.

        :param polls: number of polls so far, at least 1.
        :param retry_after: the seconds of ``Retry-After``; None if there is none.
        :param rng: returns random numbers in [0, 1).
        """
        if retry_after is not None:
            return self.min_delay_after_response(retry_after)
        longest = max(self.interval, self.max_interval)
        grown = self.interval
        if self.backoff > 1:
            # The exponent is bounded, since a float would overflow.
            grown *= self.backoff ** min(polls - 1, math.log(longest / self.interval, self.backoff))
        return self._add_jitter(min(grown, longest), rng)

    def delay_after_error(
        self, errors: int, status: int | None, retry_after: float | None, rng: Callable[[], float]
    ) -> float:
        """
        Return the delay after a transient error.

        :param errors: number of errors in a row, at least 1.
        :param status: the status code; None if there was no response.
        """
        if retry_after is not None:
            return self.min_delay_after_response(retry_after)
        if status is not None and status in self.retry_delays:
            return max(self.retry_delays[status], SHORTEST_WAIT)
        grown = self.interval * 2.0 ** min(errors - 1, 20)
        return self._add_jitter(min(grown, max(_LONGEST_ERROR_WAIT, self.interval)), rng)

    def count_polls_within(self, elapsed: float, polls: int = 0) -> int:
        """
        Return the number of polls that fit into a time, with their whole intervals, up to ``max_polls``.

        :param elapsed: time since the next poll was due, in seconds.
        :param polls: number of polls before that.
        """
        moment = 0.0
        while self.max_polls is not None and polls < self.max_polls:
            moment += self.delay_after_poll(polls + 1, None, lambda: 0.5)
            if moment > elapsed:
                break
            polls += 1
        return polls

    def _add_jitter(self, wait: float, rng: Callable[[], float]) -> float:
        return max(SHORTEST_WAIT, wait * (1 + self.jitter * (2 * rng() - 1)))


def parse_retry_delays(given: Any) -> dict[int, float]:
    """
    Parse delays by status code (``{429: 60, 503: 5}``).

    :raises ConfigurationError: if it is anything else.
    """
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise ConfigurationError(f"retry_delays: has to map status codes to seconds, not be {given!r}")
    waits: dict[int, float] = {}
    for code, seconds in given.items():
        if not str(code).isdecimal() or not 400 <= int(code) <= 599:  # noqa: PLR2004 - the error status codes
            raise ConfigurationError(f"retry_delays: {code!r} isn't an error status code (400 to 599)")
        waits[int(code)] = _parse_seconds({"retry_delays": seconds}, "retry_delays", 0.0)
    return waits


def parse_retry_hints(given: Any) -> SelectorChain | None:
    """
    Parse the parameter ``retry_after``: a selector, or a list of selectors; return None if it isn't given.

    :raises ConfigurationError: if a selector is malformed, or names a variable of the job, which may not exist yet.
    """
    hints = SelectorChain.parse_optional(given, "retry_after")
    for selector in () if hints is None else hints.selectors:
        for name in selector.variable_names():
            if not name.startswith(CONNECTION):
                raise ConfigurationError(
                    f"retry_after: {selector.text!r} names {{{name}}}, and only {{connection.<name>}} can be named here"
                )
    return hints


def _parse_seconds(given: Mapping[str, Any], name: str, default: float, *, least: float = 0.0) -> float:
    value = given.get(name)
    if isinstance(value, timedelta):
        value = value.total_seconds()
    return _parse_number({name: value}, name, default, least=least)


def _parse_number(
    given: Mapping[str, Any], name: str, default: float, *, least: float = 0.0, most: float = math.inf
) -> float:
    value = given.get(name)
    if value is None:
        return default
    number = as_number(value)
    if number is None or isinstance(value, str):
        raise ConfigurationError(f"{name}: has to be a finite number, not {value!r}")
    if not least <= number <= most:
        bound = f"at least {least:g}" if number < least else f"at most {most:g}"
        raise ConfigurationError(f"{name}: has to be {bound}, not {value!r}")
    return number
