"""Kinds of authentication that see each request, against servers that check every one of them."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from requests.auth import HTTPDigestAuth

from airflow_provider_asyncapi.core.http.messages import Request
from airflow_provider_asyncapi.core.requests.exchange import send
from tests.loopback import Asked, Behaviour, Server, encode
from tests.unit.transports.driving import make_api, run_all


class DigestServer(Server):
    """
    A server with one user; each nonce is good for some requests, whose counts have to rise.

    :param uses: the number of requests that a nonce is good for.
    """

    def __init__(self, algorithm: str, uses: int = 100) -> None:
        super().__init__(self.answer)
        self.algorithm, self.uses = algorithm, uses
        self.counts: dict[str, int] = {}
        self.statuses: list[int] = []

    def answer(self, asked: Asked) -> Behaviour:
        if self.accepts(asked):
            self.statuses.append(200)
            return encode(200, {"Content-Type": "application/json"}, b'{"id": 1}')
        nonce = f"nonce-{len(self.counts)}"
        self.counts[nonce] = 0
        self.statuses.append(401)
        challenge = f'Digest realm="jobs", nonce="{nonce}", qop="auth", algorithm={self.algorithm}'
        return encode(401, {"WWW-Authenticate": challenge}, b"")

    def accepts(self, asked: Asked) -> bool:
        header = asked.headers.get("Authorization") or asked.headers.get("authorization") or ""
        given = {name: value.strip('"') for name, value in re.findall(r'(\w+)=("[^"]*"|[^,\s]+)', header)}
        count = int(given.get("nc", "0"), 16)
        nonce = given.get("nonce", "")
        if nonce not in self.counts or count != self.counts[nonce] + 1 or count > self.uses:
            return False

        def digest(text: str) -> str:
            return hashlib.new("md5" if self.algorithm == "MD5" else "sha256", text.encode()).hexdigest()

        user, what = digest("ann:jobs:s3cret"), digest(f"{asked.method}:{asked.target}")
        wanted = digest(f"{user}:{nonce}:{given['nc']}:{given['cnonce']}:auth:{what}")
        if given["uri"] != asked.target or given["response"] != wanted:
            return False
        self.counts[nonce] = count
        return True


@pytest.fixture(params=["MD5", "SHA-256"])
def server(request: pytest.FixtureRequest) -> Iterator[DigestServer]:
    server = DigestServer(request.param)
    yield server
    server.close()


def ask(driver: str, url: str, times: int = 3, **fields: Any) -> list[int]:
    """Send requests one after another, and return the status codes."""
    api = make_api(url, **fields)
    request = Request("POST", f"{url}/jobs?day=1%2F2", (), b"x")
    outcomes = run_all(driver, api, [send(api, request) for _ in range(times)])
    return [outcome.result.status for outcome in outcomes]


DIGEST: dict[str, Any] = {"auth": "digest", "login": "ann", "password": "s3cret"}


def test_the_server_is_one_that_other_clients_talk_to(server: DigestServer) -> None:
    with requests.Session() as session:
        session.auth = HTTPDigestAuth("ann", "s3cret")
        assert [session.post(f"{server.url}/jobs?a=1", data=b"x").status_code for _ in range(2)] == [200, 200]


def test_one_challenge_is_enough_for_all_requests(driver: str, server: DigestServer) -> None:
    assert ask(driver, server.url, **DIGEST) == [200] * 3
    assert server.statuses == [401, 200, 200, 200]
    assert all(asked.body == b"x" for asked in server.asked)


def test_an_expired_nonce_is_replaced(driver: str, server: DigestServer) -> None:
    server.uses = 2
    assert ask(driver, server.url, **DIGEST) == [200] * 3
    assert server.statuses == [401, 200, 200, 401, 200]


def test_a_wrong_password_is_sent_once(driver: str, server: DigestServer) -> None:
    assert ask(driver, server.url, times=1, **{**DIGEST, "password": "wrong"}) == [401]
    assert server.statuses == [401, 401]


def test_each_request_is_signed_as_it_is_sent(driver: str) -> None:
    def check(asked: Asked) -> Behaviour:
        headers = {name.lower(): value for name, value in asked.headers.items()}
        text = f"{headers['x-time']}{asked.method}{asked.target}".encode() + asked.body
        is_right = hmac.compare_digest(headers["x-sign"], hmac.digest(b"s3cret", text, "sha512").hex())
        return encode(200 if is_right else 401, {}, b"")

    server = Server(check)
    signing = {
        "signed": "{timestamp}{method}{target}{body}",
        "algorithm": "sha512",
        "headers": {"X-Sign": "{signature}", "X-Time": "{timestamp}"},
    }
    try:
        assert ask(driver, server.url, auth="hmac", password="s3cret", signing=signing) == [200] * 3
        assert ask(driver, server.url, 1, auth="hmac", password="other", signing=signing) == [401]
    finally:
        server.close()
