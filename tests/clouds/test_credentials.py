"""
Credentials of connections of Google Cloud, Azure and AWS, by the hooks of their real providers.

The token endpoints are pretended, and verify what they are sent: the signed assertion of a service account, the secret
of a service principal, the signature of a request for a role.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import jwt
import pytest
from airflow.sdk import Connection
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from airflow_provider_asyncapi.connections.reading import read_connection
from airflow_provider_asyncapi.core.connection.api import Api
from airflow_provider_asyncapi.core.http.messages import Request
from airflow_provider_asyncapi.core.requests.exchange import send
from tests.aws_server import ACCESS_KEY, REGION, SECRET_KEY, SESSION_TOKEN, AwsApi
from tests.clouds.conftest import Internet
from tests.docs.snippets import snippets
from tests.loopback import Asked, Behaviour, Server, encode, reply
from tests.unit.transports.driving import DRIVERS, Outcome, run, run_all

#: The libraries of the clouds use functions that are deprecated.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

SHOWN = {each.value: json.loads(each.text) for each in snippets("json") if each.key == "connection"}
ACCOUNT = "robot@project.iam.gserviceaccount.com"


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


class Vendor(Server):
    """An API that accepts one bearer token at a time."""

    def __init__(self) -> None:
        super().__init__(self.answer)
        self.accepted = ""

    def answer(self, asked: Asked) -> Behaviour:
        is_right = asked.headers.get("authorization") == f"Bearer {self.accepted}"
        return reply({"id": 7}) if is_right else reply({"error": {"message": "invalid token"}}, 401)


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    vendor = Vendor()
    yield vendor
    vendor.close()


@pytest.fixture(params=DRIVERS)
def driver(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def make_api(cloud: str, url: str, other: Connection) -> Api:
    """Return the API of the connection that the guide shows, at another address."""
    shown = SHOWN[cloud]
    connection = Connection(conn_id="ours", conn_type="asyncapi", host=url, extra=json.dumps(shown["extra"]))

    def look_up(conn_id: str) -> Connection:
        assert conn_id == shown["extra"]["credentials_conn_id"]
        return other

    return read_connection(connection, mask=False, look_up=look_up)


def ask(driver: str, api: Api, times: int = 1) -> list[Outcome]:
    return run_all(driver, api, [send(api, Request("GET", f"{api.settings.base_url}/jobs/7")) for _ in range(times)])


# Google


class GoogleTokens:
    """The token endpoint of Google, which verifies the assertions of one service account."""

    def __init__(self, key: rsa.RSAPrivateKey, vendor: Vendor, lifetime: int = 3600) -> None:
        self.key, self.vendor, self.lifetime = key, vendor, lifetime
        self.claims: list[dict[str, Any]] = []
        self.server = Server(self.answer)

    def answer(self, asked: Asked) -> Behaviour:
        form = dict(parse_qsl(asked.body.decode()))
        assert form["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
        try:
            # The audience is the same for all token endpoints.
            audience = "https://oauth2.googleapis.com/token"
            claims = jwt.decode(form["assertion"], self.key.public_key(), ["RS256"], audience=audience)
        except jwt.PyJWTError:
            return reply({"error": "invalid_grant", "error_description": "Invalid JWT Signature."}, 400)
        self.claims.append(claims)
        self.vendor.accepted = f"google-{len(self.claims)}"
        return reply({"access_token": self.vendor.accepted, "expires_in": self.lifetime, "token_type": "Bearer"})


@pytest.fixture
def google(key: rsa.RSAPrivateKey, vendor: Vendor) -> Iterator[GoogleTokens]:
    tokens = GoogleTokens(key, vendor)
    yield tokens
    tokens.server.close()


def make_key_file(key: rsa.RSAPrivateKey, google: GoogleTokens) -> dict[str, str]:
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return {
        "type": "service_account",
        "project_id": "project",
        "private_key_id": "key-1",
        "private_key": pem.decode(),
        "client_email": ACCOUNT,
        "token_uri": f"{google.server.url}/token",
    }


def google_connection(**extra: Any) -> Connection:
    return Connection(
        conn_id="google_cloud_default", conn_type="google_cloud_platform", extra=json.dumps({"project": "p", **extra})
    )


def test_the_key_of_a_service_account_is_used(
    driver: str, internet: Internet, google: GoogleTokens, key: rsa.RSAPrivateKey, vendor: Vendor
) -> None:
    api = make_api("google", vendor.url, google_connection(keyfile_dict=json.dumps(make_key_file(key, google))))
    outcomes = ask(driver, api, 3)
    assert [(outcome.error, outcome.result.status) for outcome in outcomes] == [(None, 200)] * 3
    (claims,) = google.claims
    assert (claims["iss"], claims["scope"]) == (ACCOUNT, "https://www.googleapis.com/auth/bigquery")
    assert api.redact(vendor.accepted) == "***"


def test_a_token_that_the_api_revokes_is_replaced(
    driver: str, internet: Internet, google: GoogleTokens, key: rsa.RSAPrivateKey, vendor: Vendor
) -> None:
    api = make_api("google", vendor.url, google_connection(keyfile_dict=make_key_file(key, google)))

    def poll_and_revoke() -> Any:
        yield from send(api, Request("GET", f"{vendor.url}/jobs/7"))
        vendor.accepted = "another"
        return (yield from send(api, Request("GET", f"{vendor.url}/jobs/7")))

    assert run(driver, api, poll_and_revoke()).result.status == 200
    assert len(google.claims) == 2


def test_the_default_credentials_are_used_if_the_connection_has_no_key(
    internet: Internet,
    google: GoogleTokens,
    key: rsa.RSAPrivateKey,
    vendor: Vendor,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / "default.json"
    path.write_text(json.dumps(make_key_file(key, google)))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
    (outcome,) = ask("requests", make_api("google", vendor.url, google_connection()))
    assert outcome.result.status == 200
    assert google.claims[0]["iss"] == ACCOUNT


def test_an_account_is_impersonated(
    internet: Internet, google: GoogleTokens, key: rsa.RSAPrivateKey, vendor: Vendor
) -> None:
    def impersonate(asked: Asked) -> Behaviour:
        assert asked.target == "/v1/projects/-/serviceAccounts/other@p.iam.gserviceaccount.com:generateAccessToken"
        assert asked.headers["authorization"] == "Bearer google-1"
        assert json.loads(asked.body)["scope"] == ["https://www.googleapis.com/auth/bigquery"]
        vendor.accepted = "impersonated"
        expiry = datetime.fromtimestamp(time.time() + 3600, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return reply({"accessToken": vendor.accepted, "expireTime": expiry}, content_type="application/json")

    internet.serve("iamcredentials.googleapis.com", impersonate)
    other = google_connection(
        keyfile_dict=make_key_file(key, google), impersonation_chain="other@p.iam.gserviceaccount.com"
    )
    (outcome,) = ask("requests", make_api("google", vendor.url, other))
    assert outcome.error is None
    assert outcome.result.status == 200


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        (
            lambda _: {"keyfile_dict": "planted, not JSON"},
            "ConfigurationError",
            r"credentials_conn_id: connection 'google_cloud_default': its key isn't the key file of a service account",
        ),
        (
            lambda file: {"keyfile_dict": {**file, "private_key": "planted"}},
            "ConfigurationError",
            "its key isn't the key file of a service account",
        ),
        (
            lambda file: {"keyfile_dict": {"planted": 1}},
            "ConfigurationError",
            "its key isn't the key file of a service account|there are no default credentials",
        ),
        (lambda _: {"key_path": "/no/such/file.json"}, "ConfigurationError", "its key isn't the key file"),
        (lambda _: {}, "ConfigurationError", "it has no key, and there are no default credentials of Google here"),
        (
            lambda file: {"keyfile_dict": {**file, "private_key": make_other_key()}},
            "AuthenticationError",
            r"Google refuses its credentials: .*Invalid JWT Signature.*; check the key, the scopes",
        ),
        (
            lambda file: {"keyfile_dict": {**file, "token_uri": "http://127.0.0.1:9/token"}},
            "TransportError",
            "Google's token endpoint doesn't answer",
        ),
    ],
    ids=["not JSON", "not a key", "not a key file", "no file", "no key", "wrong key", "no server"],
)
def test_a_key_that_can_t_be_used_is_an_error_that_does_not_show_it(
    internet: Internet,
    google: GoogleTokens,
    key: rsa.RSAPrivateKey,
    vendor: Vendor,
    change: Callable[[dict[str, str]], dict[str, Any]],
    kind: str,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Whether the machine is one of Google's is asked at this address.
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    other = google_connection(**change(make_key_file(key, google)))
    (outcome,) = ask("requests", make_api("google", vendor.url, other))
    assert outcome.failure[0] == kind, outcome.failure
    assert re.search(message, outcome.failure[1])
    assert "planted" not in outcome.failure[1]


def make_other_key() -> str:
    other = rsa.generate_private_key(65537, 2048)
    return other.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


# Azure


def test_the_secret_of_a_service_principal_is_used(driver: str, internet: Internet, vendor: Vendor) -> None:
    def authority(asked: Asked) -> Behaviour:
        base = "https://login.microsoftonline.com/tenant-1"
        if asked.target.startswith("/common/discovery/instance"):
            aliases = {"preferred_network": "login.microsoftonline.com", "preferred_cache": "login.windows.net"}
            metadata = [{**aliases, "aliases": ["login.microsoftonline.com"]}]
            return reply({"metadata": metadata}, content_type="application/json")
        if asked.method == "GET":
            return reply(
                {
                    "issuer": f"{base}/v2.0",
                    "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
                    "token_endpoint": f"{base}/oauth2/v2.0/token",
                },
                content_type="application/json",
            )
        form = dict(parse_qsl(asked.body.decode()))
        if (form["client_id"], form["client_secret"]) != ("app-1", "azure-secret-planted"):
            refused = {"error": "invalid_client", "error_description": "AADSTS7000215: Invalid client secret provided."}
            return reply(refused, 401, content_type="application/json")
        assert form["scope"] == "https://management.azure.com/.default"
        vendor.accepted = "azure-1"
        return reply(
            {"access_token": vendor.accepted, "expires_in": 3600, "token_type": "Bearer"},
            content_type="application/json",
        )

    internet.serve("login.microsoftonline.com", authority)
    fields: dict[str, Any] = {"conn_id": "azure_default", "conn_type": "azure", "login": "app-1"}
    fields["extra"] = json.dumps({"tenantId": "tenant-1", "subscriptionId": "s"})
    api = make_api("azure", vendor.url, Connection(**fields, password="azure-secret-planted"))
    assert [outcome.result.status for outcome in ask(driver, api, 2)] == [200, 200]
    (wrong,) = ask(driver, make_api("azure", vendor.url, Connection(**fields, password="planted-wrong")))
    assert wrong.failure[0] == "AuthenticationError"
    assert "connection 'azure_default': Azure refuses its credentials: " in wrong.failure[1]
    assert "AADSTS7000215" in wrong.failure[1]
    assert "planted" not in wrong.failure[1]


def test_a_managed_identity_is_used_if_the_connection_has_no_login(
    internet: Internet, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def identity(asked: Asked) -> Behaviour:
        assert asked.headers["x-identity-header"] == "of-the-machine"
        assert ("resource", "https://management.azure.com") in parse_qsl(asked.target.partition("?")[2])
        vendor.accepted = "managed-1"
        content = {
            "access_token": vendor.accepted,
            "expires_on": str(int(time.time()) + 3600),
            "resource": "https://management.azure.com",
            "token_type": "Bearer",
        }
        return reply(content, content_type="application/json")

    endpoint = Server(identity)
    try:
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"{endpoint.url}/token")
        monkeypatch.setenv("IDENTITY_HEADER", "of-the-machine")
        monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "ManagedIdentityCredential")
        other = Connection(conn_id="azure_default", conn_type="azure")
        (outcome,) = ask("requests", make_api("azure", vendor.url, other))
        assert outcome.error is None
        assert outcome.result.status == 200
    finally:
        endpoint.close()


# AWS


@pytest.fixture
def gateway() -> Iterator[AwsApi]:
    gateway = AwsApi(lambda _: reply({"id": 7}), time.time)
    yield gateway
    gateway.close()


def aws_connection(*, login: str | None = ACCESS_KEY, password: str | None = SECRET_KEY, **extra: Any) -> Connection:
    return Connection(
        conn_id="aws_default",
        conn_type="aws",
        login=login,
        password=password,
        extra=json.dumps(extra) if extra else None,
    )


def test_the_keys_of_a_connection_sign(driver: str, internet: Internet, gateway: AwsApi) -> None:
    outcomes = ask(driver, make_api("aws", gateway.url, aws_connection()), 2)
    assert [(outcome.error, outcome.result.status) for outcome in outcomes] == [(None, 200)] * 2


def test_the_default_credentials_of_the_machine_sign(
    internet: Internet, gateway: AwsApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    monkeypatch.setenv("AWS_SESSION_TOKEN", SESSION_TOKEN)
    gateway.session_token = SESSION_TOKEN
    (outcome,) = ask("requests", make_api("aws", gateway.url, aws_connection(login=None, password=None)))
    assert outcome.error is None
    assert outcome.result.status == 200


def test_a_role_is_assumed_and_its_keys_sign(driver: str, internet: Internet, gateway: AwsApi) -> None:
    gateway.session_token = SESSION_TOKEN
    roles: list[dict[str, str]] = []

    def assume_role(asked: Asked) -> Behaviour:
        roles.append(dict(parse_qsl(asked.body.decode())))
        expiry = datetime.fromtimestamp(time.time() + 3600, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        keys = (
            f"<AccessKeyId>{ACCESS_KEY}</AccessKeyId><SecretAccessKey>{SECRET_KEY}</SecretAccessKey>"
            f"<SessionToken>{SESSION_TOKEN}</SessionToken><Expiration>{expiry}</Expiration>"
        )
        content = (
            '<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult>'
            f"<Credentials>{keys}</Credentials></AssumeRoleResult></AssumeRoleResponse>"
        )
        return encode(200, {"Content-Type": "text/xml"}, content.encode())

    sts = AwsApi(assume_role, time.time, "sts")
    try:
        other = aws_connection(
            role_arn="arn:aws:iam::1:role/reader",
            region_name=REGION,
            service_config={"sts": {"endpoint_url": sts.url}},
        )
        outcomes = ask(driver, make_api("aws", gateway.url, other), 3)
    finally:
        sts.close()
    assert [(outcome.error, outcome.result.status) for outcome in outcomes] == [(None, 200)] * 3
    (role,) = roles
    assert (role["Action"], role["RoleArn"]) == ("AssumeRole", "arn:aws:iam::1:role/reader")
    assert sts.refused == []


def test_keys_that_aws_does_not_know_are_named_with_their_connection(internet: Internet, gateway: AwsApi) -> None:
    (outcome,) = ask("requests", make_api("aws", gateway.url, aws_connection(login="AKIAUNKNOWN")))
    assert outcome.failure[0] == "AuthenticationError"
    assert "AWS doesn't accept the keys that the connection 'aws_default' has" in outcome.failure[1]
