"""Authenticators of a manifest become kinds of authentication that a connection accepts."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_asyncapi.core.connection.settings import ConnectionSettings
from airflow_provider_asyncapi.importing.airbyte.authenticators import parse_duration
from airflow_provider_asyncapi.importing.drafts import Draft
from tests.unit.importing.airbyte.manifests import gaps_of, import_one, make_manifest, make_stream, requester

OAUTH = {
    "type": "OAuthAuthenticator",
    "client_id": "{{ config['client_id'] }}",
    "client_secret": "{{ config.get('credentials', {}).get('client_secret', config['client_secret']) }}",
    "token_refresh_endpoint": "https://login.example.com/{{ config['tenant'] }}/token",
}
REFRESH = {**OAUTH, "refresh_token": "{{ (config.get('credentials') or config)['refresh_token'] }}"}


def import_with(authenticator: Any) -> Draft:
    creation = requester("jobs", http_method="POST", authenticator=authenticator)
    draft = import_one(make_manifest(make_stream(creation_requester=creation)))
    check_connection(draft)
    return draft


def check_connection(draft: Draft) -> None:
    """Check that the connection, with values filled in, is valid."""
    filled = json.loads(json.dumps(draft.connection).replace("<", "").replace(">", ""))
    extra = {key: value for key, value in filled.pop("extra").items() if key != "profile"}
    fields = {key: value for key, value in filled.items() if key != "conn_type"}
    ConnectionSettings.parse({**draft.profile.get("connection", {}), **fields, **extra})


def auth_of(draft: Draft) -> dict[str, Any]:
    connection: dict[str, Any] = draft.profile["connection"]
    return connection


def test_no_authenticator_is_none():
    assert auth_of(import_with(None)) == {"auth": "none"}
    assert auth_of(import_with({"type": "NoAuth"})) == {"auth": "none"}


def test_basic_has_login_and_password():
    draft = import_with(
        {"type": "BasicHttpAuthenticator", "username": "{{ config['email'] }}/token", "password": "{{ config['key'] }}"}
    )
    assert auth_of(draft) == {"auth": "basic"}
    assert (draft.connection["login"], draft.connection["password"]) == ("<email>/token", "<key>")


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"header": "X-Key"}, {"key_name": "X-Key"}),
        (
            {"inject_into": {"type": "RequestOption", "inject_into": "header", "field_name": "Auth"}},
            {"key_name": "Auth"},
        ),
        (
            {"inject_into": {"type": "RequestOption", "inject_into": "request_parameter", "field_name": "key"}},
            {"key_name": "key", "key_in": "query"},
        ),
    ],
)
def test_an_api_key_has_a_name_and_a_place(keys, expected):
    draft = import_with({"type": "ApiKeyAuthenticator", "api_token": "Key {{ config['api_key'] }}", **keys})
    assert auth_of(draft) == {"auth": "api_key", **expected}
    assert draft.connection["password"] == "Key <api_key>"


def test_an_api_key_in_the_body_is_named():
    option = {"type": "RequestOption", "inject_into": "body_json", "field_name": "key"}
    creation = requester(
        "jobs",
        http_method="POST",
        authenticator={"type": "ApiKeyAuthenticator", "api_token": "{{ config['k'] }}", "inject_into": option},
    )
    draft = import_one(make_manifest(make_stream(creation_requester=creation)))
    assert "a part of the body" in gaps_of(draft)["streams[0].retriever.creation_requester.authenticator"]


def test_a_refresh_token_is_a_field_of_the_connection():
    draft = import_with({**REFRESH, "refresh_request_body": {"scope": "a b", "tenant": "{{ config['tenant'] }}"}})
    assert auth_of(draft) == {
        "auth": "oauth2_refresh",
        "oauth2_url": "https://login.example.com/{connection.tenant}/token",
        "client_auth": "body",
        "scope": "a b",
        "oauth2_params": {"tenant": "{connection.tenant}"},
    }
    assert draft.connection["extra"] == {
        "refresh_token": "<refresh_token>",
        "variables": {"tenant": "<tenant>"},
        "profile": "orders",
    }
    assert (draft.connection["login"], draft.connection["password"]) == ("<client_id>", "<client_secret>")


def test_id_and_secret_in_base64_are_http_basic():
    pair = "{{ (config['client_id'] ~ ':' ~ config['client_secret']) | base64encode }}"
    draft = import_with({**REFRESH, "refresh_request_headers": {"Authorization": f"Basic {pair}"}})
    assert "client_auth" not in auth_of(draft)
    draft = import_with({**REFRESH, "refresh_request_headers": {"X-Client": "a"}})
    assert "headers of the token request" in str(draft.gaps)


def test_client_credentials_need_no_refresh_token():
    draft = import_with({**OAUTH, "grant_type": "client_credentials", "scopes": ["read", "write"]})
    assert auth_of(draft)["auth"] == "oauth2"
    assert auth_of(draft)["scope"] == "read write"


def test_a_token_request_with_other_names_is_a_login():
    draft = import_with(
        {
            **REFRESH,
            "client_id_name": "app_id",
            "access_token_name": "token",
            "scopes": ["read"],
            "send_refresh_request_as_query_params": True,
        }
    )
    assert auth_of(draft) == {
        "auth": "login",
        "login_request": {
            "endpoint": "https://login.example.com/{connection.tenant}/token",
            "method": "POST",
            "query_params": {
                "grant_type": "refresh_token",
                "app_id": "{connection.login}",
                "client_secret": "{connection.password}",
                "refresh_token": "{connection.refresh_token}",
                "scopes": "read",
            },
        },
        "login_selector": "token",
        "login_expiry": "expires_in",
    }
    assert draft.connection["extra"]["secrets"] == {"refresh_token": "<refresh_token>"}


def test_another_grant_is_named():
    creation = requester("jobs", http_method="POST", authenticator={**OAUTH, "grant_type": "password"})
    draft = import_one(make_manifest(make_stream(creation_requester=creation)))
    assert "the grant 'password' without a refresh token" in str(draft.gaps)


def test_a_session_token_is_a_login():
    login = {
        "type": "BasicHttpAuthenticator",
        "username": "{{ config['user'] }}",
        "password": "{{ config['password'] }}",
    }
    draft = import_with(
        {
            "type": "SessionTokenAuthenticator",
            "login_requester": requester("session", http_method="POST", authenticator=login),
            "session_token_path": ["data", "id"],
            "expiration_duration": "PT1H",
            "request_authentication": {
                "type": "ApiKey",
                "inject_into": {"type": "RequestOption", "inject_into": "header", "field_name": "X-Session"},
                "api_token": "Session {{ session_token }}",
            },
        }
    )
    assert auth_of(draft) == {
        "auth": "login",
        "login_request": {"auth": "basic", "endpoint": "https://api.example.com/v1/session", "method": "POST"},
        "login_selector": "data.id",
        "login_lifetime": 3600,
        "login_header": "X-Session",
        "login_format": "Session {token}",
    }
    assert (draft.connection["login"], draft.connection["password"]) == ("<user>", "<password>")


def test_the_credentials_of_a_login_request_are_secrets_of_the_connection():
    body = {"user": "{{ config['user'] }}", "password": "{{ config['password'] }}"}
    draft = import_with(
        {
            "type": "SessionTokenAuthenticator",
            "login_requester": requester("session", http_method="POST", request_body_json=body),
            "session_token_path": ["id"],
            "request_authentication": {"type": "Bearer"},
        }
    )
    assert auth_of(draft)["login_request"]["json"] == {
        "user": "{connection.user}",
        "password": "{connection.password}",
    }


def test_a_signed_token_has_its_claims():
    draft = import_with(
        {
            "type": "JwtAuthenticator",
            "secret_key": "{{ config['key_of_at_least_thirty_two_bytes'] }}",
            "algorithm": "HS256",
            "header_prefix": "Bearer",
            "jwt_headers": {"kid": "{{ config['kid'] }}", "typ": "JWT"},
            "jwt_payload": {"aud": "acme", "iss": "{{ config['issuer'] }}"},
        }
    )
    assert auth_of(draft) == {"auth": "jwt", "jwt_algorithm": "HS256", "jwt_lifetime": 1200}
    assert draft.connection["extra"] == {
        "jwt_secret_key": "<key_of_at_least_thirty_two_bytes>",
        "jwt_claims": {"aud": "acme", "iss": "<issuer>"},
        "jwt_headers": {"kid": "<kid>"},
        "profile": "orders",
    }
    assert draft.gaps == []


def test_what_of_a_signed_token_cant_be_set_is_named():
    draft = import_with(
        {
            "type": "JwtAuthenticator",
            "secret_key": "{{ config['key_of_at_least_thirty_two_bytes'] }}",
            "algorithm": "HS256",
            "passphrase": "x",
            "base64_encode_secret_key": True,
        }
    )
    assert len(draft.gaps) == 3


def test_of_several_kinds_the_first_is_taken_and_the_others_are_named():
    bearer = {"type": "BearerAuthenticator", "api_token": "{{ config['token'] }}"}
    draft = import_with(
        {
            "type": "SelectiveAuthenticator",
            "authenticator_selection_path": ["credentials", "kind"],
            "authenticators": {"token": bearer, "oauth": REFRESH},
        }
    )
    assert auth_of(draft) == {"auth": "bearer"}
    assert "'token' is taken, not oauth" in str(draft.gaps)


@pytest.mark.parametrize(
    ("authenticator", "message"),
    [
        ({"type": "CustomAuthenticator", "class_name": "acme.Auth"}, "acme.Auth: no kind of authentication"),
        ({"type": "LegacySessionTokenAuthenticator"}, "LegacySessionTokenAuthenticator: no kind"),
        ({"type": "SessionTokenAuthenticator"}, "a session token without login_requester"),
        ({"type": "SelectiveAuthenticator", "authenticators": {"$parameters": {}}}, "without any"),
    ],
)
def test_what_has_no_counterpart_is_named_and_the_rest_is_written(authenticator, message):
    creation = requester("jobs", http_method="POST", authenticator=authenticator)
    draft = import_one(make_manifest(make_stream(creation_requester=creation)))
    assert message in str(draft.gaps)
    assert draft.profile["submit"]["endpoint"] == "/jobs"


def test_durations_have_seconds_unless_their_length_varies():
    assert parse_duration("P1DT1H1M1S") == 90061
    assert parse_duration("P2W") == 1209600
    assert parse_duration("P1M") is None
    assert parse_duration("P") is None
    assert parse_duration("") is None
