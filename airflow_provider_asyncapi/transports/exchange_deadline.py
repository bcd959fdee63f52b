"""The time limit of an exchange, which holds even if data still arrives."""

from __future__ import annotations

import math
from collections.abc import Callable

from airflow_provider_asyncapi.core.errors import TransportError
from airflow_provider_asyncapi.core.http.messages import Request
from airflow_provider_asyncapi.core.requests.rate_limit import NOT_NEEDED

#: A response that is read into memory has to be complete within this many read timeouts. A server that sends a byte now
#: and then is never silent, so the read timeout alone wouldn't end the exchange.
MAX_READ_TIMEOUTS = 10


class ExchangeDeadline:
    """
    The time at which an exchange is aborted, including its head, body and trailers.

    A streamed body may take longer, but its next bytes have to come within the read timeout. Bytes that aren't part of
    the body (chunk sizes and extensions, trailers) don't count. So may a body that is sent from a file; the server has
    to accept its next chunk within the read timeout.

    :param request: the request, for messages.
    :param read_timeout: longest silence of the server, in seconds.
    :param steady: a clock that is never put back, in seconds.
    :param needed_until: time from which the response is no longer needed, on that clock.
    :ivar data_at: time on that clock at which the last data arrived, or a time limit began.
    """

    __slots__ = (
        "_latest",
        "_limit_text",
        "_needed_until",
        "_read_timeout",
        "_request",
        "_steady",
        "data_at",
        "seconds",
    )

    def __init__(
        self, request: Request, read_timeout: float, steady: Callable[[], float], needed_until: float = math.inf
    ) -> None:
        self._request, self._read_timeout, self._steady = request, read_timeout, steady
        self._needed_until = needed_until
        self.expect_response()

    def restart(self) -> None:
        """Begin the time limit now."""
        self.data_at = self._steady()
        self._latest = min(self.data_at + self.seconds, self._needed_until)

    def expect_response(self) -> None:
        """Begin the time limit of the whole response now."""
        self._limit_text, self.seconds = "the response wasn't complete within", MAX_READ_TIMEOUTS * self._read_timeout
        self.restart()

    def expect_progress(self) -> None:
        """Begin the time limit in which the server has to accept the next chunk of a request's body."""
        self._limit_text, self.seconds = "the server accepted no data of the request's body for", self._read_timeout
        self.restart()

    def record_data(self) -> float:
        """Record that data has arrived, and return the time on the steady clock."""
        self.data_at = self._steady()
        return self.data_at

    def remaining_silence(self) -> float:
        """Return the seconds for which the server may still send no data, whatever time is left."""
        return self.data_at + self._read_timeout - self._steady()

    def remaining(self) -> float:
        """Return the remaining seconds."""
        return self._latest - self._steady()

    def expect_data(self) -> None:
        """Restart the time limit for the next bytes of a streamed body."""
        self._limit_text, self.seconds = "no data of the body arrived for", self._read_timeout
        self.restart()

    def check(self) -> None:
        """
        Check that there is time left when data has arrived.

        :raises TransportError: if there is none.
        """
        if self._latest <= self.record_data():
            raise self.error()

    def error(self, *, sent: bool = True) -> TransportError:
        """
        Return the error of an exchange that is aborted.

        :param sent: whether the request may have reached the server.
        """
        reason = f"{self._limit_text} {self.seconds:g} s"
        if self._latest >= self._needed_until:
            reason = NOT_NEEDED
        return TransportError(f"{self._request}: aborted: {reason}", sent=sent)
