"""Build a response from its head and the chunks of its body, alike for all HTTP libraries."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

from airflow_provider_asyncapi.core.effects import Send
from airflow_provider_asyncapi.core.errors import BodyTooLargeError, TransportError, UnsafeContentError
from airflow_provider_asyncapi.core.http.compression import CODINGS, Inflater, make_inflater
from airflow_provider_asyncapi.core.http.messages import Headers, Response, max_json_values
from airflow_provider_asyncapi.transports.exchange_deadline import ExchangeDeadline

#: Largest chunk of a body that is read at a time, in bytes.
CHUNK = 256 * 1024
#: Longest line of a response's head. aiohttp's own limit of 8190 is too short for the Location of some signed URLs.
LONGEST_LINE = 65536
#: Bytes by which an encoded body may exceed the limit of the decoded one, for its head and trailer.
_CODING_OVERHEAD = 64 * 1024

#: Status codes of interim responses (RFC 9110, section 15.2); 101 isn't among them, since no request asks for it.
INTERIM = frozenset(range(100, 200)) - {101}


class Receiver:
    """
    Builds a response from its chunks.

    :param send: the effect.
    :param status: the status code.
    :param fields: the header fields as bytes.
    :param deadline: the time limit of the exchange.
    """

    def __init__(
        self,
        send: Send,
        status: int,
        fields: Iterable[tuple[bytes, bytes]],
        deadline: ExchangeDeadline,
    ) -> None:
        headers = Headers((_decode_header(name), _decode_header(value)) for name, value in fields)
        self._deadline = deadline
        self._response = Response(status, headers, url=send.request.url, answered_at=deadline.record_data())
        self._send = send
        self._sink = send.sink if self._response.ok else None
        # One chunk in most responses, which isn't copied.
        self._pieces: list[bytes] = []
        self._size = self._received = 0
        coding = self._response.content_coding
        if coding and coding not in CODINGS and self._response.ok:
            raise UnsafeContentError(
                f"{send.request} answered {status} with the content coding {coding!r}, which wasn't asked for and can't"
                " be undone: ask for none, with headers={'Accept-Encoding': 'identity'}"
            )
        self._inflater = make_inflater(coding)
        if self._sink is not None:
            self._sink.begin(self._response)
            deadline.expect_data()

    @property
    def is_streamed(self) -> bool:
        """Whether the body goes to a sink."""
        return self._sink is not None

    def feed(self, chunk: bytes) -> None:
        """
        Process the next chunk.

        :raises BodyTooLargeError: if the body is larger than allowed.
        :raises TransportError: if its content coding is broken, or it takes too long.
        """
        if self._sink is not None:
            self._sink.write(chunk)
            self._response.streamed_bytes += len(chunk)
            # The time that the sink takes doesn't count.
            self._deadline.expect_data()
            return
        self._deadline.check()
        self._received += len(chunk)
        # A body that decodes to little or nothing could go on for ever.
        if self._received > self._send.limit + _CODING_OVERHEAD:
            raise self._build_size_error()
        for piece in (chunk,) if self._inflater is None else self._decode(self._inflater, chunk):
            self._pieces.append(piece)
            self._size += len(piece)
            if self._size > self._send.limit:
                raise self._build_size_error()

    def finish(self) -> Response:
        """
        Return the response, whose body is complete.

        :raises TransportError: if its content coding ends too early.
        """
        if self._sink is not None:
            self._sink.finish()
        elif self._inflater is not None and self._inflater.is_open:
            raise self._build_coding_error("ends too early")
        self._response.body = b"".join(self._pieces)
        self._response.max_values = max_json_values(self._send.limit)
        return self._response

    def _decode(self, inflater: Inflater, chunk: bytes) -> Iterator[bytes]:
        try:
            yield from inflater.feed(chunk)
        except zlib.error as error:
            raise self._build_coding_error(f"is broken ({error})") from error

    def _build_size_error(self) -> BodyTooLargeError:
        error = BodyTooLargeError(
            f"{self._send.request} answered {self._response.status} with a body of more than {self._send.limit} bytes,"
            " which isn't read"
        )
        error.head = self._response
        return error

    def _build_coding_error(self, how: str) -> TransportError:
        coding = self._response.content_coding
        return TransportError(f"{self._send.request} answered {self._response.status}, but its {coding} coding {how}")


def _decode_header(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")
