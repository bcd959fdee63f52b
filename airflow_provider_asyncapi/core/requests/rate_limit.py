"""Limit the rate of requests, and pause them while the API asks for a pause."""

from __future__ import annotations

import math
from dataclasses import dataclass

from airflow_provider_asyncapi.core.connection.settings import ConnectionSettings
from airflow_provider_asyncapi.core.effects import Send
from airflow_provider_asyncapi.core.errors import ThrottledError, TransportError
from airflow_provider_asyncapi.core.http.messages import Request, Response
from airflow_provider_asyncapi.core.requests.schedule import LONGEST_RETRY_AFTER, SHORTEST_WAIT, parse_retry_after
from airflow_provider_asyncapi.core.text import format_number

#: Status codes of a server that is overloaded and asks all clients to pause (RFC 6585, section 4; RFC 9110, 15.6.4).
_OVERLOADED = frozenset({429, 503})
#: The reason why a request isn't sent or its response isn't read, for messages.
NOT_NEEDED = "its response is no longer needed"


@dataclass(slots=True)
class RateLimiter:
    """
    Space the requests of a connection evenly, and refuse requests that can wait while the API asks for a pause.

    A driver calls :meth:`reserve` before each request, sleeps for the returned time, and calls :meth:`observe` with the
    response.

    :param settings: the connection.
    """

    settings: ConnectionSettings
    _next_slot: float = 0.0
    _blocked_until: float = 0.0

    def reserve(self, send: Send, now: float, steady: float) -> float:
        """
        Reserve the next free slot for a request, unless its response isn't needed any more by then.

        :param now: seconds since the epoch.
        :param steady: seconds on any steady clock.
        :return: seconds to wait until the slot.
        :raises ThrottledError: if the API asks for a pause, and the flow can wait.
        :raises TransportError: if the response isn't needed any more at the time of the slot.
        """
        # Sleeping isn't exact, so a request after the pause may come a moment too early.
        if send.can_wait and (blocked_for := self._blocked_until - now) > SHORTEST_WAIT:
            problem = f"not sent, since the API asks for no requests for {format_number(blocked_for)} s"
            raise ThrottledError(f"{send.request}: {problem}", blocked_for)
        needed_for = math.inf if send.until is None else send.until - now
        rate = self.settings.requests_per_second
        slot = steady if rate is None else max(steady, self._next_slot)
        if slot - steady >= needed_for:
            raise TransportError(f"{send.request}: aborted: {NOT_NEEDED}", sent=False)
        if rate is not None:
            self._next_slot = slot + 1 / rate
        return slot - steady

    def observe(self, request: Request, response: Response, now: float) -> None:
        """
        Update the limiter from a response that may ask for a pause.

        :param now: seconds since the epoch.
        """
        # A host that isn't the API's doesn't decide when requests may be sent to the API.
        if response.status not in _OVERLOADED or not self.settings.trusts(request.url):
            return
        retry_after = parse_retry_after(response.headers.get("retry-after"), now)
        if retry_after:
            self._blocked_until = max(self._blocked_until, now + min(retry_after, LONGEST_RETRY_AFTER))
