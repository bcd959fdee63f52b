"""The secrets of commands go to the connection, and what is shown of it has placeholders."""

import json

import pytest

from airflow_provider_asyncapi.core.connection.settings import ConnectionSettings
from airflow_provider_asyncapi.importing.curl.connection import SecretSplitter
from airflow_provider_asyncapi.importing.curl.request import read_curl_commands


def split(*commands):
    requests = [request for command in commands for request in read_curl_commands(command)]
    splitter = SecretSplitter(requests[0].origin)
    parameters = [splitter.split(request) for request in requests]
    fields = {name: value for name, value in splitter.connection.items() if name not in {"conn_type", "extra"}}
    # The connection is one that can be used.
    ConnectionSettings.parse({**fields, **splitter.connection.get("extra", {})})
    assert "s3cret" not in json.dumps([parameters, splitter.shown_connection, splitter.notices])
    return splitter, parameters


@pytest.mark.parametrize(
    ("options", "connection"),
    [
        ("-u me:s3cret", {"login": "me", "password": "s3cret", "extra": {"auth": "basic"}}),
        ("--digest -u me:s3cret", {"login": "me", "password": "s3cret", "extra": {"auth": "digest"}}),
        ("-H 'Authorization: Bearer s3cret'", {"password": "s3cret", "extra": {"auth": "bearer"}}),
        (
            "-H 'X-Api-Key: s3cret'",
            {"password": "s3cret", "extra": {"auth": "api_key", "key_name": "X-Api-Key", "key_in": "header"}},
        ),
        (
            "-H 'Authorization: Token s3cret' -b 'sid=s3cret'",
            {"extra": {"secret_headers": {"Authorization": "Token s3cret", "Cookie": "sid=s3cret"}}},
        ),
        (
            "-u me:s3cret -H 'X-Auth-Token: s3cret-2'",
            {
                "login": "me",
                "password": "s3cret",
                "extra": {"auth": "basic", "secret_headers": {"X-Auth-Token": "s3cret-2"}},
            },
        ),
        ("-k -x http://u:s3cret@proxy:1", {"extra": {"verify": False, "proxy": "http://u:s3cret@proxy:1"}}),
        ("", {}),
    ],
)
def test_credentials(options, connection):
    splitter, (parameters,) = split(f"curl {options} https://h/x")
    assert splitter.connection == {"conn_type": "asyncapi", "host": "https://h", **connection}
    assert parameters == {"endpoint": "/x"}


def test_keys_in_the_query():
    splitter, (parameters,) = split("curl 'https://h/x?api_key=s3cret&a=1&a=2&a=3'")
    assert splitter.connection["extra"] == {"auth": "api_key", "key_name": "api_key", "key_in": "query"}
    assert parameters["query_params"] == {"a": ["1", "2", "3"]}
    splitter, (parameters,) = split("curl -u me:s3cret 'https://h/x?api_key=s3cret-2'")
    assert parameters["query_params"] == {"api_key": "{connection.api_key}"}
    assert splitter.shown_connection["extra"]["secrets"] == {"api_key": "<api_key>"}


def test_secrets_in_the_body():
    splitter, parameters = split(
        'curl --json \'{"auth": [{"client-secret": "s3cret"}], "password": "s3cret-2", "n": 1}\' https://h/x',
        "curl -d password=s3cret-3 https://h/y",
    )
    assert parameters[0]["json"] == {
        "auth": [{"client-secret": "{connection.client_secret}"}],
        "password": "{connection.password}",
        "n": 1,
    }
    assert parameters[1]["data"] == {"password": "{connection.password_}"}
    assert splitter.connection["extra"]["secrets"] == {
        "client_secret": "s3cret",
        "password": "s3cret-2",
        "password_": "s3cret-3",
    }


@pytest.mark.parametrize(
    ("body", "kept", "secret"),
    [
        (
            '{"password": "s3cret-4", "parent": null}',
            '{"password": "{connection.secret}", "parent": null}',
            "s3cret-4",
        ),
        ("<job><password>s3cret-4</password></job>", "<job><password>{connection.secret}</password></job>", "s3cret-4"),
        ("client_secret=s3cret%2D4&flag", "client_secret={connection.secret}&flag", "s3cret%2D4"),
    ],
)
def test_secrets_in_a_body_that_stays_a_text(body, kept, secret):
    splitter, (parameters,) = split(f"curl -H 'Content-Type: text/x' -d '{body}' https://h/x")
    assert parameters["data"] == kept
    assert splitter.connection["extra"] == {"secrets": {"secret": secret}}


def test_the_key_of_a_query_is_one_by_its_short_name_too():
    splitter, (parameters,) = split("curl -d key=PROJ-1 'https://h/x?key=s3cret'")
    assert splitter.connection["extra"] == {"auth": "api_key", "key_name": "key", "key_in": "query"}
    assert parameters == {"endpoint": "/x", "data": {"key": "PROJ-1"}}


def test_several_commands_share_a_connection():
    bearer = "-H 'Authorization: Bearer s3cret'"
    splitter, parameters = split(
        f"curl -X POST {bearer} https://h/x", f"curl {bearer} https://other:1/y/:id", "curl -u a:s3cret https://h/z"
    )
    assert parameters[0] == {"endpoint": "/x", "method": "POST"}
    assert parameters[1] == {"endpoint": "https://other:1/y/{id}"}
    assert splitter.connection["extra"] == {"auth": "bearer", "trusted_hosts": ["other:1"]}
    assert splitter.notices == [
        "the connection's credentials are sent to other:1 too (trusted_hosts)",
        "the commands have different credentials; the credentials of the first one are used",
    ]


def test_headers_with_different_values_are_named():
    splitter, _ = split("curl -b a=s3cret https://h/x", "curl -b a=s3cret-2 https://h/x")
    assert splitter.notices == ["the commands have different values of the header Cookie; the first is used"]
