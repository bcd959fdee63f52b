"""Airflow metrics of this provider: their names, and how they are sent at little cost to the triggerer."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import cache, partial
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from airflow.providers.common.compat.sdk import Stats, conf

if TYPE_CHECKING:
    from airflow_provider_asyncapi.core.effects import Polled
    from airflow_provider_asyncapi.core.http.delays import Delay

#: Counters: the polls made, and the polls that failed with a transient error.
POLLS = "asyncapi.polls"
POLL_ERRORS = "asyncapi.poll_errors"
#: A timer: the time from the start of a wait until a poll or a callback reported the end of the job.
WAIT_DURATION = "asyncapi.wait_duration"
#: A timer: the longest delay of the polls of the last seconds; not sent while polls are on time.
POLL_LAG = "asyncapi.poll_lag"
#: A timer: the time from a request until the head of its response, with the opening of a connection. A worker sends
#: that of each request, the triggerer the mean and the longest of the last seconds, by the tag ``statistic``.
FIRST_BYTE = "asyncapi.time_to_first_byte"
#: A counter: the waits that took longer than ``warn_after``.
LATE_WAITS = "asyncapi.late_waits"
#: A counter: the accepted callbacks, repetitions included.
CALLBACKS = "asyncapi.callbacks"
#: A counter: the jobs that were submitted, or resumed, after the job before them had failed (``resubmit``).
RESUBMITS = "asyncapi.resubmits"
#: A counter: the bytes of the fetched results, as they were stored at a destination or in an XCom.
RESULT_BYTES = "asyncapi.result_bytes"

#: The tag of all metrics.
_TAG = "asyncapi_conn_id"
_SWITCHES = ("statsd_on", "statsd_datadog_enabled", "otel_on")
#: Seconds between two sends from an event loop, on which thousands of triggers may poll; counts are sent as sums.
_SEND_INTERVAL = 5.0

_Counts = Counter[tuple[str, str]]
#: Connection and reason → the longest delay, in seconds.
_Lags = dict[tuple[str, str], float]
#: Connection → number of requests, and the sum and the longest of their times to the first byte, in seconds.
_FirstBytes = dict[str, tuple[int, float, float]]
_lags: WeakKeyDictionary[asyncio.AbstractEventLoop, _Lags] = WeakKeyDictionary()
_sums: WeakKeyDictionary[asyncio.AbstractEventLoop, _Counts] = WeakKeyDictionary()
_first_bytes: WeakKeyDictionary[asyncio.AbstractEventLoop, _FirstBytes] = WeakKeyDictionary()


def count_poll(conn_id: str, polled: Polled, began: float) -> None:
    """
    Count a poll, and send the duration of the wait if the poll was the last.

    :param began: start of the wait, in seconds since the epoch.
    """
    if not polled.by_callback:
        count(POLLS, conn_id)
    if polled.errors:
        count(POLL_ERRORS, conn_id)
    if polled.warned:
        count(LATE_WAITS, conn_id)
    if polled.delay is not None:
        _record_delay(conn_id, polled.delay)
    if polled.handle.outcome.is_final and are_enabled():
        _send(_find_loop(), partial(_send_time, WAIT_DURATION, conn_id, time.time() - began))


def count(name: str, conn_id: str, number: int = 1) -> None:
    """Add a number to a counter."""
    if not are_enabled():
        return
    loop = _find_loop()
    if loop is None:
        _send_counts({(name, conn_id): number})
        return
    sums = _sums.get(loop)
    if sums is None:
        sums = _sums[loop] = Counter()
        loop.call_later(_SEND_INTERVAL, _send_sums, loop)
    sums[name, conn_id] += number


def make_first_byte_recorder(conn_id: str) -> Callable[[float], None] | None:
    """
    Return a function that is called with the seconds from each request to the head of its response.

    :return: None while metrics are off, so that drivers measure nothing.
    """
    return partial(_record_first_byte, conn_id) if are_enabled() else None


def _record_first_byte(conn_id: str, seconds: float) -> None:
    loop = _find_loop()
    if loop is None:
        _send_time(FIRST_BYTE, conn_id, seconds)
        return
    first_bytes = _first_bytes.get(loop)
    if first_bytes is None:
        first_bytes = _first_bytes[loop] = {}
        loop.call_later(_SEND_INTERVAL, _send_statistics, loop)
    requests, total, longest = first_bytes.get(conn_id, (0, 0.0, 0.0))
    first_bytes[conn_id] = (requests + 1, total + seconds, max(longest, seconds))


def _record_delay(conn_id: str, delay: Delay) -> None:
    if not are_enabled():
        return
    loop, key = _find_loop(), (conn_id, delay.reason.replace(" ", "_"))
    if loop is None:
        _send_lags({key: delay.seconds})
        return
    lags = _lags.get(loop)
    if lags is None:
        lags = _lags[loop] = {}
        loop.call_later(_SEND_INTERVAL, _send_longest, loop)
    lags[key] = max(delay.seconds, lags.get(key, 0.0))


@cache
def are_enabled() -> bool:
    """Return whether Airflow sends metrics."""
    return any(conf.getboolean("metrics", switch, fallback=False) for switch in _SWITCHES)


def _find_loop() -> asyncio.AbstractEventLoop | None:
    """Return the event loop of the triggerer; None on a worker."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _send(loop: asyncio.AbstractEventLoop | None, send: Callable[[], None]) -> None:
    # The first send looks up the address of the server, which would block the event loop.
    send() if loop is None else loop.run_in_executor(None, send)


def _send_sums(loop: asyncio.AbstractEventLoop) -> None:
    _send(loop, partial(_send_counts, _sums.pop(loop)))


def _send_longest(loop: asyncio.AbstractEventLoop) -> None:
    _send(loop, partial(_send_lags, _lags.pop(loop)))


def _send_statistics(loop: asyncio.AbstractEventLoop) -> None:
    _send(loop, partial(_send_first_bytes, _first_bytes.pop(loop)))


def _send_first_bytes(first_bytes: Mapping[str, tuple[int, float, float]]) -> None:
    for conn_id, (requests, total, longest) in first_bytes.items():
        _send_time(FIRST_BYTE, conn_id, total / requests, statistic="mean")
        _send_time(FIRST_BYTE, conn_id, longest, statistic="longest")


def _send_lags(lags: Mapping[tuple[str, str], float]) -> None:
    for (conn_id, reason), seconds in lags.items():
        _send_time(POLL_LAG, conn_id, seconds, reason=reason)


def _send_counts(counts: Mapping[tuple[str, str], int]) -> None:
    for (name, conn_id), number in counts.items():
        Stats.incr(name, number, tags={_TAG: conn_id})


def _send_time(name: str, conn_id: str, seconds: float, **tags: str) -> None:
    # Airflow sends a timedelta as milliseconds, which StatsD and OpenTelemetry assume a timer's value to be in.
    Stats.timing(name, timedelta(seconds=seconds), tags={_TAG: conn_id, **tags})
