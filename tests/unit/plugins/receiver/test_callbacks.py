"""The door that callbacks come in by: what may be in, what is turned away, and what that costs and tells."""

from __future__ import annotations

import hmac
import time
from collections.abc import Iterator
from importlib.metadata import entry_points
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from fastapi.testclient import TestClient

from airflow_provider_asyncapi.airflow_private.database import Connection
from airflow_provider_asyncapi.core.callbacks.calls import PATH
from airflow_provider_asyncapi.core.submit.submission import Submission
from airflow_provider_asyncapi.plugins import callbacks, connections, receipts
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
    gone,
)

if TYPE_CHECKING:
    from fastapi import FastAPI

pytestmark = pytest.mark.filterwarnings("ignore:in a future version of UPath:PendingDeprecationWarning")


#: What a refusal looks like, whatever was wrong.
REFUSED = (
    404,
    {"detail": "Not Found"},
    {"connection": "close", "content-length": "22", "content-type": "application/json"},
)


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
    began = time.process_time()
    assert told(client.post(URL, content=body, headers={"Content-Type": content_type})) == REFUSED
    assert time.process_time() - began < 5
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
