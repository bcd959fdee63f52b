"""The door that callbacks come in by: what may be in, what is turned away, and what that costs and tells."""

from __future__ import annotations

import contextlib
import hmac
import json
import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from importlib.metadata import entry_points
from types import SimpleNamespace
from typing import Any

import pytest
import uvicorn
from airflow.providers.common.compat.sdk import AirflowNotFoundException
from fastapi import FastAPI
from fastapi.testclient import TestClient

from airflow_provider_asyncapi.airflow_private.database import Connection
from airflow_provider_asyncapi.core.callbacks.calls import PATH, CallbackReference, ReceivedCallback
from airflow_provider_asyncapi.core.errors import ForgedCallbackError
from airflow_provider_asyncapi.core.submit.submission import Submission
from airflow_provider_asyncapi.plugins import callbacks, connections, receipts, stored_callbacks
from airflow_provider_asyncapi.plugins.app import make_app
from airflow_provider_asyncapi.plugins.stored_callbacks import SubmittedJob, TooManyCallbacksError
from tests.unit.eventually import wait_until

pytestmark = pytest.mark.filterwarnings("ignore:in a future version of UPath:PendingDeprecationWarning")

LIMIT = 50_000
KEY = "callback-key"
REFERENCE = CallbackReference.make(uuid.UUID(int=7), bytes(range(32)))
UNKNOWN = CallbackReference.make(uuid.UUID(int=8), bytes(32))
PREFIX = "/asyncapi/callbacks"
URL = f"{PREFIX}/{REFERENCE.text}"
FOR_ALL = f"{PREFIX}/connections/vendor"
#: What a refusal looks like, whatever was wrong.
REFUSED = (
    404,
    {"detail": "Not Found"},
    {"connection": "close", "content-length": "22", "content-type": "application/json"},
)


class Database:
    """Be what Airflow's database knows: one job, and what has been called back about it."""

    def __init__(self) -> None:
        self.calls: list[ReceivedCallback] = []
        self.resumed = 0
        self.job = SubmittedJob({"dag_id": "d"}, Submission("key", callbacks=(REFERENCE.digest,), connection="vendor"))

    def find_job(self, reference: CallbackReference) -> SubmittedJob:
        if reference != REFERENCE:
            raise ForgedCallbackError("there is no such task instance")
        return self.job

    def added(self, _session: object, job: SubmittedJob, call: ReceivedCallback) -> int:
        assert job is self.job
        if len(self.calls) >= 3:
            raise TooManyCallbacksError("the job has called back 3 times")
        self.calls.append(call)
        return len(self.calls)

    def resume(self, *_: object) -> bool:
        self.resumed += 1
        return True

    def execute(self, _statement: object) -> Any:
        """Find the job by its identifier: the database knows one only."""
        return SimpleNamespace(mappings=lambda: SimpleNamespace(first=lambda: {"dag_id": "d"}))


@pytest.fixture
def connected(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let the connection say so and so of callbacks."""

    def say(callback: Any = None, secret: Any = None, name: str = "VENDOR") -> None:
        extra = {"callback": callback, "callback_secret": secret}
        stored = {"conn_type": "asyncapi", "host": "https://api.example.com", "extra": extra}
        monkeypatch.setenv(f"AIRFLOW_CONN_{name}", json.dumps(stored))

    say()
    return say


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch, connected: Any) -> Database:
    database = Database()
    monkeypatch.setenv("AIRFLOW__ASYNCAPI__CALLBACK_MAX_BYTES", str(LIMIT))
    monkeypatch.setattr(receipts, "callback_connections", connections.CallbackConnections())
    monkeypatch.setattr(receipts, "create_session", lambda: contextlib.nullcontext(database))
    monkeypatch.setattr(receipts, "find_job", database.find_job)
    monkeypatch.setattr(stored_callbacks, "load_job", lambda _session, _task: database.job)
    monkeypatch.setattr(stored_callbacks, "add_callback", database.added)
    monkeypatch.setattr(stored_callbacks, "resume_tasks", database.resume)
    return database


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collect what is logged of refusals, each of them."""
    lines: list[str] = []
    log = SimpleNamespace(warning=lambda text, *values: lines.append(text % values))
    monkeypatch.setattr(callbacks, "log", log)
    monkeypatch.setattr(callbacks, "refusal_log", callbacks.RefusalLog(iter(range(0, 10**6, 100)).__next__))
    return lines


@pytest.fixture
def root() -> FastAPI:
    """Mount the application as Airflow does."""
    app = FastAPI()
    app.mount("/asyncapi", make_app())
    return app


@pytest.fixture
def client(root: FastAPI, database: Database) -> Iterator[TestClient]:
    with TestClient(root, follow_redirects=False) as client:
        yield client


def signed(body: bytes, key: str = KEY) -> dict[str, str]:
    return {"X-Signature": hmac.digest(key.encode(), body, "sha256").hex(), "Content-Type": "application/json"}


def told(answer: Any) -> tuple[int, Any, dict[str, str]]:
    return answer.status_code, answer.json(), dict(answer.headers)


def test_airflow_finds_the_receiver_where_the_urls_that_are_given_away_lead() -> None:
    (point,) = (each for each in entry_points(group="airflow.plugins") if each.name == "asyncapi")
    (app,) = point.load()().fastapi_apps
    assert app["url_prefix"] + callbacks.router.prefix == PATH == PREFIX
    assert {f"{callbacks.router.prefix}/{{reference}}"} <= set(app["app"].openapi()["paths"])


# What is taken


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b'{"state": "done"}'),
        ("application/vnd.api+json; charset=utf-8", b"[]"),
        ("application/xml", b"<job/>"),
        ("application/x-www-form-urlencoded", b"state=done"),
        ("application/octet-stream", b"\x00\xff"),
        ("", b""),
    ],
)
def test_a_callback_is_answered_at_once_and_kept_as_it_came(
    client: TestClient, database: Database, said: list[str], content_type: str, body: bytes
) -> None:
    began = time.time()
    answer = client.post(URL, content=body, headers={"Content-Type": content_type})
    assert (answer.status_code, answer.json()) == (200, {})
    (call,) = database.calls
    assert (call.content_type, call.body, call.path) == (content_type, body, None)
    assert began <= call.received_at <= time.time()
    assert database.resumed == 1
    assert said == []


def test_a_body_of_just_the_limit_is_taken(client: TestClient, database: Database) -> None:
    assert client.post(URL, content=b"x" * LIMIT).status_code == 200
    assert client.post(URL, content=iter([b"x"] * 10)).status_code == 200
    assert [len(call.body) for call in database.calls] == [LIMIT, 10]


def test_one_url_for_all_jobs_takes_what_is_signed_and_names_its_job(
    client: TestClient, database: Database, connected: Any
) -> None:
    connected({"signature": {"header": "X-Signature"}, "identifier": "id"}, KEY)
    body = b'{"id": 7}'
    assert client.post(FOR_ALL, content=body, headers=signed(body)).status_code == 200
    assert [call.body for call in database.calls] == [body]


def test_one_key_is_replaced_by_the_next_without_a_gap(
    client: TestClient, database: Database, connected: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    described = {"signature": {"header": "X-Signature"}}
    connected(described, ["old", "new"])
    assert client.post(URL, content=b"{}", headers=signed(b"{}", "old")).status_code == 200
    assert client.post(URL, content=b"[]", headers=signed(b"[]", "new")).status_code == 200
    # What is known of a connection is looked up again where a signature doesn't fit.
    connected(described, "next")
    monkeypatch.setattr(connections, "_FRESH", -1.0)
    assert client.post(URL, content=b"1", headers=signed(b"1", "next")).status_code == 200
    assert client.post(URL, content=b"2", headers=signed(b"2", "old")).status_code == 404


# What isn't

SIGNED = {"signature": {"header": "X-Signature"}, "identifier": "id"}
TIMED = {
    "signature": {
        "header": "X-Signature",
        "signed": "{header:X-Time}.{body}",
        "timestamp": "X-Time",
    }
}
ENTITIES = b'<!DOCTYPE a [<!ENTITY b "planted-words">]><a>&b;</a>'
BOMB = (
    b'<!DOCTYPE a [<!ENTITY l0 "planted-words">'
    + b"".join(b'<!ENTITY l%d "%s">' % (n, b"&l%d;" % (n - 1) * 10) for n in range(1, 10))
    + b"]><a>&l9;</a>"
)
OUTSIDE = b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>'


@pytest.mark.parametrize("text", [UNKNOWN.text, REFERENCE.text[:-1] + "A", REFERENCE.text.swapcase()])
def test_a_url_that_was_not_given_away_is_refused_before_the_body_is_read(
    client: TestClient, database: Database, said: list[str], text: str
) -> None:
    # The size is refused too, as soon as it is looked at.
    assert told(client.post(f"{PREFIX}/{text}", content=b"x" * (LIMIT + 1))) == REFUSED
    assert database.calls == []
    assert len(said) == 1


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b'{"planted-words"'),
        ("application/json", b"<html>planted-words"),
        ("application/json", b""),
        ("application/json", b"[" * 40_000),
        ("application/json", b"1" * 5000),
        ("application/json; charset=klingon", b'"\xff"'),
        ("application/problem+json", b"planted-words"),
        ("text/xml", b"<planted-words>"),
        ("text/xml", b"<a></planted-words>"),
        ("application/xml", ENTITIES),
        ("application/xml", BOMB),
        ("application/soap+xml", OUTSIDE),
        ("application/xml; charset=x", b""),
        ("application/x-www-form-urlencoded", b"planted-words=1&" * 1001),
        ("application/x-www-form-urlencoded; charset=planted-words", b"a"),
    ],
)
def test_a_body_that_is_not_what_it_says_changes_nothing_and_is_not_shown(
    client: TestClient, database: Database, said: list[str], content_type: str, body: bytes
) -> None:
    began = time.monotonic()
    assert told(client.post(URL, content=body, headers={"Content-Type": content_type})) == REFUSED
    assert time.monotonic() - began < 5
    assert (database.calls, database.resumed) == ([], 0)
    assert said == ["Refused a callback: its body isn't what its content type says"]


@pytest.mark.parametrize(
    ("described", "url", "headers", "body"),
    [
        (SIGNED, URL, {}, b"{}"),
        (SIGNED, URL, {"X-Signature": ""}, b"{}"),
        (SIGNED, URL, signed(b"{} "), b"{}"),
        (SIGNED, URL, signed(b"{}", "another key"), b"{}"),
        (SIGNED, URL, {"X-Signature": "é" * 64}, b"{}"),
        (TIMED, URL, {"X-Signature": signed(b"1000.{}")["X-Signature"], "X-Time": "1000"}, b"{}"),
        # What only the connection's own URL takes has to be signed, too, and names a job.
        (SIGNED, FOR_ALL, {}, b'{"id": 7}'),
        (SIGNED, FOR_ALL, signed(b"{}"), b"{}"),
        (SIGNED, FOR_ALL, signed(b'{"id": "planted\\nwords"}'), b'{"id": "planted\\nwords"}'),
        (SIGNED, FOR_ALL, signed(b"{"), b"{"),
        ({"signature": {"header": "X-Signature"}}, FOR_ALL, signed(b'{"id": 7}'), b'{"id": 7}'),
        (SIGNED, f"{PREFIX}/connections/nobody", signed(b'{"id": 7}'), b'{"id": 7}'),
        # Names that lead elsewhere.
        (SIGNED, f"{PREFIX}/connections/%2e%2e", signed(b'{"id": 7}'), b'{"id": 7}'),
        (SIGNED, f"{PREFIX}/connections/..%2fvendor", signed(b'{"id": 7}'), b'{"id": 7}'),
        (SIGNED, f"{PREFIX}/connections/..%5cvendor", signed(b'{"id": 7}'), b'{"id": 7}'),
        (SIGNED, f"{PREFIX}/connections/vendor%00", signed(b'{"id": 7}'), b'{"id": 7}'),
        (SIGNED, f"{PREFIX}/connections/%C3%BC", signed(b'{"id": 7}'), b'{"id": 7}'),
        (SIGNED, f"{PREFIX}/connections/{'v' * 251}", signed(b'{"id": 7}'), b'{"id": 7}'),
    ],
)
def test_what_is_not_genuine_gets_the_same_answer_and_changes_nothing(
    client: TestClient,
    database: Database,
    connected: Any,
    said: list[str],
    described: Any,
    url: str,
    headers: Any,
    body: bytes,
) -> None:
    connected(described, KEY)
    fields = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    assert told(client.post(url, content=body, headers=fields)) == REFUSED
    assert (database.calls, database.resumed) == ([], 0)
    (line,) = said
    assert "planted" not in line


def test_a_signature_that_is_given_twice_is_none(client: TestClient, database: Database, connected: Any) -> None:
    connected(SIGNED, KEY)
    field = ("X-Signature", signed(b"{}")["X-Signature"])
    assert client.post(URL, content=b"{}", headers=[field]).status_code == 200
    assert told(client.post(URL, content=b"{}", headers=[field, field])) == REFUSED
    assert told(client.post(URL, content=b"{}", headers=[("X-Signature", "0" * 64), field])) == REFUSED


def test_an_unsigned_connection_takes_no_calls_for_all_jobs(client: TestClient, database: Database) -> None:
    assert told(client.post(FOR_ALL, content=b'{"id": 7}')) == REFUSED
    assert database.calls == []


def test_a_connection_that_is_gone_or_half_filled_takes_none(
    client: TestClient, database: Database, connected: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    connected({"signature": {"header": "X-Signature"}})
    assert told(client.post(URL, content=b"{}")) == REFUSED
    monkeypatch.delenv("AIRFLOW_CONN_VENDOR")
    monkeypatch.setattr(Connection, "get_connection_from_secrets", classmethod(gone))
    assert told(client.post(URL, content=b"{}")) == REFUSED


def found_or_gone(cls: type, conn_id: str) -> Any:
    if stored := os.environ.get(f"AIRFLOW_CONN_{conn_id.upper()}"):
        return Connection.from_json(stored, conn_id=conn_id)
    return gone(cls, conn_id)


def gone(_cls: type, conn_id: str) -> Any:
    raise AirflowNotFoundException(f"The conn_id `{conn_id}` isn't defined")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", URL),
        ("HEAD", URL),
        ("PUT", URL),
        ("OPTIONS", URL),
        ("DELETE", FOR_ALL),
        ("POST", f"{URL}/"),
        ("POST", f"{URL}/more"),
        ("POST", f"{PREFIX}/..%2f{REFERENCE.text}"),
        ("POST", f"{PREFIX}//{REFERENCE.text}"),
        ("POST", f"{PREFIX}/{REFERENCE.text}%2f..%2fx"),
        ("POST", f"{PREFIX}/{REFERENCE.text}%00"),
        ("POST", f"{PREFIX}/{'A' * 10_000}"),
        ("POST", f"{PREFIX}/%C3%BC"),
        ("POST", f"{PREFIX}/%FF"),
        ("POST", f"{PREFIX}/connections"),
        ("POST", f"{FOR_ALL}/"),
        ("POST", f"{PREFIX}/"),
    ],
)
def test_another_method_or_path_is_refused_alike(
    client: TestClient, database: Database, said: list[str], method: str, path: str
) -> None:
    status, headers = REFUSED[0], REFUSED[2]
    answer = client.request(method, path)
    assert (answer.status_code, dict(answer.headers)) == (status, headers)
    assert method == "HEAD" or answer.json() == REFUSED[1]
    assert database.calls == []
    assert REFERENCE.text not in str(said)


def test_a_job_that_calls_back_without_end_is_stopped(client: TestClient, database: Database) -> None:
    codes = [client.post(URL, content=str(number).encode()).status_code for number in range(5)]
    assert codes == [200, 200, 200, 429, 429]
    assert len(database.calls) == 3


def test_a_call_about_a_job_of_a_newer_layout_is_asked_to_come_again(
    client: TestClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receipts, "find_job", lambda _: Submission.parse({"version": 99}))
    assert client.post(URL, json={}).status_code == 503
    assert database.calls == []


def test_while_many_calls_by_name_are_refused_all_names_are_answered_503_and_known_ones_are_served(
    client: TestClient, database: Database, connected: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    connected(SIGNED, KEY)
    connected(name="UNSIGNED")
    monkeypatch.setattr(Connection, "get_connection_from_secrets", classmethod(found_or_gone))
    body = b'{"id": 7}'

    def post(name: str, headers: Any) -> int:
        return client.post(f"{PREFIX}/connections/{name}", content=body, headers=headers).status_code

    assert [post(name, signed(body, "forged")) for name in ("vendor", "unsigned")] == [404, 404]
    assert {post(f"made-up-{number}", signed(body)) for number in range(28)} == {404}
    for name in ("vendor", "unsigned", "made-up-1", "made-up-99"):
        assert post(name, signed(body, "forged")) == 503
        assert post(name, {}) == 503
    # Whoever has the key learns nothing new.
    assert post("vendor", signed(body)) == 200
    assert callbacks._ANSWERS.keys() == {404, 413, 429, 503}


def test_a_call_to_a_jobs_own_url_is_taken_while_no_other_name_is_looked_up(
    client: TestClient, database: Database, connected: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    connected(SIGNED, KEY)
    monkeypatch.setattr(Connection, "get_connection_from_secrets", classmethod(found_or_gone))
    for number in range(30):
        client.post(f"{PREFIX}/connections/made-up-{number}", content=b"{}", headers=signed(b"{}"))
    assert client.post(FOR_ALL, content=b'{"id": 7}', headers=signed(b'{"id": 7}')).status_code == 503
    assert told(client.post(URL, content=b"{}", headers=signed(b"{}", "forged"))) == REFUSED
    assert client.post(URL, content=b"{}", headers=signed(b"{}")).status_code == 200


def test_a_flood_of_refusals_is_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    monkeypatch.setattr(callbacks, "log", SimpleNamespace(warning=lambda text, *values: lines.append(text % values)))
    now = [0.0]
    refusals = callbacks.RefusalLog(lambda: now[0])
    for number in range(1000):
        now[0] = number / 50
        refusals.log(f"reason {number}")
    assert lines == ["Refused a callback: reason 0", "Refused a callback: reason 500 (500 since the last such line)"]


# Over the wire


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
