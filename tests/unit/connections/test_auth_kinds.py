"""A kind of authentication that another package brings is used from the connection form to the wire."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import airflow
import pytest
from airflow.providers.common.compat.sdk import Connection
from airflow.sdk._shared import secrets_masker

from airflow_provider_asyncapi.connections import profiles
from airflow_provider_asyncapi.connections.form import make_form_fields
from airflow_provider_asyncapi.connections.profiles import load_profile
from airflow_provider_asyncapi.connections.reading import read_connection
from airflow_provider_asyncapi.core.auth.registry import AUTH_KINDS
from airflow_provider_asyncapi.core.connection.api import Api
from airflow_provider_asyncapi.core.errors import ConfigurationError
from airflow_provider_asyncapi.core.http.messages import Request
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.requests.exchange import send
from airflow_provider_asyncapi.core.wait.checkpoint import WaitCheckpoint
from airflow_provider_asyncapi.core.wait.flow import wait
from airflow_provider_asyncapi.core.wait.plan import WaitPlan
from airflow_provider_asyncapi.get_provider_info import get_provider_info
from tests.loopback import Asked, Behaviour, Server, reply
from tests.unit.installed_kinds import forget_entry_points, write_metadata
from tests.unit.transports.driving import DRIVERS, START, run

AIRFLOW_VERSION = tuple(map(int, airflow.__version__.split(".")[:2]))
KEY = "planted-acme-key"
ROOT = Path(__file__).parents[3]
GUIDE = (ROOT / "docs" / "guides" / "connection.md").read_text(encoding="utf-8")
#: All that such a package consists of, beside the entry point: the module that the guide shows.
MODULE = GUIDE.partition("<!-- file: acme_auth.py -->")[2].partition("```python\n")[2].partition("```")[0]


@pytest.fixture(autouse=True)
def _nothing_remembered(tmp_path: Path) -> Iterator[None]:
    def forget() -> None:
        forget_entry_points()
        profiles._load_cached.cache_clear()
        for name in ("acme", "broken"):
            AUTH_KINDS.unregister(name)
            sys.modules.pop(f"{name}_auth", None)

    forget()
    yield
    forget()


def install(site: Path, module: str, code: str, name: str, value: str) -> None:
    """Install a package as an installer does: a module, and its metadata beside it."""
    write_metadata(site, module, AUTH_KINDS.group, name, f"{module}:{value}")
    (site / f"{module}.py").write_text(code)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have a folder of installed packages."""
    path = tmp_path / "site"
    path.mkdir()
    monkeypatch.syspath_prepend(str(path))
    return path


@pytest.fixture
def package(site: Path) -> Path:
    """Have a package that brings a kind of authentication."""
    install(site, "acme_auth", MODULE, "acme", "AcmeAuth")
    return site


class AcmeServer(Server):
    """An API that checks the signature of each request, and now and then wants another challenge to be signed."""

    def __init__(self) -> None:
        super().__init__()
        self.challenge = "c-1"
        self.refused = 0

    def checks(self, then: Behaviour) -> Behaviour:
        def behave(connection: socket.socket, asked: Asked) -> bool:
            parts = f"client-7 {asked.method} {asked.target} {self.challenge}"
            digest = hmac.new(KEY.encode(), parts.encode(), hashlib.sha256).hexdigest()
            if asked.headers.get("x-acme") == f"client-7:{digest}":
                return then(connection, asked)
            self.refused += 1
            return reply({"error": "sign"}, 401, x_acme_challenge=self.challenge)(connection, asked)

        return behave


@pytest.fixture
def server() -> Iterator[AcmeServer]:
    made = AcmeServer()
    yield made
    made.close()


def connection(host: str, **extra: Any) -> Connection:
    given = {"auth": "acme", "acme_secret": KEY, **extra}
    return Connection(conn_id="acme", conn_type="asyncapi", host=host, login="client-7", extra=json.dumps(given))


def api_of(server: Server, **extra: Any) -> Api:
    return read_connection(connection(server.url, **extra), mask=False)


@pytest.mark.parametrize("driver", DRIVERS)
def test_its_signatures_and_its_answers_to_challenges_are_sent_by_both_transports(
    driver: str, package: Path, server: AcmeServer
) -> None:
    server.routes["/jobs"] = server.checks(reply({"id": 7}))
    api = api_of(server)
    for _ in range(2):
        outcome = run(driver, api, send(api, Request("POST", f"{server.url}/jobs?day=1", body=b"{}")))
        assert outcome.error is None
        assert outcome.result.json == {"id": 7}
    assert [asked.method for asked in server.asked] == ["POST"] * 3
    assert server.refused == 1


@pytest.mark.parametrize("driver", DRIVERS)
def test_each_poll_of_a_wait_is_signed_whatever_the_api_asks_for_in_between(
    driver: str, package: Path, server: AcmeServer
) -> None:
    def status(connection: socket.socket, asked: Asked) -> bool:
        polls.append(asked)
        server.challenge = f"c-{1 + len(polls)}"
        return reply({"status": "done" if len(polls) == 4 else "running"})(connection, asked)

    polls: list[Asked] = []
    server.routes["/jobs/7"] = server.checks(status)
    api = api_of(server)
    plan = WaitPlan.parse(
        {
            "endpoint": "/jobs/{identifier}",
            "completion_key": "status",
            "completion_value": "done",
            "poke_interval": 1,
        }
    )
    outcome = run(driver, api, wait(api, plan, WaitCheckpoint(JobHandle("7", submitted_at=START), START, None)))
    assert outcome.error is None
    assert outcome.result.status == "done"
    assert len(polls) == 4
    assert len({asked.headers["x-acme"] for asked in polls}) == 4
    assert server.refused == 4


@pytest.mark.parametrize("driver", DRIVERS)
def test_credentials_that_are_still_refused_after_the_challenge_are_an_error_without_the_secret(
    driver: str, package: Path, server: AcmeServer
) -> None:
    server.routes["/jobs"] = server.checks(reply({}))
    api = api_of(server, acme_secret="another-planted-key")
    response = run(driver, api, send(api, Request("GET", f"{server.url}/jobs"))).result
    assert response.status == 401
    assert len(server.asked) == 2
    assert "another-planted-key" not in repr(api)


def test_its_fields_are_in_the_connection_form(package: Path) -> None:
    fields = make_form_fields()
    assert fields["acme_secret"] == {
        "label": "Secret",
        "description": "The key that requests are signed with.",
        "schema": {"type": ["string", "null"], "section": "acme (acme)", "format": "password"},
    }
    assert "acme" in fields["auth"]["schema"]["enum"]
    assert fields["auth"]["schema"]["values_display"]["acme"].startswith("acme: the login is the client")
    (shown,) = get_provider_info()["connection-types"]
    assert shown["conn-fields"] == fields


@pytest.mark.skipif(AIRFLOW_VERSION < (3, 2), reason="before 3.2 the form is the hook's")
def test_airflow_shows_its_fields_in_the_form(package: Path) -> None:
    code = (
        "from airflow.providers_manager import ProvidersManager\n"
        "print(*(name for name in ProvidersManager().connection_form_widgets if 'acme' in name))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(package), *sys.path])}
    command = [sys.executable, "-c", code]
    shown = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    # Airflow logs to the same place.
    assert shown.stdout.splitlines()[-1].split() == ["extra__asyncapi__acme_secret", "extra__asyncapi__acme_header"]


def test_its_secret_is_masked_in_logs_and_messages(package: Path) -> None:
    api = read_connection(connection("https://api.example.com", acme_header="X-Innocent"))
    assert secrets_masker.redact(f"{KEY} X-Innocent") == "*** X-Innocent"
    assert api.redact(f"the key {KEY}") == "the key ***"
    assert KEY not in repr(api.settings)


def test_airflow_masks_its_secret_in_the_connection_it_shows(package: Path) -> None:
    assert secrets_masker.redact({"acme_secret": "anything-else"}) == {"acme_secret": "***"}


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ({"acme_secret": ""}, r"auth 'acme' needs acme_secret \(the key\)"),
        ({"acme_header": 7}, "acme_header has to be text, not int"),
        ({"auth": "basic"}, "acme_secret is for auth 'acme', and auth is 'basic'"),
        ({"key_name": "X"}, "key_name is for auth 'api_key', and auth is 'acme'"),
        ({"acme_pin": 1}, "unknown key 'acme_pin' in extra; known are acme_header, acme_secret, "),
        (
            {"auth": "acme2"},
            "auth: 'acme2' isn't one of none, .*, oauth1, acme$",
        ),
    ],
)
def test_its_fields_are_checked_as_those_of_the_shipped_kinds_are(
    package: Path, extra: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        read_connection(connection("https://api.example.com", **extra), mask=False)


def test_a_profile_may_name_it(package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "profiles"
    folder.mkdir()
    monkeypatch.setenv("AIRFLOW__ASYNCAPI__PROFILES_FOLDER", str(folder))
    (folder / "vendor.toml").write_text('[connection]\nauth = "acme"\nacme_header = "X-Vendor"\n')
    assert load_profile("vendor")["connection"]["acme_header"] == "X-Vendor"
    given = connection("https://api.example.com", profile="vendor", auth="")
    assert read_connection(given, mask=False).settings.auth.header == "X-Vendor"  # type: ignore[attr-defined]  # a field of the added kind
    basic = Connection(
        conn_id="b", conn_type="asyncapi", host="h", login="u", extra='{"profile": "vendor", "auth": "basic"}'
    )
    assert read_connection(basic, mask=False).settings.auth.name == "basic"


def test_other_packages_are_not_looked_at_for_a_connection_of_a_shipped_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: Any) -> Any:
        pytest.fail("entry points were read")

    monkeypatch.setattr("airflow_provider_asyncapi.core.entry_points.metadata.entry_points", fail)
    for auth in ({"auth": "bearer"}, {}):
        given = Connection(conn_id="b", conn_type="asyncapi", host="h", password="p" if auth else None)
        given.extra = json.dumps({**auth, "headers": {}})
        assert read_connection(given, mask=False).settings.auth.name in ("bearer", "none")


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (
            "import no_such_module_at_all",
            "the entry point broken = 'broken_auth:Kind' can't be used: ModuleNotFoundError",
        ),
        ("Kind = dict", "isn't a subclass of"),
        ("raise SystemError('odd')", "SystemError"),
    ],
)
def test_a_package_that_can_not_be_used_is_named_in_the_log_and_in_the_error_of_its_connections(
    site: Path, caplog: pytest.LogCaptureFixture, code: str, message: str
) -> None:
    install(site, "broken_auth", code, "broken", "Kind")
    with caplog.at_level(logging.WARNING):
        assert make_form_fields()["auth"]["schema"]["enum"] == list(AUTH_KINDS)
    assert "broken" not in AUTH_KINDS
    assert re.search(message, caplog.text)
    with pytest.raises(ConfigurationError, match=message):
        read_connection(connection("https://api.example.com", auth="broken"), mask=False)


def test_a_package_can_not_take_the_place_of_a_shipped_kind(site: Path, caplog: pytest.LogCaptureFixture) -> None:
    shipped = AUTH_KINDS["basic"]
    install(site, "acme_auth", MODULE.replace('"acme"', '"basic"'), "basic", "AcmeAuth")
    make_form_fields()
    assert AUTH_KINDS["basic"] is shipped
    assert "there is a 'basic' already" in caplog.text
    AUTH_KINDS.problems.clear()
