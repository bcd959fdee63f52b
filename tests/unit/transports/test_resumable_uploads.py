"""Uploads to a server that breaks the connection in the middle, through each driver: it receives each byte once."""

from __future__ import annotations

import contextlib
import dataclasses
import re
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_asyncapi.connections.source_files import inspect_file
from airflow_provider_asyncapi.core.requests.request_step import RequestStep
from airflow_provider_asyncapi.core.requests.response_policy import REPEATABLE
from airflow_provider_asyncapi.core.requests.schedule import PollSchedule
from airflow_provider_asyncapi.core.requests.step_flow import send_step
from tests.loopback import reset
from tests.unit.transports.driving import make_api, run

CONTENT = bytes(range(251)) * 8_000
TUS: dict[str, Any] = {
    "method": "PATCH",
    "headers": {"Upload-Offset": "{body_start}"},
    "body": {"resume": {"offset": "header:Upload-Offset"}},
}
GOOGLE: dict[str, Any] = {
    "method": "PUT",
    "headers": {"Content-Range": "bytes {body_start}-{body_last}/{file_size}"},
    "body": {
        "resume": {"method": "PUT", "headers": {"Content-Range": "bytes */{file_size}"}, "received": "header:Range"}
    },
}


class UploadServer:
    """
    Keeps what it has received of a file when a connection breaks.

    :param breaks: the number of received bytes after which it breaks the connection, in order.
    :ivar received: the file.
    :ivar body_bytes: number of bytes in the bodies of all requests.
    """

    def __init__(self, *breaks: int) -> None:
        self._breaks = list(breaks)
        self.received = bytearray()
        self.body_bytes = 0
        self.methods: list[str] = []
        self._connections: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)

    def _serve(self) -> None:
        with ThreadPoolExecutor() as threads:
            while True:
                try:
                    connection, _ = self._listener.accept()
                except OSError:
                    return
                self._connections.append(connection)
                threads.submit(self._serve_connection, connection)

    def _serve_connection(self, connection: socket.socket) -> None:
        # Clients keep connections open, and might use them for the next piece.
        with connection, connection.makefile("rb") as stream:
            while (line := stream.readline()) and self._answer(line.decode(), connection, stream):
                pass

    def _answer(self, line: str, connection: socket.socket, stream: Any) -> bool:
        """Answer one request; return whether the connection is still open."""
        method = line.split(maxsplit=1)[0]
        self.methods.append(method)
        head = b"".join(iter(stream.readline, b"\r\n")).decode()
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head.split("\n"))}
        left = int(headers.get("content-length", 0))
        start = re.search(r"\d+", headers.get("upload-offset") or headers.get("content-range", ""))
        if left and (start is None or int(start[0]) != len(self.received)):
            connection.sendall(b"HTTP/1.1 409 Out of step\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            return False
        while left:
            limit = self._breaks[0] - len(self.received) if self._breaks else left
            chunk = stream.read(min(left, limit, 65536))
            self.received += chunk
            self.body_bytes += len(chunk)
            left -= len(chunk)
            if self._breaks and len(self.received) >= self._breaks[0]:
                self._breaks.pop(0)
                return reset(connection)
        is_complete = len(self.received) == len(CONTENT)
        if method == "PUT":
            status = "200 Done" if is_complete else "308 Resume Incomplete"
            stated = f"Range: bytes=0-{len(self.received) - 1}\r\n" if self.received and not is_complete else ""
        else:
            status, stated = "204 Kept", f"Upload-Offset: {len(self.received)}\r\n"
        connection.sendall(f"HTTP/1.1 {status}\r\n{stated}Content-Length: 0\r\n\r\n".encode())
        return True


@pytest.fixture
def serve_uploads() -> Iterator[Callable[..., UploadServer]]:
    servers: list[UploadServer] = []

    def start(*breaks: int) -> UploadServer:
        servers.append(UploadServer(*breaks))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def upload(driver: str, server: UploadServer, described: dict[str, Any], path: Path, **resume: Any) -> Any:
    body = {"path": str(path), "resume": {**described["body"]["resume"], **resume}}
    step = RequestStep.parse({**described, "endpoint": f"{server.url}/up", "body": body}, "prepare", sends_files=True)
    api = dataclasses.replace(make_api(server.url), inspect_file=inspect_file)
    schedule = PollSchedule.parse_retries({"max_consecutive_errors": 3})
    return run(driver, api, send_step(api, step, api.merge_variables({}), schedule, REPEATABLE))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "large"
    path.write_bytes(CONTENT)
    return path


@pytest.mark.parametrize("described", [TUS, GOOGLE], ids=["tus", "Google"])
def test_no_byte_that_has_arrived_is_sent_again(driver, serve_uploads, file, described):
    server = serve_uploads(200_000, 1_000_000, 1_000_001)
    outcome = upload(driver, server, described, file)
    assert outcome.error is None
    assert bytes(server.received) == CONTENT
    assert server.body_bytes == len(CONTENT)
    # Each transfer begins with the question how much has arrived.
    assert len(server.methods) == 8
    # Whether the client notices a break while it sends, or only when it waits for the response, is a matter of time.
    assert outcome.log_text.count("trying again") == 3


def test_a_file_is_sent_in_pieces(driver, serve_uploads, file):
    server = serve_uploads(1_000_000)
    outcome = upload(driver, server, TUS, file, chunk_bytes=800_000)
    assert outcome.error is None
    assert bytes(server.received) == CONTENT
    assert server.methods == ["HEAD", "PATCH", "PATCH", "HEAD", "PATCH", "PATCH"]
    assert server.body_bytes == len(CONTENT)
