"""`try --record` writes no secret of any kind of authentication, even if the API repeats all that it was sent."""

from __future__ import annotations

import base64
import dataclasses
import io
import re
import secrets
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import yaml

from airflow_provider_asyncapi.cli import waiting
from airflow_provider_asyncapi.cli.narrated_hook import NarratedHook
from airflow_provider_asyncapi.cli.narration import Narrator
from airflow_provider_asyncapi.cli.output import Output
from airflow_provider_asyncapi.cli.recording import write_recording
from airflow_provider_asyncapi.core.auth.registry import AUTH_KINDS
from airflow_provider_asyncapi.core.auth.tokens import Token
from airflow_provider_asyncapi.core.connection.api import Api
from airflow_provider_asyncapi.testing import Recording, ReplayServer
from tests.loopback import Asked, Behaviour, Server, reply
from tests.unit.transports.driving import Clock, make_api

SECRET = "planted-secret-of-the-connection"
TOKEN = {"login_cache": "process", "oauth2_url": "/token"}
ASSERTION = {**TOKEN, "password": "", "jwt_secret_key": SECRET, "jwt_algorithm": "HS256", "jwt_claims": {"aud": "acme"}}
AWS = {"aws_region": "eu-west-1", "aws_service": "execute-api"}
SIGNED = {"signed": "{timestamp}{method}{target}", "encoding": "base64"}
#: The fields of the connection of each kind, and the header or query parameter that has its credentials.
CASES: dict[str, list[tuple[dict[str, Any], str]]] = {
    "none": [({"password": "", "secret_headers": {"Cookie": f"sid={SECRET}"}}, "cookie")],
    "basic": [({}, "authorization")],
    "bearer": [({}, "authorization")],
    "api_key": [({"key_name": "X-Mine"}, "x-mine"), ({"key_name": "mine", "key_in": "query"}, "mine")],
    "digest": [({}, "authorization")],
    "hmac": [
        ({"signing": {**SIGNED, "headers": {"X-Sign": "{signature}"}}}, "x-sign"),
        ({"signing": {**SIGNED, "query_params": {"at": "{timestamp}", "mine": "{signature}"}}}, "mine"),
    ],
    "aws_sigv4": [
        ({**AWS, "aws_session_token": f"{SECRET}-session"}, "authorization"),
        ({**AWS, "credentials_conn_id": "other", "login": "", "password": ""}, "x-amz-security-token"),
    ],
    "connection": [({"credentials_conn_id": "other", "login": "", "password": ""}, "authorization")],
    "jwt": [
        ({"password": "", "jwt_secret_key": SECRET, "jwt_algorithm": "HS256", "jwt_lifetime": 300}, "authorization")
    ],
    "jwt_bearer": [(ASSERTION, "authorization")],
    "oauth1": [({"oauth1_token": f"{SECRET}-1", "oauth1_token_secret": f"{SECRET}-2"}, "authorization")],
    "oauth2": [(TOKEN, "authorization"), ({**TOKEN, "client_auth": "body"}, "authorization")],
    "oauth2_password": [({**TOKEN, "client_id": "app", "client_secret": f"{SECRET}-of-app"}, "authorization")],
    "oauth2_refresh": [({"oauth2_url": "/token", "refresh_token": f"{SECRET}-refresh"}, "authorization")],
    "login": [
        (
            {
                "login_cache": "process",
                "login_request": {"endpoint": "/token", "json": {"pw": "{connection.password}"}},
                "login_selector": "access_token",
                "login_expiry": "expires_in",
                "login_header": "Cookie",
                "login_format": "sid={token}",
            },
            "cookie",
        )
    ],
}


class RepeatingApi(Server):
    """Repeats in each response, in several ways, the request that it answers and those before it."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(self.answer)
        self._clock = clock
        self._lock = threading.Lock()
        self.tokens: list[str] = []
        self.received: list[Asked] = []
        self._polls = 0

    def answer(self, asked: Asked) -> Behaviour:
        with self._lock:
            if urlsplit(asked.target).path == "/token":
                new = [secrets.token_urlsafe(20) for _ in range(2)]
                self.tokens += new
                return reply(
                    {"access_token": new[0], "refresh_token": new[1], "expires_in": 300},
                    content_type="application/json",
                )
            if "digest" in asked.target and "authorization" not in asked.headers:
                return reply({}, 401, www_authenticate=f'Digest realm="r", qop="auth", nonce="{secrets.token_hex(8)}"')
            self.received.append(asked)
            content = {
                "id": "7",
                "state": "RUNNING",
                "target": asked.target,
                "headers": dict(asked.headers),
                "text": "\n".join(f"{name}: {value}" for name, value in asked.headers.items()),
                "values": [[*each.headers.values()] for each in self.received],
            }
            if asked.method == "GET" and "/rows" not in asked.target:
                self._polls += 1
                content["state"] = "DONE" if self._polls == 8 else "RUNNING"
            return reply(content, content_type="application/json", x_echo=str(dict(asked.headers)))


class Lender:
    """Lends credentials, other ones each time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.lent: list[str] = []

    def lend(self, *, is_rejected: bool) -> Token:
        key_id, *rest = (secrets.token_urlsafe(20) for _ in range(3))
        # AWS sends the id of the key in plain text; as a token of other clouds it is one of the credentials.
        self.lent += rest
        return Token(key_id, self._clock() + 300, dict(zip(("secret_key", "session_token"), rest, strict=True)))


class RotatingTokens:
    """Keeps the newest refresh token, as an Airflow Variable does."""

    def __init__(self) -> None:
        self.token: Token | None = None
        self.mark: str | None = None

    def read(self) -> Token | None:
        return self.token

    def write(self, token: Token) -> None:
        self.token = token

    def read_mark(self) -> str | None:
        return self.mark

    def write_mark(self, mark: str) -> None:
        self.mark = mark


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()

    def advance(seconds: float) -> None:
        clock.now += seconds

    monkeypatch.setattr(waiting, "pause", advance)
    return clock


@pytest.fixture
def server(clock: Clock) -> Iterator[RepeatingApi]:
    server = RepeatingApi(clock)
    yield server
    server.close()


def record(api: Api, path: Path, prefix: str) -> None:
    status: dict[str, Any] = {"completion_key": "state", "completion_value": "DONE", "poke_interval": 600}
    status["endpoint"] = f"{prefix}/jobs/{{identifier}}"
    narrator = Narrator(Output(io.StringIO()), api, status, show_headers=True)
    narrator.begin_recording()
    with NarratedHook("acme", api, narrator) as hook:
        job = hook.submit_job(endpoint=f"{prefix}/jobs", identifier="id")
        job = hook.wait_for_job(job, timeout=36000, **status)
        hook.fetch_result(job, endpoint=f"{prefix}/jobs/{{identifier}}/rows")
        narrator.flush()
    write_recording(path, narrator.recorded or [], api)


def find_credentials(asked: Asked, place: str) -> set[str]:
    """Return what is in the header or query parameter: all of it, without the scheme, and the signature in it."""
    value = asked.headers.get(place) or dict(parse_qsl(urlsplit(asked.target).query))[place]
    return {value, value.rpartition(" ")[2], *re.findall(r'(?:signature|response)="?([^",\s]+)', value, re.IGNORECASE)}


def walk(value: Any) -> Iterator[str]:
    """Yield the keys and texts of what YAML holds: in the file they may be quoted, or broken into lines."""
    if isinstance(value, dict):
        yield from value
    if isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from walk(each)
    yield str(value)


@pytest.mark.parametrize(
    ("kind", "number"), [(kind, number) for kind in AUTH_KINDS for number in range(len(CASES.get(kind, [()])))]
)
def test_no_credentials_are_recorded(
    kind: str, number: int, server: RepeatingApi, clock: Clock, tmp_path: Path
) -> None:
    assert kind in CASES, f"CASES needs a connection of the kind {kind!r}"
    fields, place = CASES[kind][number]
    given = {"login": "client-of-the-api", "password": SECRET, "auth": kind, **fields}

    def make(url: str) -> Api:
        api = make_api(url, clock, **given)
        return dataclasses.replace(api, lender=lender, rotating_tokens=RotatingTokens())

    lender = Lender(clock)
    path = tmp_path / "recording.yaml"
    record(make(server.url), path, f"/{kind}")
    sent = [find_credentials(asked, place) for asked in server.received]
    assert len(sent) == 10
    pair = base64.b64encode(f"client-of-the-api:{SECRET}".encode()).decode()
    texts = list(walk(yaml.safe_load(path.read_text())))
    for secret in (SECRET, pair, *server.tokens, *lender.lent, *set().union(*sent)):
        assert not [text for text in texts if secret in text]
    # What is masked matches anything: the same job passes against its recording.
    with ReplayServer(Recording.read(path)) as replay:
        record(make(replay.url), tmp_path / "again.yaml", f"/{kind}")
        replay.check()
