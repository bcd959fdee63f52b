"""What Airflow's metrics are told: the names, and how it gets there without costing the triggerer much."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from airflow_provider_asyncapi.core.effects import Polled
    from airflow_provider_asyncapi.core.wait.lateness import Delay

#: Counters: the polls made, and those of them that failed in passing.
POLLS = "asyncapi.polls"
POLL_ERRORS = "asyncapi.poll_errors"
#: A timer: from the beginning of a wait until a poll or a callback said that the job is over, in seconds.
WAIT_SECONDS = "asyncapi.wait_seconds"
#: A timer: by how much the latest poll of some seconds was late, in seconds; nothing while polls are on time.
POLL_LAG_SECONDS = "asyncapi.poll_lag_seconds"
#: A counter: the callbacks that were taken, repetitions included.
CALLBACKS = "asyncapi.callbacks"

#: The tag that all of them have.
_TAG = "asyncapi_conn_id"
_SWITCHES = ("statsd_on", "statsd_datadog_enabled", "otel_on")
#: On an event loop, where thousands may poll, what is counted in so many seconds is sent as one sum.
_SEND_EVERY = 5.0

_Counts = Counter[tuple[str, str]]
#: Connection and reason to the longest delay, in seconds.
_Lags = dict[tuple[str, str], float]
_lags: WeakKeyDictionary[asyncio.AbstractEventLoop, _Lags] = WeakKeyDictionary()
_sums: WeakKeyDictionary[asyncio.AbstractEventLoop, _Counts] = WeakKeyDictionary()


def count_poll(conn_id: str, polled: Polled, began: float) -> None:
    """
    Count a poll, and tell how long the wait took if it was the last.

    :param began: when the wait did, in seconds since the epoch.
    """
    if not polled.by_callback:
        count(POLLS, conn_id)
    if polled.errors:
        count(POLL_ERRORS, conn_id)
    if polled.delay is not None:
        _poll_late(conn_id, polled.delay)
    if polled.handle.outcome.is_final and _are_wanted():
        _send(_loop(), partial(_send_time, WAIT_SECONDS, conn_id, time.time() - began))


def count(name: str, conn_id: str) -> None:
    """Count something that has happened once more."""
    if not _are_wanted():
        return
    loop = _loop()
    if loop is None:
        _send_counts({(name, conn_id): 1})
        return
    sums = _sums.get(loop)
    if sums is None:
        sums = _sums[loop] = Counter()
        loop.call_later(_SEND_EVERY, _send_sums, loop)
    sums[name, conn_id] += 1


def _poll_late(conn_id: str, delay: Delay) -> None:
    if not _are_wanted():
        return
    loop, key = _loop(), (conn_id, delay.reason.replace(" ", "_"))
    if loop is None:
        _send_lags({key: delay.seconds})
        return
    lags = _lags.get(loop)
    if lags is None:
        lags = _lags[loop] = {}
        loop.call_later(_SEND_EVERY, _send_longest, loop)
    lags[key] = max(delay.seconds, lags.get(key, 0.0))


@cache
def _are_wanted() -> bool:
    from airflow.providers.common.compat.sdk import conf

    return any(conf.getboolean("metrics", switch, fallback=False) for switch in _SWITCHES)


def _loop() -> asyncio.AbstractEventLoop | None:
    """Give the event loop of the triggerer; None on a worker."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _send(loop: asyncio.AbstractEventLoop | None, send: Callable[[], None]) -> None:
    # Whoever comes first looks up the address of the server, which isn't for the loop to wait for.
    send() if loop is None else loop.run_in_executor(None, send)


def _send_sums(loop: asyncio.AbstractEventLoop) -> None:
    _send(loop, partial(_send_counts, _sums.pop(loop)))


def _send_longest(loop: asyncio.AbstractEventLoop) -> None:
    _send(loop, partial(_send_lags, _lags.pop(loop)))


def _send_lags(lags: Mapping[tuple[str, str], float]) -> None:
    from airflow.providers.common.compat.sdk import Stats

    for (conn_id, reason), seconds in lags.items():
        Stats.timing(POLL_LAG_SECONDS, seconds, tags={_TAG: conn_id, "reason": reason})


def _send_counts(counts: Mapping[tuple[str, str], int]) -> None:
    from airflow.providers.common.compat.sdk import Stats

    for (name, conn_id), number in counts.items():
        Stats.incr(name, number, tags={_TAG: conn_id})


def _send_time(name: str, conn_id: str, seconds: float) -> None:
    from airflow.providers.common.compat.sdk import Stats

    Stats.timing(name, seconds, tags={_TAG: conn_id})
