"""Limit the rate of requests, and pause them while the API asks for a pause."""

from __future__ import annotations

import math
from dataclasses import dataclass

from airflow_provider_asyncapi.core.http.messages import Response
from airflow_provider_asyncapi.core.requests.schedule import LONGEST_RETRY_AFTER, parse_retry_after

#: Status codes of a server that is overloaded, and asks all clients to pause (RFC 6585, section 4; RFC 9110, 15.6.4).
OVERLOADED = frozenset({429, 503})


@dataclass(slots=True)
class RateLimiter:
    """
    Space requests evenly, and block them while the API asks for a pause.

    :param rate: requests per second; None for no limit.
    """

    rate: float | None
    _next: float = 0.0
    _blocked_until: float = 0.0

    def next_slot(self, now: float, longest: float = math.inf) -> float:
        """
        Reserve the next free slot, unless it is too far away.

        :param now: seconds on any steady clock.
        :param longest: longest useful wait, in seconds; a slot after it isn't reserved.
        :return: seconds to wait until the slot.
        """
        if self.rate is None:
            return 0.0
        slot = max(now, self._next)
        if slot - now >= longest:
            return slot - now
        self._next = slot + 1 / self.rate
        return slot - now

    def observe(self, response: Response, now: float) -> None:
        """
        Update the limiter from a response that may ask for a pause.

        :param now: seconds since the epoch.
        """
        said = parse_retry_after(response.headers.get("retry-after"), now)
        if said and response.status in OVERLOADED:
            self._blocked_until = max(self._blocked_until, now + min(said, LONGEST_RETRY_AFTER))

    def blocked_for(self, now: float) -> float:
        """Return the seconds for which requests that can be deferred are blocked; 0.0 if they aren't."""
        return max(0.0, self._blocked_until - now)
