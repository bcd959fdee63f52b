"""Send bodies that contain files, alike for all HTTP libraries."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Self

from airflow_provider_asyncapi.core.errors import TransportError
from airflow_provider_asyncapi.core.http.file_bodies import FileBody
from airflow_provider_asyncapi.core.http.messages import Request, Response
from airflow_provider_asyncapi.transports.exchange_deadline import ExchangeDeadline


class Upload:
    """
    One transfer of a body that contains files.

    :param request: the request.
    :param deadline: the time limit of the exchange, which each chunk extends.
    :ivar is_complete: whether the server may have received the whole body. A server can't carry out a request of whose
        body it has received a part.
    :ivar error: the error of reading a file; None if there was none.
    """

    def __init__(self, request: Request, body: FileBody, deadline: ExchangeDeadline) -> None:
        self._request, self._deadline = request, deadline
        self.size = body.size
        self._chunks = body.read_chunks()
        self._first: bytes | None = None
        self._sent = 0
        self.is_complete = False
        self.error: BaseException | None = None
        # An asynchronous upload that is cancelled may be closed while a thread still reads the file.
        self._lock = threading.Lock()

    @classmethod
    def of(cls, request: Request, deadline: ExchangeDeadline) -> Self | None:
        """Return the upload of a request; None if its body contains no files."""
        return cls(request, request.body, deadline) if isinstance(request.body, FileBody) else None

    def begin(self) -> None:
        """
        Open the first file, so that no request is begun for a file that isn't there.

        :raises FileUnavailableError: if it can't be read.
        """
        self._first = self._read()

    def next_chunk(self) -> bytes | None:
        """
        Return the next chunk to send; None at the end of the body.

        :raises FileUnavailableError: if the file can't be read, or has changed.
        """
        if self._sent == self.size:
            self.is_complete = True
            self._deadline.expect_response()
            return None
        chunk, self._first = self._first or self._read(), None
        assert chunk is not None, "a file that is too short raises an error"  # noqa: S101 - for the type checker
        # The time that reading the file takes doesn't count.
        self._deadline.expect_progress()
        self._sent += len(chunk)
        self.is_complete = self._sent == self.size
        return chunk

    def __iter__(self) -> Iterator[bytes]:
        while (chunk := self.next_chunk()) is not None:
            yield chunk

    async def iterate(self, on_progress: Callable[[float | None], object]) -> AsyncIterator[bytes]:
        """
        Yield the chunks; files are read on a thread.

        :param on_progress: called with the remaining seconds of the time limit while a chunk is sent, and with None
            while a file is read.
        """
        while self._sent < self.size:
            on_progress(None)
            chunk = await asyncio.to_thread(self.next_chunk)
            on_progress(self._deadline.remaining())
            if chunk is not None:
                yield chunk
        self.next_chunk()
        on_progress(self._deadline.remaining())

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._chunks.close()

    def check_response(self, response: Response) -> None:
        """
        Check that a response is about the whole body.

        :raises TransportError: if the server has accepted a part of the body as if it were all of it.
        """
        if response.ok and not self.is_complete:
            raise TransportError(
                f"{self._request}: the server answered {response.status} after {self._sent} of {self.size} bytes of the"
                " body, so it can't have processed all of them"
            )

    def build_interruption_error(self, error: TransportError) -> TransportError:
        """Return the error of an exchange that was interrupted, which tells how much of the body was sent."""
        if self.is_complete or not error.sent:
            return error
        interrupted = error.with_message(f"{error}; {self._sent} of {self.size} bytes of the body were sent")
        interrupted.sent = False
        return interrupted

    def _read(self) -> bytes | None:
        with self._lock:
            try:
                return next(self._chunks, None)
            except BaseException as error:
                # The library may raise an error of its own instead.
                self.error = error
                raise
