"""Warn about late polls in the triggerer's log, once a minute for each connection, with the reason."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from weakref import WeakKeyDictionary

from airflow_provider_asyncapi.core.http.delays import Delay, Reason

log = logging.getLogger(__name__)

#: Seconds between two warnings, in which late polls are counted.
_WARN_INTERVAL = 60.0
#: The advice for each reason.
_ADVICE = {
    Reason.CONNECTIONS: "all connections were in use, or 100 were being opened: set the connection's"
    " connections_per_host higher or not at all, or let the triggerer open more files (ulimit -n)",
    Reason.RATE: "the connection's requests_per_second was reached: raise it, or poll less often",
    Reason.EVENT_LOOP: "this triggerer is overloaded: start another one, or poll less often",
}

#: Connection → reason → number of late polls, and the longest delay in seconds.
_Late = dict[str, dict[Reason, tuple[int, float]]]
_late: WeakKeyDictionary[asyncio.AbstractEventLoop, _Late] = WeakKeyDictionary()


def record(conn_id: str, delay: Delay) -> None:
    """Count a late poll of a connection."""
    loop = asyncio.get_running_loop()
    late = _late.get(loop)
    if late is None:
        late = _late[loop] = {}
        # In its own context, since the warning doesn't belong to the task whose poll was the first.
        loop.call_later(_WARN_INTERVAL, _warn, loop, context=contextvars.Context())
    reasons = late.setdefault(conn_id, {})
    polls, longest = reasons.get(delay.reason, (0, 0.0))
    reasons[delay.reason] = (polls + 1, max(longest, delay.seconds))


def _warn(loop: asyncio.AbstractEventLoop) -> None:
    for conn_id, reasons in _late.pop(loop).items():
        for reason, (polls, longest) in reasons.items():
            log.warning(
                "Connection %r: in the last %g s %d poll%s made late, by up to %.1f s (%s): %s",
                conn_id,
                _WARN_INTERVAL,
                polls,
                " was" if polls == 1 else "s were",
                longest,
                reason,
                _ADVICE[reason],
            )
