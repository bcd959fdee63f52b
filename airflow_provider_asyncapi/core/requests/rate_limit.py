"""How fast requests may follow each other, and when nobody may send."""

from __future__ import annotations

import math
from dataclasses import dataclass

from airflow_provider_asyncapi.core.http.messages import Response
from airflow_provider_asyncapi.core.requests.schedule import LONGEST_RETRY_AFTER, retry_after

#: What a server answers that wants no requests from anybody for a while (RFC 6585, section 4; RFC 9110, 15.6.4).
OVERLOADED = frozenset({429, 503})


@dataclass(slots=True)
class Pacer:
    """
    Spreads requests evenly: each gets the next free slot.

    :param rate: requests per second; None for no limit.
    """

    rate: float | None
    _next: float = 0.0
    _held_until: float = 0.0

    def reserve(self, now: float, longest: float = math.inf) -> float:
        """
        Take the next slot, unless it comes too late.

        :param now: seconds on any steady clock.
        :param longest: seconds for which it is worth waiting.
        :return: seconds to wait until the slot.
        """
        if self.rate is None:
            return 0.0
        slot = max(now, self._next)
        if slot - now >= longest:
            return slot - now
        self._next = slot + 1 / self.rate
        return slot - now

    def heed(self, response: Response, now: float) -> None:
        """
        Take note of an answer that may ask for a pause.

        :param now: seconds since the epoch.
        """
        said = retry_after(response.headers.get("retry-after"), now)
        if said and response.status in OVERLOADED:
            self._held_until = max(self._held_until, now + min(said, LONGEST_RETRY_AFTER))

    def held(self, now: float) -> float:
        """Give the seconds for which nobody may send who can wait."""
        return max(0.0, self._held_until - now)
