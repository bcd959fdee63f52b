"""When an exchange is given up, however much goes on arriving."""

from __future__ import annotations

import math
from collections.abc import Callable

from airflow_provider_asyncapi.core.errors import TransportError
from airflow_provider_asyncapi.core.http.messages import Request

#: An answer that is read into memory has to be complete within this many times the read timeout. A server that sends a
#: byte now and then is never silent, so the read timeout alone would not end it.
SLOWEST = 10


class Limit:
    """
    The moment at which an exchange is given up: its head, its body, its trailers, and what lies between.

    A body that is streamed may take its time; but the next of its bytes has to come within the read timeout. What is
    no data of the body (chunk sizes and extensions, trailers) doesn't count.

    :param request: the request, for messages.
    :param read_timeout: how long the server may be silent, in seconds.
    :param steady: a clock that is never put back, in seconds.
    :param needed_until: when nobody needs the answer any more, on that clock.
    """

    __slots__ = ("_needed_until", "_read_timeout", "_request", "_steady", "_why", "latest", "seconds")

    def __init__(
        self, request: Request, read_timeout: float, steady: Callable[[], float], needed_until: float = math.inf
    ) -> None:
        self._request, self._read_timeout, self._steady = request, read_timeout, steady
        self._why = "the answer wasn't complete after"
        self._needed_until = needed_until
        self.seconds = SLOWEST * read_timeout
        self.latest = min(steady() + self.seconds, needed_until)

    def left(self) -> float:
        """Return the seconds that are left."""
        return self.latest - self._steady()

    def expect_data(self) -> None:
        """Begin to wait for the next bytes of a body that is streamed."""
        self._why, self.seconds = "no data of the body came for", self._read_timeout
        self.latest = min(self._steady() + self.seconds, self._needed_until)

    def check(self) -> None:
        """
        Check that there is time left.

        :raises TransportError: if there is none.
        """
        if self.left() <= 0:
            raise self.error()

    def error(self, *, sent: bool = True) -> TransportError:
        """
        Make the error of an exchange that is given up.

        :param sent: whether the request may have reached the server.
        """
        is_needed = self.latest < self._needed_until
        why = f"{self._why} {self.seconds:g} s" if is_needed else "the time for it is over"
        return TransportError(f"{self._request}: given up, for {why}", sent=sent)
