"""Decide when a request may be sent: the rate limit, and the pauses that the API asks for."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable

from airflow_provider_asyncapi.core.connection.api import Api
from airflow_provider_asyncapi.core.effects import Send
from airflow_provider_asyncapi.core.http.messages import Response
from airflow_provider_asyncapi.core.requests.rate_limit import RateLimiter


class Pacing:
    """
    Spaces the requests of one connection; several threads may use it.

    :param api: the connection.
    :param steady: a clock that is never put back, in seconds.
    :param slot_clock: the clock of the rate limit, in seconds; it has to advance by each pause. By default, the steady
        clock.
    """

    def __init__(self, api: Api, steady: Callable[[], float], *, slot_clock: Callable[[], float] | None = None) -> None:
        self._api, self._steady, self._slot_clock = api, steady, slot_clock or steady
        self._rate_limiter = RateLimiter(api.settings)
        self._lock = threading.Lock()

    def reserve(self, effect: Send) -> tuple[float, float]:
        """
        Return the seconds to wait before sending, and when the response is no longer needed, on the steady clock.

        :raises ThrottledError: if the API asks clients to pause, and the flow can wait.
        :raises TransportError: if the request couldn't be sent while its response is needed.
        """
        now, steady = self._api.clock(), self._steady()
        with self._lock:
            pause = self._rate_limiter.reserve(effect, now, self._slot_clock())
        return pause, math.inf if effect.until is None else steady + effect.until - now

    def observe(self, effect: Send, response: Response) -> None:
        """Pause further requests if a response of the API asks for that."""
        with self._lock:
            self._rate_limiter.observe(effect.request, response, self._api.clock())
