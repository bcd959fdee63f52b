"""Bodies that contain files, through each driver."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import socket
import threading
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_asyncapi.connections.source_files import inspect_file
from airflow_provider_asyncapi.core.http.file_bodies import CHUNK, FileBody, OpenedFile, SourceFile
from airflow_provider_asyncapi.core.http.messages import Request
from airflow_provider_asyncapi.core.requests.exchange import send
from tests.loopback import hang_up, reply, reset
from tests.unit.transports.driving import fetch, make_api, run, run_all, sending

CONTENT = bytes(range(256)) * (3 * CHUNK // 256) + b"end"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "orders.csv"
    path.write_bytes(CONTENT)
    return path


def upload_of(server: Any, *parts: Any, **given: Any) -> Request:
    return Request("POST", f"{server.url}/files", body=FileBody(parts), **given)


class FailingFile:
    """
    Changes, ends early or can't be read on after its first chunk.

    :param on_read: called before each chunk after the first one.
    """

    def __init__(self, opened: OpenedFile, on_read: Callable[[], object]) -> None:
        self._opened, self._on_read, self._reads = opened, on_read, 0

    def read(self, size: int) -> bytes:
        self._reads += 1
        if self._reads > 1:
            self._on_read()
        return self._opened.read(size)

    def seek(self, position: int) -> None:
        self._opened.seek(position)

    def find_version(self) -> tuple[int, str]:
        return self._opened.find_version()

    def close(self) -> None:
        self._opened.close()


def failing(source: SourceFile, on_read: Callable[[], object]) -> SourceFile:
    return dataclasses.replace(source, open=lambda: FailingFile(source.open(), on_read))


def test_a_file_arrives_unchanged_with_its_length(driver, serve, file):
    server = serve(reply(b"ok"))
    request = upload_of(server, b"head ", inspect_file(str(file)), b" tail", headers=(("Content-Type", "text/csv"),))
    assert fetch(driver, make_api(server.url), request).result.body == b"ok"
    (asked,) = server.asked
    assert asked.body == b"head " + CONTENT + b" tail"
    assert asked.headers["content-length"] == str(len(CONTENT) + 10)
    assert "transfer-encoding" not in asked.headers
    assert asked.headers["content-type"] == "text/csv"


def test_an_empty_file_is_an_empty_body(driver, serve, tmp_path):
    (tmp_path / "empty").touch()
    server = serve(reply(b"ok"))
    fetch(driver, make_api(server.url), upload_of(server, inspect_file(str(tmp_path / "empty"))))
    assert (server.asked[0].body, server.asked[0].headers["content-length"]) == (b"", "0")
    assert "transfer-encoding" not in server.asked[0].headers


def test_requests_after_an_upload_get_their_own_responses(driver, serve, file):
    server = serve(*[reply(content) for content in (b"1", b"2", b"3", b"4")])
    request = upload_of(server, inspect_file(str(file)))
    flows = [sending(each) for each in (request, request, Request("GET", f"{server.url}/x"), request)]
    outcomes = run_all(driver, make_api(server.url), flows)
    assert [each.result.body for each in outcomes] == [b"1", b"2", b"3", b"4"]
    assert [asked.body for asked in server.asked] == [CONTENT, CONTENT, b"", CONTENT]


@pytest.mark.parametrize("status", [307, 308])
def test_a_redirect_sends_the_file_again(driver, serve, file, status):
    server = serve(reply(status=status, location="/other"), reply(b"ok"))
    outcome = run(driver, make_api(server.url), send(make_api(server.url), upload_of(server, inspect_file(str(file)))))
    assert outcome.result.status == 200
    assert [(asked.target, asked.body) for asked in server.asked] == [("/files", CONTENT), ("/other", CONTENT)]


def test_a_file_is_sent_again_after_a_renewed_login(driver, serve, file):
    server = serve(reply({"token": "a"}), reply(status=401), reply({"token": "b"}), reply(b"ok"))
    fields: dict[str, Any] = {"auth": "login", "login_request": {"endpoint": "/login"}, "login_selector": "token"}
    api = make_api(server.url, **fields, login_cache="process")
    outcome = run(driver, api, send(api, upload_of(server, inspect_file(str(file)))))
    assert outcome.result.status == 200
    assert [asked.body for asked in server.asked if asked.target == "/files"] == [CONTENT, CONTENT]


def test_a_file_is_sent_again_if_the_server_has_closed_the_idle_connection(driver, serve, file):
    server = serve(reply(b"1"), hang_up, reply(b"2"))
    request = upload_of(server, inspect_file(str(file)))
    first, second = run_all(driver, make_api(server.url), [sending(request), sending(request)])
    assert (first.result.body, second.result.body) == (b"1", b"2")
    assert server.asked[-1].body == CONTENT


def change_size(file: Path) -> None:
    file.write_bytes(CONTENT + b"more")


def change_time(file: Path) -> None:
    os.utime(file, ns=(0, 0))


def truncate(file: Path) -> None:
    os.truncate(file, CHUNK)


@pytest.mark.parametrize("change", [change_size, change_time, truncate])
def test_a_file_that_changes_while_it_is_sent_never_arrives_completely(driver, serve, file, change):
    server = serve(reply(b"ok"))
    source = failing(inspect_file(str(file)), lambda: change(file))
    outcome = fetch(driver, make_api(server.url), upload_of(server, source))
    kind, message, _ = outcome.failure
    assert kind == "FileChangedError"
    assert "orders.csv" in message
    server.close()
    assert all(len(asked.body) < len(CONTENT) for asked in server.asked)


def test_a_file_that_has_changed_before_it_is_sent_costs_no_request(driver, serve, file):
    server = serve()
    request = upload_of(server, inspect_file(str(file)))
    change_size(file)
    kind, message, _ = fetch(driver, make_api(server.url), request).failure
    assert kind == "FileChangedError"
    assert f"has changed from {len(CONTENT)} to {len(CONTENT) + 4} bytes" in message
    assert server.connections == 0


def test_a_file_that_is_gone_costs_no_request(driver, serve, file):
    server = serve()
    request = upload_of(server, inspect_file(str(file)))
    file.unlink()
    kind, message, _ = fetch(driver, make_api(server.url), request).failure
    assert (kind, message) == ("FileUnavailableError", f"the file {str(file)!r} isn't there")
    assert server.connections == 0


def test_a_file_that_cant_be_read_to_its_end_ends_the_request(driver, serve, file):
    def fail() -> None:
        raise KeyError("a fault of the file system")

    server = serve(reply(b"ok"))
    with pytest.raises(KeyError, match="a fault of the file system"):
        fetch(driver, make_api(server.url), upload_of(server, failing(inspect_file(str(file)), fail)))


def answer_early(status: int, content: bytes = b"") -> Callable[..., Any]:
    """Answer after the head of a request, and close the connection."""

    def serve_one(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            received = b""
            while b"\r\n\r\n" not in received:
                received += connection.recv(1024)
            head = f"HTTP/1.1 {status} Early\r\nContent-Length: {len(content)}\r\nConnection: close\r\n\r\n"
            connection.sendall(head.encode() + content)
            connection.shutdown(socket.SHUT_WR)
            # Without reading what comes, closing would reset the connection, and the client might lose the response.
            while connection.recv(1024 * 1024):
                pass

    return serve_one


@pytest.fixture
def early(request: pytest.FixtureRequest) -> Any:
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=answer_early(request.param), args=(listener,), daemon=True)
    thread.start()

    class Address:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"

    yield Address
    listener.close()
    thread.join(10)


@pytest.fixture
def large_file(tmp_path: Path) -> Path:
    """Return a file that no buffers hold, and that takes no space."""
    path = tmp_path / "large"
    with path.open("wb") as opened:
        opened.truncate(64 * 1024 * 1024)
    return path


@pytest.mark.parametrize("early", [413], indirect=True)
def test_a_refusal_that_comes_before_the_end_of_the_upload_is_the_response(way, early, large_file):
    request = upload_of(early, inspect_file(str(large_file)))
    assert fetch(way, make_api(early.url), request).result.status == 413


@pytest.mark.parametrize("early", [200], indirect=True)
def test_a_success_that_comes_before_the_end_of_the_upload_is_neither_taken_nor_repeated(way, early, large_file):
    kind, message, sent = fetch(way, make_api(early.url), upload_of(early, inspect_file(str(large_file)))).failure
    assert (kind, sent) == ("TransportError", True)
    assert f"of {64 * 1024 * 1024} bytes of the body" in message


def test_an_interrupted_upload_counts_as_not_sent(driver, large_file):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        def cut() -> None:
            connection, _ = listener.accept()
            connection.recv(1000)
            reset(connection)
            connection.close()

        thread = threading.Thread(target=cut, daemon=True)
        thread.start()
        request = Request("POST", f"http://127.0.0.1:{port}/x", body=FileBody((inspect_file(str(large_file)),)))
        kind, message, sent = fetch(driver, make_api("http://x"), request, is_repeatable=False).failure
        thread.join(10)
    assert (kind, sent) == ("TransportError", False)
    assert f"of {64 * 1024 * 1024} bytes of the body were sent" in message


def test_a_lost_response_to_a_whole_upload_counts_as_sent(driver, serve, file):
    server = serve(hang_up)
    request = upload_of(server, inspect_file(str(file)))
    kind, _, sent = fetch(driver, make_api(server.url), request, is_repeatable=False).failure
    assert (kind, sent) == ("TransportError", True)


def test_each_chunk_that_the_server_accepts_extends_the_time_limit(driver, serve, file):
    server = serve(reply(b"ok"))
    now = [0.0]

    def pass_time() -> None:
        # Less than the 5 s of the read timeout for each chunk, and more than the 50 s of an exchange for all.
        now[0] += 4.9

    source = failing(inspect_file(str(file)), pass_time)
    parts = [source] * 6
    outcome = run(driver, make_api(server.url), sending(upload_of(server, *parts)), steady=lambda: now[0])
    assert outcome.result.status == 200
    assert now[0] > 50


def test_a_server_that_accepts_no_data_ends_the_upload(driver, large_file):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        request = Request("POST", f"{url}/x", body=FileBody((inspect_file(str(large_file)),)))
        kind, message, sent = fetch(driver, make_api(url, read_timeout=0.2), request).failure
    assert (kind, sent) == ("TransportError", False)
    assert "bytes of the body were sent" in message


def test_the_memory_for_an_upload_doesnt_depend_on_its_size(driver, tmp_path):
    size = 256 * 1024 * 1024
    path = tmp_path / "large"
    with path.open("wb") as opened:
        opened.truncate(size)
    received = hashlib.sha256()

    def count(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            head = b""
            while b"\r\n\r\n" not in head:
                head += connection.recv(1)
            buffer, left = bytearray(1024 * 1024), size
            while left and (number := connection.recv_into(buffer)):
                left -= number
                received.update(memoryview(buffer)[:number])
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=count, args=(listener,), daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        request = Request("POST", f"{url}/x", body=FileBody((inspect_file(str(path)),)))
        tracemalloc.start()
        try:
            outcome = fetch(driver, make_api(url), request)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        thread.join(10)
    assert outcome.result.status == 200
    assert received.hexdigest() == hashlib.sha256(bytes(size)).hexdigest()
    assert peak < 16 * 1024 * 1024
