"""How each driver reads bodies: their limits, their coding, and sinks for downloads."""

from __future__ import annotations

import contextlib
import gzip
from typing import Any

import pytest

from airflow_provider_asyncapi.core.effects import (
    Flow,
    Send,
)
from airflow_provider_asyncapi.core.errors import (
    TransportError,
)
from airflow_provider_asyncapi.core.http.compression import PIECE
from airflow_provider_asyncapi.core.http.downloads import Download
from airflow_provider_asyncapi.core.http.messages import Request, Response
from tests.loopback import chunked, raw, reply
from tests.unit.fake_files import MemoryDraft
from tests.unit.transports.driving import fetch, make_api, run, run_all, sending
from tests.unit.transports.flows import FullDisk, Memory


def test_the_limit_counts_what_was_unpacked(driver, serve):
    packed = gzip.compress(b"x" * 2000)
    server = serve(reply(packed, content_encoding="gzip"), reply(packed, content_encoding="gzip"))
    request = Request("GET", f"{server.url}/x")
    at, above = run_all(driver, make_api(server.url), [sending(request, limit=2000), sending(request, limit=1999)])
    assert len(at.result.body) == 2000
    assert above.failure[0] == "BodyTooLargeError"
    assert "more than 1999 bytes" in above.failure[1]


@pytest.mark.parametrize(
    ("head", "nothing"),
    [(b"", gzip.compress(b"") * 3000), (gzip.compress(b"")[:10], b"\x00\x00\x00\xff\xff" * 12_000)],
)
def test_a_coded_body_that_never_holds_anything_is_not_read_on(driver, serve, head, nothing):
    sent = 0

    def endless(connection: Any, _asked: Any) -> bool:
        nonlocal sent
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n" + head)
        with contextlib.suppress(OSError):
            for _ in range(1000):
                connection.sendall(nothing)
                sent += len(nothing)
        return False

    server = serve(endless)
    outcome = fetch(driver, make_api(server.url), Request("GET", f"{server.url}/x"), limit=1000)
    assert outcome.failure[0] == "BodyTooLargeError"
    assert "more than 1000 bytes" in outcome.failure[1]
    assert sent < 20_000_000, "what the machine buffers, and no more"


def test_a_sink_gets_the_body_of_a_good_answer_as_it_came(driver, serve):
    packed = gzip.compress(bytes(range(256)) * 20_000)
    server = serve(reply(packed, content_encoding="gzip"))
    sink = Memory()
    outcome = fetch(driver, make_api(server.url), Request("GET", f"{server.url}/x"), sink=sink, limit=10)
    assert sink.content == packed
    assert (outcome.result.body, outcome.result.streamed_bytes) == (b"", len(packed))
    assert (sink.begun, sink.ended) == ([200], 1)


def test_a_download_gets_a_bomb_in_small_pieces(driver, serve):
    server = serve(chunked(gzip.compress(bytes(60_000_000)), content_encoding="gzip"))
    sizes: list[int] = []

    class Sized(MemoryDraft):
        def write(self, data: bytes) -> None:
            sizes.append(len(data))

    fetch(driver, make_api(server.url), Request("GET", f"{server.url}/x"), sink=Download(Sized()))
    assert sum(sizes) == 60_000_000
    assert max(sizes) <= PIECE


def test_a_sink_does_not_get_an_error_page(driver, serve):
    server = serve(reply(b"no", 503))
    sink = Memory()
    outcome = fetch(driver, make_api(server.url), Request("GET", f"{server.url}/x"), sink=sink)
    assert (outcome.result.body, sink.content, sink.begun) == (b"no", b"", [])


def test_a_sink_is_told_when_another_answer_begins(driver, serve):
    server = serve(raw(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc"), reply(b"defghi", 206))
    sink = Memory()
    request = Request("GET", f"{server.url}/x")

    def twice() -> Flow[Response]:
        try:
            yield Send(request, sink)
        except TransportError:
            assert (sink.content, sink.ended) == (b"abc", 0)
        response: Response = yield Send(request, sink)
        return response

    assert run(driver, make_api(server.url), twice()).result.streamed_bytes == 6
    assert (sink.content, sink.begun, sink.ended) == (b"abcdefghi", [200, 206], 1)


def test_what_goes_wrong_in_a_sink_is_no_fault_of_the_connection(driver, serve):
    server = serve(reply(b"abc"))
    with pytest.raises(OSError, match="No space left"):
        fetch(driver, make_api(server.url), Request("GET", f"{server.url}/x"), sink=FullDisk())
