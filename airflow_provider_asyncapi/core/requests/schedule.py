"""When to poll: pure functions of counts and clocks."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, timedelta
from typing import Any

from airflow_provider_asyncapi.core.errors import ConfigurationError
from airflow_provider_asyncapi.core.json_values import as_moment, as_number

_INTERVAL = 60.0
_LONGEST_INTERVAL = 3600.0
_MAX_ERRORS = 10
#: However an API answers, at least this many seconds lie between two polls.
SHORTEST_WAIT = 0.1
#: A `Retry-After: 0` says "at once"; this keeps "at once" from being a busy loop.
_SHORTEST_RETRY_AFTER = 1.0
#: Errors back off from the poll interval, twice as long each time, to at most this many seconds.
_LONGEST_ERROR_WAIT = 300.0

_SECONDS = re.compile(r"\d{1,300}(?:\.\d{1,9})?", re.ASCII)
#: A year in seconds: a larger number can't be meant.
_LONGEST_PLAUSIBLE = 366 * 86400.0
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
    "visible_after",
)


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
        if (said_moment := as_moment(number)) is not None:
            until = said_moment - now
            return min(until, _LONGEST_PLAUSIBLE) if until > 0 else None
        return min(number, _LONGEST_PLAUSIBLE)
    try:
        # Few APIs send dates, and DAG files needn't pay for reading them.
        from email.utils import parsedate_to_datetime

        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    # "-0000" and a missing zone give a naive time, which means UTC here (RFC 9110, section 5.6.7).
    seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - now
    return min(max(0.0, seconds), _LONGEST_PLAUSIBLE)


@dataclass(frozen=True, slots=True)
class PollSchedule:
    """
    How often to poll, and how many errors to bear. All times in seconds.

    :param interval: from one poll to the next.
    :param initial_delay: before the first poll.
    :param backoff: factor by which the interval grows with each poll.
    :param max_interval: the longest interval to which it grows.
    :param jitter: fraction of each wait that is left to chance (0.1: up to 10 % shorter or longer).
    :param max_polls: how many polls at most.
    :param max_errors: how many transient errors in a row are too many.
    :param retry_delays: status code → wait after it, where the API doesn't say.
    :param max_retry_delay: how long a worker waits at most after an error that the API wants a wait for.
    :param visible_after: for how long after the submission a 404 means "not yet".
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

    @classmethod
    def parse(cls, given: Mapping[str, Any]) -> PollSchedule:
        """
        Read the schedule parameters.

        :param given: a mapping with keys of :data:`SCHEDULE_PARAMETERS`; those that are None take the default.
        :raises ConfigurationError: on what can't be meant (negative, not finite, an interval of 0).
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
            max_polls=_parse_count(given, "max_iterations"),
            max_errors=_parse_count(given, "max_consecutive_errors") or _MAX_ERRORS,
            retry_delays=parse_retry_delays(given.get("retry_delays")),
            visible_after=_parse_seconds(given, "visible_after", 0.0),
        )

    @property
    def has_constant_interval(self) -> bool:
        """Whether polls follow each other at the interval, where the API doesn't say otherwise."""
        return self.backoff == 1 and self.jitter == 0

    @property
    def longest_retry_after(self) -> float:
        """The longest wait that a ``Retry-After`` can ask for, in seconds."""
        return max(self.max_interval, LONGEST_RETRY_AFTER)

    def min_delay_after_response(self, said: float | None) -> float:
        """
        Return how many seconds have to lie between a poll and the next one, the last poll at the deadline included.

        :param said: what ``Retry-After`` said, if anything.
        """
        if said is not None:
            return min(max(said, min(self.interval, _SHORTEST_RETRY_AFTER)), self.longest_retry_after)
        return max(SHORTEST_WAIT, self.interval * (1 - self.jitter))

    def delay_after_poll(self, polls: int, said: float | None, rng: Callable[[], float]) -> float:
        """
        Give the wait after a poll that was answered.

        :param polls: how many have been made, at least 1.
        :param said: what ``Retry-After`` said, if anything.
        :param rng: gives numbers in [0, 1).
        """
        if said is not None:
            return self.min_delay_after_response(said)
        longest = max(self.interval, self.max_interval)
        grown = self.interval
        if self.backoff > 1:
            # The exponent is bounded, for a float overflows long before a job's patience does.
            grown *= self.backoff ** min(polls - 1, math.log(longest / self.interval, self.backoff))
        return self._add_jitter(min(grown, longest), rng)

    def delay_after_error(self, errors: int, status: int | None, said: float | None, rng: Callable[[], float]) -> float:
        """
        Give the wait after a transient error.

        :param errors: how many there have been in a row, at least 1.
        :param status: the status code; None where there was no answer.
        """
        if said is not None:
            return self.min_delay_after_response(said)
        if status is not None and status in self.retry_delays:
            return max(self.retry_delays[status], SHORTEST_WAIT)
        grown = self.interval * 2.0 ** min(errors - 1, 20)
        return self._add_jitter(min(grown, max(_LONGEST_ERROR_WAIT, self.interval)), rng)

    def count_polls_within(self, elapsed: float, polls: int = 0) -> int:
        """
        Say how many of ``max_polls`` have been made, if all have that had their whole interval within a time.

        :param elapsed: since the next poll was due, in seconds.
        :param polls: how many had been made before.
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
    Read waits per status code (``{429: 60, 503: 5}``).

    :raises ConfigurationError: on anything else.
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


def _parse_count(given: Mapping[str, Any], name: str) -> int | None:
    value = given.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigurationError(f"{name}: has to be a whole number of at least 1, not {value!r}")
    return value
