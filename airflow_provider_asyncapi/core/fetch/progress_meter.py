"""The progress of a transfer, logged every few seconds."""

from __future__ import annotations

from collections.abc import Callable

#: Seconds between two lines.
EVERY = 5.0
_UNITS = ("B", "kB", "MB", "GB", "TB")
_STEP = 1000


class ProgressMeter:
    """
    Measures a transfer.

    :param unit: the unit, such as ``pages``; None for bytes.
    :param steady: a monotonic clock, in seconds.
    """

    def __init__(self, unit: str | None, steady: Callable[[], float]) -> None:
        self._unit = unit
        self._steady = steady
        self._began = self._said = steady()

    def line(self, done: int, total: int | None) -> str | None:
        """
        Return the line to log; None if the last one is too recent.

        :param done: the amount that is transferred.
        :param total: the whole amount; None if unknown.
        """
        now = self._steady()
        if now - self._said < EVERY:
            return None
        self._said = now
        rate = done / (now - self._began)
        shown = f"fetched {self._amount(done)}"
        if total:
            shown += f" of {self._amount(total)} ({min(100 * done // total, 100)} %)"
        shown += f", {self._amount(rate)}/s"
        if total and rate:
            shown += f", {_duration(max(total - done, 0) / rate)} left"
        return shown

    def _amount(self, number: float) -> str:
        if self._unit is not None:
            return f"{number:.4g} {self._unit}"
        for unit in _UNITS[:-1]:
            if number < _STEP:
                return f"{number:.3g} {unit}"
            number /= _STEP
        return f"{number:.3g} {_UNITS[-1]}"


def _duration(seconds: float) -> str:
    if seconds < 120:  # noqa: PLR2004 - up to here seconds say more
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.1f} h"  # noqa: PLR2004 - up to here minutes say more
