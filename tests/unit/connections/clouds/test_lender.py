"""Credentials of connections of Google Cloud, Azure and AWS, with providers that are pretended."""

from __future__ import annotations

import sys
import time
import traceback
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowNotFoundException, Connection

from airflow_provider_asyncapi.airflow_private.supervisor import AirflowUnavailableError
from airflow_provider_asyncapi.connections.clouds.lender import ConnectionLender
from airflow_provider_asyncapi.core.auth.borrowed_credentials import AWS_KEYS, TOKEN, BorrowedCredentials
from airflow_provider_asyncapi.core.errors import AuthenticationError, ConfigurationError, TransportError
from tests.unit.connections.clouds import fake_providers
from tests.unit.connections.clouds.fake_providers import FakeClouds

GOOGLE = Connection(conn_id="other", conn_type="google_cloud_platform", extra='{"keyfile_dict": "planted-key"}')
AZURE = Connection(conn_id="other", conn_type="azure", login="app", password="planted", extra='{"tenantId": "t"}')
AWS = Connection(conn_id="other", conn_type="aws", login="AKIA", password="planted")
SCOPE = "https://management.azure.com/.default"


@pytest.fixture
def clouds(monkeypatch: pytest.MonkeyPatch) -> FakeClouds:
    return fake_providers.install(monkeypatch)


class Lookups:
    """Returns a connection that a test may change."""

    def __init__(self, connection: Connection | Exception) -> None:
        self.connection = connection
        self.asked: list[str] = []

    def __call__(self, conn_id: str) -> Connection:
        self.asked.append(conn_id)
        if isinstance(self.connection, Exception):
            raise self.connection
        return self.connection


def lender(connection: Connection | Exception, *scopes: str, what: str | None = None) -> ConnectionLender:
    is_aws = isinstance(connection, Connection) and connection.conn_type == "aws"
    borrowed = BorrowedCredentials("other", what or (AWS_KEYS if is_aws else TOKEN), scopes, "eu-west-1")
    return ConnectionLender(borrowed, Lookups(connection))


def test_an_error_of_the_other_provider_is_shown_without_the_password(clouds: FakeClouds) -> None:
    clouds.on_renew = fake_providers.ClientAuthenticationError("you sent planted")
    with pytest.raises(AuthenticationError, match=r"connection 'other': Azure refuses .*: you sent \*\*\*;") as raised:
        lender(AZURE, SCOPE).lend(is_rejected=False)
    # What Airflow logs, with the errors that led to it.
    assert "planted" not in "".join(traceback.format_exception(raised.value))


def test_google_lends_a_token_with_the_scopes_of_its_connection_or_of_ours(clouds: FakeClouds) -> None:
    clouds.expires_at = time.time() + 3600
    token = lender(GOOGLE).lend(is_rejected=False)
    assert token.value == "token-1"
    assert token.renew_at == pytest.approx(clouds.expires_at - 30, abs=1)
    lender(GOOGLE, "a", "b").lend(is_rejected=False)
    key = {"keyfile_dict": "planted-key"}
    assert clouds.opened == [{"extras": key, "scopes": ["default"]}, {"extras": key, "scopes": ["a", "b"]}]


def test_azure_lends_a_token_for_a_scope(clouds: FakeClouds) -> None:
    clouds.expires_at = time.time() + 3600
    token = lender(AZURE, SCOPE).lend(is_rejected=False)
    assert token.value == f"token-1 for ('{SCOPE}',)"
    assert token.renew_at == pytest.approx(clouds.expires_at - 30, abs=1)
    assert clouds.opened == [{"login": "app", "extras": {"tenantId": "t", "use_azure_identity_object": True}}]


@pytest.mark.parametrize("is_temporary", [True, False])
def test_aws_lends_its_keys_and_temporary_ones_for_some_minutes(clouds: FakeClouds, is_temporary: bool) -> None:
    clouds.is_temporary = is_temporary
    token = lender(AWS).lend(is_rejected=False)
    expected = {"secret_key": "the-secret"} | ({"session_token": "session"} if is_temporary else {})
    assert (token.value, token.variables) == ("token-1", expected)
    assert token.renew_at == (pytest.approx(time.time() + 300, abs=5) if is_temporary else None)
    assert clouds.opened == [{"login": "AKIA", "region": "eu-west-1"}]


@pytest.mark.parametrize("connection", [GOOGLE, AZURE, AWS], ids=lambda each: each.conn_type)
def test_the_credentials_are_kept_until_they_are_refused_or_the_connection_changes(
    clouds: FakeClouds, connection: Connection
) -> None:
    what = AWS_KEYS if connection is AWS else TOKEN
    found = Lookups(connection)
    lends = ConnectionLender(BorrowedCredentials("other", what, (SCOPE,), "eu-west-1"), found)
    for _ in range(3):
        lends.lend(is_rejected=False)
    assert (len(clouds.opened), clouds.renewed, found.asked) == (1, 3, ["other"] * 3)
    lends.lend(is_rejected=True)
    assert len(clouds.opened) == 2
    changed = Connection.from_json(connection.as_json())
    changed.conn_id, changed.password = "other", "new"
    found.connection = changed
    for _ in range(2):
        lends.lend(is_rejected=False)
    assert len(clouds.opened) == 3


@pytest.mark.parametrize(
    ("connection", "module", "package"),
    [
        (GOOGLE, fake_providers.GOOGLE_HOOK, "apache-airflow-providers-google"),
        (AZURE, fake_providers.AZURE_HOOK, "apache-airflow-providers-microsoft-azure"),
        (AWS, fake_providers.AWS_HOOK, "apache-airflow-providers-amazon"),
    ],
    ids=lambda each: getattr(each, "conn_type", ""),
)
def test_a_provider_that_is_not_installed_is_named(
    monkeypatch: pytest.MonkeyPatch, connection: Connection, module: str, package: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ConfigurationError, match="provider can't be imported") as caught:
        lender(connection, SCOPE).lend(is_rejected=False)
    assert str(caught.value).startswith("credentials_conn_id: connection 'other': it is of type '")
    assert str(caught.value).endswith(f"install {package} on workers and triggerers")


@pytest.mark.parametrize(
    ("connection", "what", "message"),
    [
        (AirflowNotFoundException("planted"), TOKEN, "doesn't exist; `airflow connections list` shows what there is"),
        (ConfigurationError("this task may not read it"), TOKEN, "this task may not read it"),
        (
            Connection(conn_id="other", conn_type="http"),
            TOKEN,
            "it is of type 'http'; only aws, azure, google_cloud_pla",
        ),
        (
            Connection(conn_id="other", conn_type=None),
            TOKEN,
            "it is of type ''; only aws, azure, google_cloud_platform",
        ),
        (AWS, TOKEN, "it is of type 'aws', which lends no token; set auth to 'aws_sigv4'"),
        (GOOGLE, AWS_KEYS, "it is of type 'google_cloud_platform', which lends no AWS keys; set auth to 'connection'"),
        (AZURE, TOKEN, "it is of type 'azure', whose tokens are for one API: set scope to the API's"),
    ],
)
def test_a_connection_that_lends_nothing_is_named(clouds: FakeClouds, connection: Any, what: str, message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        lender(connection, what=what).lend(is_rejected=False)
    assert str(caught.value).startswith(f"credentials_conn_id: connection 'other': {message}")


def test_a_look_up_that_airflow_can_t_answer_is_repeated_later(clouds: FakeClouds) -> None:
    with pytest.raises(TransportError, match="Airflow can't be asked for it: API_SERVER_ERROR") as caught:
        lender(AirflowUnavailableError("API_SERVER_ERROR")).lend(is_rejected=False)
    assert caught.value.sent is False


@pytest.mark.parametrize(
    ("connection", "error", "kind", "message"),
    [
        (GOOGLE, AirflowException("planted"), ConfigurationError, "its key isn't the key file of a service account"),
        (GOOGLE, ValueError("planted"), ConfigurationError, "set keyfile_dict to the content of the file, or key_path"),
        (
            GOOGLE,
            fake_providers.GoogleAuthError("nothing found"),
            ConfigurationError,
            r"there are no default credentials of Google here \(nothing found\)",
        ),
        (AZURE, ValueError("bad tenant"), ConfigurationError, "it isn't valid: bad tenant"),
        (
            AWS,
            fake_providers.ClientError(403, "AssumeRole: not authorized"),
            AuthenticationError,
            "AWS refuses its credentials: AssumeRole: not authorized; check the keys, and the role if it has one",
        ),
        (
            AWS,
            fake_providers.BotoCoreError("no such profile"),
            ConfigurationError,
            "keys can't be used: no such profile",
        ),
    ],
)
def test_a_connection_that_is_invalid_is_named(
    clouds: FakeClouds, connection: Connection, error: Exception, kind: type[Exception], message: str
) -> None:
    clouds.on_open = error
    with pytest.raises(kind, match=message) as caught:
        lender(connection, SCOPE).lend(is_rejected=False)
    assert "planted" not in str(caught.value)
    assert "planted" not in repr(caught.value.__cause__)


@pytest.mark.parametrize(
    ("connection", "error", "kind", "message"),
    [
        (
            GOOGLE,
            fake_providers.RefreshError("invalid_grant: account not found", {"error": "invalid_grant"}),
            AuthenticationError,
            "Google refuses its credentials: invalid_grant: account not found; check the key, the scopes",
        ),
        (GOOGLE, fake_providers.RefreshError("busy", retryable=True), TransportError, "doesn't answer: busy"),
        (GOOGLE, fake_providers.GoogleTransportError("no route"), TransportError, "doesn't answer: no route"),
        (GOOGLE, fake_providers.RefreshError(), AuthenticationError, "refuses its credentials: RefreshError"),
        (
            AZURE,
            fake_providers.ClientAuthenticationError("AADSTS7000215"),
            AuthenticationError,
            "Azure refuses its credentials: AADSTS7000215; check login, password and tenantId",
        ),
        (
            AZURE,
            fake_providers.AzureError("no route"),
            TransportError,
            "Azure's token endpoint doesn't answer: no route",
        ),
        (AWS, fake_providers.ClientError(503, "busy"), TransportError, "AWS can't return its keys now: busy"),
        (AWS, fake_providers.BotoConnectionError("no route"), TransportError, "AWS doesn't answer: no route"),
        (AWS, fake_providers.HttpClientError("broken"), TransportError, "AWS doesn't answer: broken"),
    ],
)
def test_a_refusal_fails_and_a_failure_may_be_repeated(
    clouds: FakeClouds, connection: Connection, error: Exception, kind: type[Exception], message: str
) -> None:
    clouds.on_renew = error
    with pytest.raises(kind, match=message) as caught:
        lender(connection, SCOPE).lend(is_rejected=False)
    assert getattr(caught.value, "sent", False) is False


def test_aws_without_keys_says_so(clouds: FakeClouds) -> None:
    clouds.has_keys = False
    with pytest.raises(ConfigurationError, match="it has no keys, and there are no default credentials of AWS here"):
        lender(AWS).lend(is_rejected=False)
