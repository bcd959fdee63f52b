"""Callbacks over real connections: large, slow, and broken off."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn

from airflow_provider_asyncapi.airflow_private.database import Connection
from airflow_provider_asyncapi.plugins import callbacks
from tests.unit.eventually import wait_until
from tests.unit.plugins.receiver.callers import (
    FOR_ALL,
    KEY,
    LIMIT,
    PREFIX,
    REFERENCE,
    SIGNED,
    UNKNOWN,
    URL,
    Database,
    found_or_gone,
)

if TYPE_CHECKING:
    from fastapi import FastAPI

pytestmark = pytest.mark.filterwarnings("ignore:in a future version of UPath:PendingDeprecationWarning")


class Counting:
    """An application that counts the bytes that it is given of bodies."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self.read = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def counting() -> Any:
            message = await receive()
            self.read += len(message.get("body", b""))
            return message

        await self._app(scope, counting, send)


@pytest.fixture
def counting(root: FastAPI) -> Counting:
    return Counting(root)


@pytest.fixture
def access_log(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())
    log = logging.getLogger("uvicorn.access")
    monkeypatch.setattr(log, "handlers", [handler])
    monkeypatch.setattr(log, "propagate", False)
    log.setLevel(logging.INFO)
    return lines


@pytest.fixture
def address(counting: Counting, database: Database, access_log: list[str]) -> Iterator[tuple[str, int]]:
    """Serve as Airflow's API server does."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(counting, log_config=None, lifespan="off", ws="none"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    wait_until(lambda: server.started or not thread.is_alive())
    assert server.started
    yield listening.getsockname()
    server.should_exit = True
    thread.join(10)
    listening.close()


def head(target: str, *fields: str) -> bytes:
    return "\r\n".join([f"POST {target} HTTP/1.1", "Host: airflow", *fields, "", ""]).encode()


def exchange(address: tuple[str, int], *pieces: bytes) -> tuple[bytes, int]:
    """Send until nobody listens any more; give the answer, and how many bytes could be sent."""
    sent = 0
    with socket.create_connection(address, timeout=20) as connection:
        with contextlib.suppress(ConnectionError):
            for piece in pieces:
                connection.sendall(piece)
                sent += len(piece)
        answer = b""
        with contextlib.suppress(ConnectionError):
            while received := connection.recv(65536):
                answer += received
    return answer, sent


HUNDRED_MB = 100 * 1024 * 1024
#: What the server reads before anybody asks for it.
BUFFERED = 256 * 1024
PIECE = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"


@pytest.mark.parametrize("target", [URL, FOR_ALL])
def test_a_body_that_is_declared_too_large_is_refused_unread(
    address: tuple[str, int], counting: Counting, database: Database, connected: Any, target: str
) -> None:
    connected({"signature": {"header": "X-Signature"}, "identifier": "id"}, KEY)
    answer, _ = exchange(address, head(target, f"Content-Length: {HUNDRED_MB}"))
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"connection: close" in answer.lower()
    assert counting.read == 0
    assert database.calls == []


@pytest.mark.parametrize("target", [URL, FOR_ALL])
def test_of_a_body_of_unknown_length_no_more_than_allowed_is_read(
    address: tuple[str, int], counting: Counting, database: Database, connected: Any, target: str
) -> None:
    connected({"signature": {"header": "X-Signature"}, "identifier": "id"}, KEY)
    answer, _ = exchange(address, head(target, "Transfer-Encoding: chunked"), PIECE)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"connection: close" in answer.lower()
    assert counting.read <= LIMIT + BUFFERED
    assert database.calls == []


@pytest.mark.parametrize("target", [URL, FOR_ALL, f"{PREFIX}/{UNKNOWN.text}"])
def test_who_sends_a_hundred_megabytes_is_hung_up_on(address: tuple[str, int], counting: Counting, target: str) -> None:
    pieces = [PIECE] * (HUNDRED_MB // len(PIECE))
    _, sent = exchange(address, head(target, "Transfer-Encoding: chunked"), *pieces)
    # What isn't read stands in the system's buffers.
    assert sent < HUNDRED_MB / 4
    assert counting.read <= LIMIT + BUFFERED


def test_a_call_that_breaks_off_is_refused_and_no_error_of_the_server(
    address: tuple[str, int], database: Database, said: list[str]
) -> None:
    with socket.create_connection(address) as connection:
        connection.sendall(head(URL, "Content-Length: 100") + b"{")
    wait_until(lambda: said)
    assert said == ["Refused a callback: its body is incomplete, or took more than 30 s"]
    assert database.calls == []


def test_a_url_that_was_given_away_is_in_no_access_log(address: tuple[str, int], access_log: list[str]) -> None:
    for request in (
        head(URL, "Content-Length: 2") + b"{}",
        head(URL, f"Content-Length: {HUNDRED_MB}"),
        head(f"{URL}/"),
        head(f"{PREFIX}/..%2f{REFERENCE.text}"),
        head(URL).replace(b"POST", b"GET", 1),
        head(f"{PREFIX}/{UNKNOWN.text}"),
    ):
        exchange(address, request.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1))
    assert len(access_log) == 6
    assert access_log[0].endswith(f'"POST {PREFIX}/hidden HTTP/1.1" 200')
    for line in access_log:
        assert REFERENCE.text not in line
        assert UNKNOWN.text not in line


def test_a_call_that_trickles_in_is_given_up(
    address: tuple[str, int], database: Database, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(callbacks, "_BODY_TIMEOUT", 0.2)
    with socket.create_connection(address) as connection:
        connection.sendall(head(URL, "Content-Length: 100") + b"{")
        assert connection.recv(100).startswith(b"HTTP/1.1 404 ")
    assert said == ["Refused a callback: its body is incomplete, or took more than 0.2 s"]
    assert database.calls == []


@pytest.mark.parametrize("conn_id", ["vendor", "signing", "nobody"])
@pytest.mark.parametrize(
    ("framing", "body", "status"),
    [
        (f"Content-Length: {LIMIT + 1}", b"", 413),
        ("Transfer-Encoding: chunked", b"%x\r\n%s\r\n0\r\n\r\n" % (LIMIT + 1, b"x" * (LIMIT + 1)), 413),
        ("Content-Length: 2", b"{}", 404),
    ],
)
def test_no_answer_tells_which_connections_take_calls(
    address: tuple[str, int],
    counting: Counting,
    connected: Any,
    monkeypatch: pytest.MonkeyPatch,
    conn_id: str,
    framing: str,
    body: bytes,
    status: int,
) -> None:
    connected()
    connected(SIGNED, KEY, name="SIGNING")
    monkeypatch.setattr(Connection, "get_connection_from_secrets", classmethod(found_or_gone))
    answer, _ = exchange(address, head(f"{PREFIX}/connections/{conn_id}", framing) + body)
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    # The body is read alike, whoever it is for.
    assert (counting.read > 0) is (body != b"")
