"""Credentials that another connection lends."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from airflow_provider_asyncapi.core.auth.aws_sigv4 import AwsSigV4Auth
from airflow_provider_asyncapi.core.auth.borrowed_credentials import AWS_KEYS, TOKEN, BorrowedCredentials
from airflow_provider_asyncapi.core.auth.other_connection import ConnectionAuth
from airflow_provider_asyncapi.core.auth.tokens import Token
from airflow_provider_asyncapi.core.connection.probe import probe
from airflow_provider_asyncapi.core.errors import AuthenticationError, ConfigurationError
from airflow_provider_asyncapi.core.http.messages import Request
from airflow_provider_asyncapi.core.requests.exchange import send
from airflow_provider_asyncapi.core.requests.response_errors import build_rejection_error
from tests.unit.core.flow_runner import BASE, START, FlowRunner, make_api, make_response

CONNECTION: dict[str, Any] = {"auth": "connection", "credentials_conn_id": "my_gcp"}
AWS: dict[str, Any] = {
    "auth": "aws_sigv4",
    "credentials_conn_id": "my_aws",
    "aws_region": "eu-west-1",
    "aws_service": "execute-api",
}


class Lender:
    """Lends one token after another."""

    def __init__(self, *tokens: Token) -> None:
        self.tokens = list(tokens)
        self.asked: list[bool] = []

    def lend(self, *, is_rejected: bool) -> Token:
        self.asked.append(is_rejected)
        return self.tokens.pop(0)


def borrowing(lender: Lender, *replies: Any, **fields: Any) -> FlowRunner:
    return FlowRunner(dataclasses.replace(make_api(**{**CONNECTION, **fields}), lender=lender), *replies)


def keys(number: int, renew_at: float | None = None) -> Token:
    return Token(f"AKIA{number}", renew_at, {"secret_key": f"secret-{number}", "session_token": f"session-{number}"})


def get(runner: FlowRunner) -> Any:
    return runner.run(send(runner.api, Request("GET", f"{BASE}/jobs")))


def test_the_token_of_the_other_connection_is_sent_and_masked():
    lender = Lender(Token("planted-token"))
    runner = borrowing(lender, make_response({}), make_response({}))
    for _ in range(2):
        assert get(runner).status == 200
        assert runner.header("Authorization") == "Bearer planted-token"
    assert lender.asked == [False]
    assert runner.api.redact("planted-token") == "***"


def test_an_expired_token_is_replaced():
    lender = Lender(Token("first", START + 10), Token("second"))
    runner = borrowing(lender, make_response({}), make_response({}))
    get(runner)
    runner.clock.now += 10
    get(runner)
    assert runner.header("Authorization") == "Bearer second"
    assert lender.asked == [False, False]


def test_a_refused_token_is_replaced_once():
    lender = Lender(Token("first"), Token("second"))
    runner = borrowing(lender, make_response(None, 401), make_response(None, 401))
    response = get(runner)
    assert (response.status, lender.asked) == (401, [False, True])
    error = build_rejection_error(runner.api, runner.requests[0], response)
    assert str(error).endswith("(after the token was renewed)")


def test_a_token_that_may_not_do_this_is_kept():
    lender = Lender(Token("first"))
    assert get(borrowing(lender, make_response(None, 403))).status == 403
    assert lender.asked == [False]


@pytest.mark.parametrize(
    ("scope", "expected"),
    [(None, ()), ("", ()), ("https://a/.default", ("https://a/.default",)), ("a, b c", ("a", "b", "c"))],
)
def test_the_scopes_are_those_of_the_connection(scope, expected):
    auth = ConnectionAuth.parse({"credentials_conn_id": "my_gcp", "scope": scope})
    assert auth.borrowed == BorrowedCredentials("my_gcp", TOKEN, expected)


def test_where_nothing_is_lent_the_error_says_so():
    runner = FlowRunner(make_api(**CONNECTION))
    with pytest.raises(ConfigurationError, match="credentials_conn_id: the credentials of another connection can't be"):
        get(runner)


def test_the_test_of_a_connection_borrows_too():
    runner = borrowing(Lender(Token("first")), make_response({}), test_endpoint="/me")
    assert runner.run(probe(runner.api)).startswith("The connection 'my_gcp' has lent its credentials. GET ")


def test_requests_are_signed_with_the_keys_of_the_other_connection():
    lender = Lender(keys(1, START + 10), Token("AKIA2", None, {"secret_key": "secret-2"}))
    runner = borrowing(lender, make_response({}), make_response({}), **AWS)
    get(runner)
    assert "Credential=AKIA1/" in runner.sent_header("Authorization")
    assert runner.header("X-Amz-Security-Token") == "session-1"
    assert runner.api.redact("secret-1 session-1") == "*** ***"
    runner.clock.now += 10
    get(runner)
    assert "Credential=AKIA2/" in runner.sent_header("Authorization")
    assert runner.header("X-Amz-Security-Token") is None


@pytest.mark.parametrize("code", ["ExpiredTokenException", "UnrecognizedClientException"])
def test_refused_keys_are_replaced_once(code):
    lender = Lender(keys(1), keys(2))
    refused = make_response({"__type": code, "message": "no"}, 400)
    runner = borrowing(lender, refused, make_response({}), **AWS)
    assert get(runner).status == 200
    assert lender.asked == [False, True]
    with pytest.raises(AuthenticationError) as caught:
        get(borrowing(Lender(keys(1), keys(2)), refused, refused, **AWS))
    advice = "AWS doesn't accept the keys that the connection 'my_aws' has; change them there"
    assert str(caught.value) == f"GET {BASE}/jobs answered 400, and the token isn't accepted: no ({advice})"


def test_keys_that_sign_wrongly_are_not_replaced():
    runner = borrowing(Lender(keys(1)), make_response({"__type": "InvalidSignatureException"}, 403), **AWS)
    error = build_rejection_error(runner.api, Request("GET", f"{BASE}/jobs"), get(runner))
    assert "check the secret access key of the connection 'my_aws', aws_region 'eu-west-1'" in str(error)


def test_the_other_connection_is_asked_for_keys_in_the_region():
    auth = AwsSigV4Auth.parse(AWS)
    assert auth.borrowed == BorrowedCredentials("my_aws", AWS_KEYS, region="eu-west-1")
    assert auth.needs_token


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"auth": "connection"}, r"auth 'connection' needs credentials_conn_id \(the id of a connection of Google"),
        ({**AWS, "login": "AKIA"}, "login and credentials_conn_id are set; the keys can be those of one connection"),
        ({**AWS, "aws_session_token": "x"}, "aws_session_token and credentials_conn_id are set"),
        (
            {**AWS, "credentials_conn_id": ""},
            r"auth 'aws_sigv4' needs login \(the access key ID\) and password .*, or credentials_conn_id",
        ),
        ({**AWS, "scope": "x"}, "scope is for auth 'oauth2' or .*'connection', and auth is 'aws_sigv4'"),
    ],
)
def test_a_connection_that_can_t_borrow_is_refused(fields, message):
    with pytest.raises(ConfigurationError, match=message):
        make_api(**fields)
