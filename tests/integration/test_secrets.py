"""No secret of a connection, and no token, is found in what Airflow writes: logs, files and the metadata database."""

from __future__ import annotations

import base64
import configparser
import contextlib
import json
import re
import secrets
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import pytest
from cryptography.fernet import Fernet, InvalidToken

from airflow_provider_asyncapi.core.auth.registry import AUTH_KINDS
from tests.loopback import Asked, Behaviour, Server, reply

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

KINDS = (
    "basic",
    "bearer",
    "key_in_header",
    "key_in_query",
    "oauth1",
    "oauth2",
    "oauth2_password",
    "oauth2_refresh",
    "login",
    "connection",
    "digest",
    "hmac",
    "jwt",
    "jwt_bearer",
    "aws_sigv4",
    "headers",
    "variables",
    "proxy",
)
#: The kinds whose secret only signs.
SIGNING = ("digest", "hmac", "jwt", "jwt_bearer", "aws_sigv4")
#: Kinds whose secret is refused when a token is requested.
REFUSED = ("login_refused", "connection_refused")
CHALLENGE = 'Digest realm="api", qop="auth", algorithm=SHA-256, nonce="7ypf/xlj9XXwfDPE"'
#: Of no shape that would give it away, so that only knowing it keeps it out.
PLANTED = {
    name: secrets.token_hex(12)
    for name in (
        *KINDS,
        *REFUSED,
        "client",
        "oauth1_token",
        "oauth1_token_secret",
        "oauth2_token",
        "oauth2_password_token",
        "oauth2_refresh_token",
        "oauth2_refresh_next",
        "login_token",
        "login_refresh",
        "connection_token",
        "jwt_bearer_token",
        "signature",
        "aws_session_token",
    )
}
#: In each job's identifier: found wherever a secret would be, if there were one.
VISIBLE = secrets.token_hex(12)


class IndiscreetApi:
    """
    Wants each kind's secret, and repeats in every failure all that it was sent.

    It is a proxy too: for requests whose target is a whole URL.
    """

    def __init__(self) -> None:
        self.received = ""
        self.polls: Counter[str] = Counter()
        self.cancelled: set[str] = set()
        self._outcomes: dict[str, str] = {}
        self._lock = threading.Lock()
        self._server = Server(self._serve)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *args: object) -> None:
        self._server.close()

    @property
    def port(self) -> int:
        return self._server.port

    def _serve(self, asked: Asked) -> Behaviour:
        body = asked.body.decode()
        said = f"{asked.method} {asked.target} {dict(asked.headers)} {body}"
        status, answer = self._answer(asked.method, urlsplit(asked.target).path, said, body)
        return reply(answer, status, content_type="application/json", www_authenticate=CHALLENGE)

    def _answer(self, method: str, path: str, said: str, body: str) -> tuple[int, Any]:
        with self._lock:
            self.received += said
            if path == "/signed":
                return (200, {"rows": [1]}) if PLANTED["signature"] in said else (403, {"error": said})
            kind, _, rest = path.removeprefix("/").partition("/")
            if rest in ("token", "login", "refresh"):
                return self._logs_in(kind, rest, said)
            if kind == "digest" and "Digest" not in said:
                return 401, {"message": f"you sent {said}"}
            if rest == "refused" or not any(sign in said for sign in secret_texts(kind)):
                return 403, {"message": f"you sent {said}"}
            return self._job(kind, method, rest.split("/")[1:], said, body)

    def _logs_in(self, kind: str, how: str, said: str) -> tuple[int, Any]:
        wanted = PLANTED["login_refresh"] if how == "refresh" else PLANTED[kind]
        if kind == "jwt_bearer":
            wanted = "assertion=eyJ"
        if kind == "oauth2_refresh":
            newest = PLANTED["oauth2_refresh_next"]
            if wanted not in said and newest not in said:
                return 400, {"message": f"you sent {said}"}
            # Not as short as below: the tasks take turns to renew it, and that takes seconds.
            return 200, {"access_token": PLANTED[f"{kind}_token"], "refresh_token": newest, "expires_in": 20}
        if kind in REFUSED or not any(sign in said for sign in (wanted, encoded(wanted))):
            return 401, {"message": f"you sent {said}"}
        token = PLANTED[f"{kind}_token"]
        # So short that it is renewed while the job runs.
        return 200, {"t": token, "access_token": token, "r": PLANTED["login_refresh"], "expires_in": 2}

    def _job(self, kind: str, method: str, rest: list[str], said: str, body: str) -> tuple[int, Any]:
        if not rest:
            outcome = json.loads(body)["outcome"]
            identifier = f"{VISIBLE}-{kind}-{outcome}"
            self._outcomes[identifier] = outcome
            return 202, {"id": identifier}
        identifier, *link = rest
        if link:
            return 200, {"url": f"http://localhost:{self.port}/signed?q={PLANTED['signature']}"}
        if method == "DELETE":
            self.cancelled.add(identifier)
            return 200, {}
        self.polls[identifier] += 1
        if self.polls[identifier] == 1 or self._outcomes[identifier] == "stuck":
            return 200, {"status": "running"}
        status = self._outcomes[identifier]
        return 200, {"status": status} | ({"error": f"you sent {said}"} if status == "failed" else {})


def encoded(secret: str) -> str:
    return base64.b64encode(f"ann:{secret}".encode()).decode()


def secret_texts(kind: str) -> tuple[str, ...]:
    """Return the text in a request that proves that it contains the kind's secret."""
    signs = {
        "digest": 'Digest username="ann"',
        "hmac": "x-sign",
        "jwt": "Bearer eyJ",
        "aws_sigv4": PLANTED["aws_session_token"],
    }
    if kind in signs:
        return (signs[kind],)
    secret = PLANTED.get(f"{kind}_token", PLANTED[kind])
    return secret, encoded(secret)


def connections(port: int) -> dict[str, dict[str, Any]]:
    login = {
        "auth": "login",
        "login_request": {"endpoint": "/login", "json": {"u": "{connection.login}", "p": "{connection.password}"}},
        "login_selector": "t",
        "login_expiry": "expires_in",
        "login_capture": {"refresh": "r"},
        "refresh_request": {"endpoint": "/refresh", "json": {"r": "{refresh}"}},
    }
    url, lent = f"http://127.0.0.1:{port}", ("connection", "connection_refused")
    borrowing = {"auth": "connection", "scope": "api/.default"}
    password = {kind: {"login": "ann", "password": PLANTED[kind]} for kind in PLANTED}
    kinds: dict[str, dict[str, Any]] = {
        "basic": {**password["basic"], "extra": {"auth": "basic"}},
        "bearer": {**password["bearer"], "extra": {"auth": "bearer"}},
        "key_in_header": {**password["key_in_header"], "extra": {"auth": "api_key", "key_name": "X-K"}},
        "key_in_query": {
            **password["key_in_query"],
            "extra": {"auth": "api_key", "key_in": "query", "key_name": "k"},
        },
        "oauth1": {
            **password["oauth1"],
            "extra": {
                "auth": "oauth1",
                # The one method that sends the secrets themselves.
                "oauth1_method": "PLAINTEXT",
                "oauth1_token": PLANTED["oauth1_token"],
                "oauth1_token_secret": PLANTED["oauth1_token_secret"],
            },
        },
        "oauth2": {**password["oauth2"], "extra": {"auth": "oauth2", "oauth2_url": "/token"}},
        "oauth2_password": {
            **password["oauth2_password"],
            "extra": {
                "auth": "oauth2_password",
                "oauth2_url": "/token",
                "client_id": "ann",
                "client_secret": PLANTED["client"],
            },
        },
        "oauth2_refresh": {
            "login": "ann",
            "extra": {"auth": "oauth2_refresh", "oauth2_url": "/token", "refresh_token": PLANTED["oauth2_refresh"]},
        },
        "login": {**password["login"], "extra": login},
        "login_refused": {**password["login_refused"], "extra": login},
        **{f"{kind}_lender": {**password[kind], "conn_type": "azure", "host": f"{url}/{kind}"} for kind in lent},
        **{kind: {"extra": {**borrowing, "credentials_conn_id": f"secretive_{kind}_lender"}} for kind in lent},
        "digest": {**password["digest"], "extra": {"auth": "digest"}},
        "hmac": {
            **password["hmac"],
            "extra": {"auth": "hmac", "signing": {"signed": "{target}{body}", "headers": {"X-Sign": "{signature}"}}},
        },
        # A key has at least 32 characters.
        "jwt": {
            "login": "ann",
            "extra": {"auth": "jwt", "jwt_algorithm": "HS256", "jwt_secret_key": 2 * PLANTED["jwt"]},
        },
        "jwt_bearer": {
            "login": "ann",
            "extra": {
                "auth": "jwt_bearer",
                "oauth2_url": "/token",
                "jwt_algorithm": "HS256",
                "jwt_secret_key": 2 * PLANTED["jwt_bearer"],
                "jwt_claims": {"aud": "api"},
            },
        },
        "aws_sigv4": {
            **password["aws_sigv4"],
            "extra": {
                "auth": "aws_sigv4",
                "aws_region": "eu-west-1",
                "aws_service": "execute-api",
                "aws_session_token": PLANTED["aws_session_token"],
            },
        },
        "headers": {"extra": {"auth": "none", "secret_headers": {"X-Innocent": PLANTED["headers"]}}},
        "variables": {"extra": {"auth": "none", "secrets": {"key": PLANTED["variables"]}}},
        "proxy": {"extra": {"auth": "none", "proxy": f"http://ann:{PLANTED['proxy']}@127.0.0.1:{port}"}},
    }
    return {
        f"secretive_{kind}": {
            "conn_type": "asyncapi",
            "host": f"{'http://api.example' if kind == 'proxy' else url}/{kind}",
            **fields,
        }
        for kind, fields in kinds.items()
    }


# Where a secret may have got to


def files(home: Path) -> Iterator[tuple[str, str]]:
    """Return all files in Airflow's home, except the database and Airflow's own configuration."""
    for path in home.rglob("*"):
        if path.is_file() and not path.name.startswith("airflow.db") and path.suffix not in (".pyc", ".cfg"):
            yield str(path.relative_to(home)), path.read_text(errors="replace")


def database(home: Path) -> Iterator[tuple[str, str]]:
    """Return each row of the metadata database, including encrypted values, except connections."""
    config = configparser.RawConfigParser()
    config.read(home / "airflow.cfg")
    fernet = Fernet(config["core"]["fernet_key"].replace("%%", "%"))
    with contextlib.closing(sqlite3.connect(home / "airflow.db", timeout=60)) as rows:
        tables = [name for (name,) in rows.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            if table != "connection":
                for row in rows.execute(f'SELECT * FROM "{table}"'):
                    yield table, " ".join(readable(fernet, value) for value in row)


def readable(fernet: Fernet, value: Any) -> str:
    text = value.decode(errors="replace") if isinstance(value, bytes) else str(value)
    try:
        return fernet.decrypt(text.encode()).decode()
    except InvalidToken:
        return text


def places(found: Iterator[tuple[str, str]], *needles: str) -> list[tuple[str, str]]:
    return [(place, needle) for place, text in found for needle in needles if needle in text]


def leaks(home: Path, received: str) -> list[tuple[str, str]]:
    names = dict.fromkeys(re.findall(r"eyJ[\w-]+\.[\w-]+\.[\w-]+", received), "a signed token")
    names |= {secret: name for name, secret in PLANTED.items()} | {
        encoded(secret): f"{name}, encoded" for name, secret in PLANTED.items()
    }
    found = [*places(files(home), *names), *places(database(home), *names)]
    return sorted({(place, names[needle]) for place, needle in found})


@pytest.fixture(scope="module")
def api() -> Iterator[IndiscreetApi]:
    with IndiscreetApi() as running:
        yield running


def until(condition: Callable[[], bool], what: str, timeout: float = 180.0) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.3)


def test_each_kind_of_authentication_is_looked_at():
    found = {name: connection.get("extra", {}).get("auth") for name, connection in connections(0).items()}
    assert {found[f"secretive_{kind}"] for kind in KINDS} == {*AUTH_KINDS}


def test_no_secret_is_found_in_what_airflow_keeps(airflow, run_dag, api):
    for conn_id, connection in connections(api.port).items():
        airflow.client.add_connection(conn_id, connection)
    runs = {name: run_dag.start(f"secretive_{name}") for name in ("stuck", "done")}

    # Triggers are in the database only as long as their tasks wait.
    stuck = {f"{VISIBLE}-{kind}-stuck": f"{kind}.wait" for kind in KINDS}
    # The first poll is the worker's; a trigger that hasn't begun can't be told of a kill.
    until(lambda: all(api.polls[job] > 1 for job in stuck), "not all jobs are waited for")
    assert "trigger" in {table for table, _ in places(database(airflow.home), *stuck)}
    assert leaks(airflow.home, api.received) == []
    # Not before, for a machine that is busy with all of them loses tasks.
    runs |= {name: run_dag.start(f"secretive_{name}") for name in ("failed", "refused")}
    for task_id in stuck.values():
        airflow.client.mark("secretive_stuck", runs["stuck"], task_id, "failed")
    until(lambda: stuck.keys() <= api.cancelled, "not all jobs are cancelled")

    ended = {name: run_dag.finish(f"secretive_{name}", run_id) for name, run_id in runs.items()}
    assert ended["done"].state == "success", ended["done"].failures()
    for kind in KINDS:
        assert ended["failed"].task(f"{kind}.submit").state == "success"
        assert f"{VISIBLE}-{kind}-failed" in ended["failed"].log(f"{kind}.wait")
        assert "you sent" in ended["failed"].log(f"{kind}.wait")
        assert "you sent" in ended["refused"].log(kind)
    for kind in REFUSED:
        assert "you sent" in ended["refused"].log(kind)

    # The secrets were in use, and the search finds what is there.
    sent = api.received
    assert [name for name, secret in PLANTED.items() if secret not in sent and encoded(secret) not in sent] == [
        *SIGNING
    ]
    assert "Bearer eyJ" in sent
    assert "assertion=eyJ" in sent
    assert {"xcom", "rendered_task_instance_fields"} <= {table for table, _ in places(database(airflow.home), VISIBLE)}
    assert any(place.startswith("logs") for place, _ in places(files(airflow.home), VISIBLE))
    assert any("airflow-provider-asyncapi-" in place for place, _ in files(airflow.home)), "no token was stored"
    assert leaks(airflow.home, sent) == []
