"""How fast requests may follow each other."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Pacer:
    """
    Spreads requests evenly: each gets the next free slot.

    :param rate: requests per second; None for no limit.
    """

    rate: float | None
    _next: float = 0.0

    def reserve(self, now: float) -> float:
        """
        Take the next slot.

        :param now: seconds on any steady clock.
        :return: seconds to wait until the slot.
        """
        if self.rate is None:
            return 0.0
        slot = max(now, self._next)
        self._next = slot + 1 / self.rate
        return slot - now
