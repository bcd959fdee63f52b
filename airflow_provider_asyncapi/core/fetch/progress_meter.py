"""The progress of a transfer, logged every few seconds."""

from __future__ import annotations

from collections.abc import Callable

#: Seconds between two lines.
LOG_INTERVAL = 5.0
_UNITS = ("B", "kB", "MB", "GB", "TB")
_STEP = 1000


class ProgressMeter:
    """
    Measures a transfer.

    :param unit: the unit, such as ``pages``; None for bytes.
    :param monotonic: a monotonic clock, in seconds.
    """

    def __init__(self, unit: str | None, monotonic: Callable[[], float]) -> None:
        self._unit = unit
        self._monotonic = monotonic
        self._started_at = self._logged_at = monotonic()

    def next_line(self, done: int, total: int | None) -> str | None:
        """
        Return the line to log; None if the last one is too recent.

        :param done: the amount that is transferred.
        :param total: the whole amount; None if unknown.
        """
        now = self._monotonic()
        if now - self._logged_at < LOG_INTERVAL:
            return None
        self._logged_at = now
        rate = done / (now - self._started_at)
        shown = f"fetched {self._format_amount(done)}"
        if total:
            shown += f" of {self._format_amount(total)} ({min(100 * done // total, 100)} %)"
        shown += f", {self._format_amount(rate)}/s"
        if total and rate:
            shown += f", {_format_duration(max(total - done, 0) / rate)} left"
        return shown

    def _format_amount(self, number: float) -> str:
        if self._unit is not None:
            return f"{number:.4g} {self._unit}"
        for unit in _UNITS[:-1]:
            if number < _STEP:
                return f"{number:.3g} {unit}"
            number /= _STEP
        return f"{number:.3g} {_UNITS[-1]}"


def _format_duration(seconds: float) -> str:
    if seconds < 120:  # noqa: PLR2004 - seconds are more precise up to two minutes
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.1f} h"  # noqa: PLR2004 - as above
