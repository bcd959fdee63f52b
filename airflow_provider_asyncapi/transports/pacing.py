"""When a request may be sent: the rate limit, the pauses that the API asks for, and the end of the need for it."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable

from airflow_provider_asyncapi.core.connection.settings import Api
from airflow_provider_asyncapi.core.effects import Send
from airflow_provider_asyncapi.core.errors import ThrottledError
from airflow_provider_asyncapi.core.http.messages import Response
from airflow_provider_asyncapi.core.requests.rate_limit import OVERLOADED, RateLimiter
from airflow_provider_asyncapi.transports.exchange_deadline import ExchangeDeadline


class Pacing:
    """
    Spaces the requests of one connection; several threads may use it.

    :param api: the connection.
    :param steady: a clock that is never put back, in seconds.
    """

    def __init__(self, api: Api, steady: Callable[[], float]) -> None:
        self._api, self._steady = api, steady
        self._rate_limiter = RateLimiter(api.settings.requests_per_second)
        self._lock = threading.Lock()

    def reserve(self, effect: Send) -> tuple[float, float]:
        """
        Return the seconds to wait before sending, and when the response is no longer needed, on the steady clock.

        :raises ThrottledError: if the API asks clients to pause, and the flow can wait.
        :raises TransportError: if the request couldn't be sent while its response is needed.
        """
        request = effect.request
        if effect.can_wait and (pause := self._rate_limiter.blocked_for(self._api.clock())):
            raise ThrottledError(f"{request}: not sent, since the API asks for no requests for {pause:.3g} s", pause)
        now = self._steady()
        needed_for = math.inf if effect.until is None else effect.until - self._api.clock()
        with self._lock:
            pause = self._rate_limiter.next_slot(now, needed_for)
        if pause >= needed_for:
            raise ExchangeDeadline(request, self._api.settings.read_timeout, self._steady, now).error(sent=False)
        return pause, now + needed_for

    def observe(self, effect: Send, response: Response) -> None:
        """Pause further requests if a response of the API asks for that."""
        if response.status in OVERLOADED and self._api.settings.trusts(effect.request.url):
            self._rate_limiter.observe(response, self._api.clock())
