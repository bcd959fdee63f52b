"""What a server can make a client read beside the body: header fields and trailers have an end."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from airflow_provider_asyncapi.core.http.messages import Request
from tests.loopback import Asked, Server
from tests.unit.transports.driving import AIOHTTP_WAYS, DRIVERS, fetch, make_api

_MANY = b"".join(b"x-%06d: %s\r\n" % (number, b"y" * 1000) for number in range(1000))
#: Blocks of about 1 MB that the server is ready to send.
_BLOCKS = 64


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    try:
        yield server
    finally:
        server.close()


class Flood:
    """Sends header lines until the client hangs up, and counts the blocks that were taken."""

    def __init__(self, begin: bytes) -> None:
        self.begin = begin
        self.blocks = 0

    def __call__(self, connection: socket.socket, _asked: Asked) -> bool:
        connection.sendall(self.begin)
        for _ in range(_BLOCKS):
            connection.sendall(_MANY)
            self.blocks += 1
        connection.sendall(b"\r\n")
        return False


@pytest.mark.parametrize(
    ("driver", "begin"),
    [
        *((driver, b"HTTP/1.1 200 OK\r\n") for driver in DRIVERS),
        # urllib3 throws each trailer away as it comes, so on a worker only the time has to be bounded.
        *(
            (driver, b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n")
            for driver in AIOHTTP_WAYS
        ),
    ],
    ids=[f"headers-{driver}" for driver in DRIVERS] + [f"trailers-{way}" for way in AIOHTTP_WAYS],
)
def test_an_endless_list_of_header_fields_is_cut_off(server: Server, driver: str, begin: bytes) -> None:
    flood = Flood(begin)
    server.respond_with(flood)
    outcome = fetch(driver, make_api(server.url), Request("GET", f"{server.url}/status"))
    assert outcome.error is not None
    assert outcome.failure[0] == "TransportError"
    assert flood.blocks < _BLOCKS / 2
