from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import pytest

from airflow_provider_asyncapi.core.auth.base import Auth, AuthContext, AuthFlow
from airflow_provider_asyncapi.core.auth.registry import AUTH_KINDS
from airflow_provider_asyncapi.core.auth.tokens import Token
from airflow_provider_asyncapi.core.connection.api import Api
from airflow_provider_asyncapi.core.connection.fields import ConnectionField
from airflow_provider_asyncapi.core.connection.settings import ConnectionSettings
from airflow_provider_asyncapi.core.errors import (
    AuthenticationError,
    ConfigurationError,
    TransportError,
    UnsafeValueError,
)
from airflow_provider_asyncapi.core.http.messages import Request
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.requests.authorizer import RequestAuthorizer
from airflow_provider_asyncapi.core.requests.exchange import send
from airflow_provider_asyncapi.core.wait.checkpoint import WaitCheckpoint
from airflow_provider_asyncapi.core.wait.flow import wait
from airflow_provider_asyncapi.core.wait.plan import WaitPlan
from tests.unit.core.flow_runner import (
    BASE,
    START,
    Clock,
    FlowRunner,
    make_api,
    make_lost_error,
    make_response,
    plan_fields,
)
from tests.unit.installed_kinds import register_kind

LOGIN: dict[str, Any] = {"auth": "login", "login_request": {"endpoint": "/login"}, "login_selector": "token"}
JOB = Request("GET", f"{BASE}/jobs/7")


@dataclass(frozen=True)
class SignatureAuth(Auth):
    """Signs method, URL and time; answers a challenge."""

    name: ClassVar[str] = "signature"
    summary: ClassVar[str] = "signs each request"
    fields: ClassVar[tuple[ConnectionField, ...]] = (
        ConnectionField("signing_secret", "Signature: key", "The key.", is_secret=True),
    )

    key: str = field(repr=False)

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> Self:
        return cls(values["signing_secret"])

    def auth_flow(self, request: Request, context: AuthContext) -> AuthFlow:
        response = yield self.sign(request, context)
        if response.status == 401 and "x-nonce" in response.headers:
            context.memory["nonce"] = response.headers["x-nonce"]
            yield self.sign(request, context)

    def sign(self, request: Request, context: AuthContext) -> Request:
        nonce = context.memory.get("nonce", "")
        signed = f"{request.method} {request.url} {context.clock():.0f} {nonce}"
        signature = hmac.new(self.key.encode(), signed.encode(), hashlib.sha256).hexdigest()
        return request.with_headers([("X-Signature", f"{context.clock():.0f}:{nonce}:{signature}")])


def api_with(kind: type[Auth], **fields: Any) -> Api:
    given = {"host": BASE, "auth": kind.name, "signing_secret": "planted-key", **fields}
    with register_kind(AUTH_KINDS, kind):
        settings = ConnectionSettings.parse(given)
    return Api.from_settings(settings, clock=Clock(), rng=lambda: 0.5, make_nonce=lambda: "n")


def signing(flow: Any) -> type[Auth]:
    """Make a kind of authentication of its flow."""
    return dataclass(frozen=True)(type("Signing", (SignatureAuth,), {"auth_flow": flow, "name": "signature"}))


def expected_signature(request: str, at: float, nonce: str = "") -> str:
    signed = f"{request} {at:.0f} {nonce}"
    return f"{at:.0f}:{nonce}:" + hmac.new(b"planted-key", signed.encode(), hashlib.sha256).hexdigest()


def test_a_request_that_is_sent_again_is_authorized_once():
    authorizer, request = RequestAuthorizer(make_api(auth="bearer", password="planted-pw")), JOB
    assert not authorizer.needs_token(request)
    first = authorizer.authorize(request, None)
    assert not authorizer.needs_token(request)
    assert authorizer.authorize(request, None) is first
    assert dict(first.headers)["Authorization"] == "Bearer planted-pw"


def test_another_token_or_another_request_is_authorized_anew():
    authorizer, request = RequestAuthorizer(make_api(**LOGIN)), JOB
    assert authorizer.needs_token(request)
    sealed = [dict(authorizer.authorize(request, Token(value)).headers)["Authorization"] for value in ("one", "two")]
    assert sealed == ["Bearer one", "Bearer two"]
    elsewhere = Request("GET", "https://elsewhere.example.com/")
    assert not authorizer.needs_token(elsewhere)
    assert authorizer.authorize(elsewhere, None).headers == ()


def test_a_kind_of_authentication_sees_the_request_with_the_connections_headers():
    def flow(self, request, context):
        assert dict(request.headers)["X-Org"] == "42"
        yield request.with_headers([("X-Body", str(len(request.body)))])

    runner = FlowRunner(api_with(signing(flow), headers={"X-Org": "42"}), make_response({}))
    runner.run(send(runner.api, Request("POST", f"{BASE}/jobs", body=b"abc")))
    assert (runner.header("X-Org"), runner.header("X-Body")) == ("42", "3")


def test_a_challenge_is_answered_and_remembered_for_the_next_request():
    runner = FlowRunner(
        api_with(SignatureAuth), make_response({}, 401, x_nonce="n-1"), make_response({"a": 1}), make_response({"a": 2})
    )
    assert runner.run(send(runner.api, JOB)).json == {"a": 1}
    assert runner.run(send(runner.api, JOB)).json == {"a": 2}
    asked = f"GET {JOB.url}"
    assert [runner.header("X-Signature", index) for index in range(3)] == [
        expected_signature(asked, START),
        expected_signature(asked, START, "n-1"),
        expected_signature(asked, START, "n-1"),
    ]
    assert runner.logs == []


def test_each_poll_of_a_wait_is_signed_anew():
    running, done = make_response({"status": "running"}), make_response({"status": "done"})
    runner = FlowRunner(api_with(SignatureAuth), running, make_response({"status": "running"}), done)
    plan = WaitPlan.parse(plan_fields())
    runner.run(wait(runner.api, plan, WaitCheckpoint(JobHandle("7", submitted_at=START), START, None)))
    assert [runner.header("X-Signature", index) for index in range(3)] == [
        expected_signature(f"GET {JOB.url}", START + at) for at in runner.times
    ]
    assert len(set(runner.times)) == 3


def test_a_redirect_is_signed_for_where_it_leads_and_not_at_all_for_another_host():
    runner = FlowRunner(
        api_with(SignatureAuth),
        make_response(status=302, location=f"{BASE}/other"),
        make_response(status=302, location="https://elsewhere.example.net/file"),
        make_response({}),
    )
    response = runner.run(send(runner.api, JOB))
    assert response.url == "https://elsewhere.example.net/file"
    assert runner.header("X-Signature", 1) == expected_signature(f"GET {BASE}/other", START)
    assert runner.header("X-Signature", 2) is None


def test_a_kind_may_use_a_token_of_a_login_and_gets_a_new_one_once_the_old_is_refused():
    from airflow_provider_asyncapi.core.auth.login_request import LoginRequestAuth

    @dataclass(frozen=True)
    class TokenSignature(LoginRequestAuth):
        name: ClassVar[str] = "token_signature"
        is_constant: ClassVar[bool] = False

        def auth_flow(self, request: Request, context: AuthContext) -> AuthFlow:
            assert context.token is not None
            yield request.with_headers([("X-Token", f"{request.method}:{context.token.value}")])

    with register_kind(AUTH_KINDS, TokenSignature):
        settings = ConnectionSettings.parse({"host": BASE, **LOGIN, "auth": "token_signature"})
    api = Api.from_settings(settings, clock=Clock(), rng=lambda: 0.5, make_nonce=lambda: "n")
    runner = FlowRunner(
        api, make_response({"token": "t-1"}), make_response({}, 401), make_response({"token": "t-2"}), make_response({})
    )
    assert runner.run(send(api, JOB)).ok
    assert [runner.header("X-Token", index) for index in range(4)] == [None, "GET:t-1", None, "GET:t-2"]


def test_a_request_that_gets_lost_in_a_challenge_says_whether_it_was_sent():
    runner = FlowRunner(api_with(SignatureAuth), make_response({}, 401, x_nonce="n-1"), make_lost_error(sent=False))
    with pytest.raises(TransportError) as raised:
        runner.run(send(runner.api, JOB))
    assert not raised.value.sent


def test_a_kind_that_always_asks_for_more_is_stopped():
    def flow(self, request, context):
        while True:
            yield request

    runner = FlowRunner(api_with(signing(flow)), make_response({}, 401), forever=True)
    with pytest.raises(AuthenticationError, match="auth 'signature' still asks for more after 5 requests"):
        runner.run(send(runner.api, JOB))
    assert len(runner.requests) == 5


def test_a_kind_that_sends_nothing_is_an_error():
    def flow(self, request, context):
        yield from ()

    runner = FlowRunner(api_with(signing(flow)))
    with pytest.raises(ConfigurationError, match="auth 'signature': its auth_flow yields no request"):
        runner.run(send(runner.api, JOB))


def test_a_kind_can_take_no_credentials_to_another_host():
    def flow(self, request, context):
        yield Request("GET", "https://elsewhere.example.net/challenge")

    runner = FlowRunner(api_with(signing(flow)))
    with pytest.raises(UnsafeValueError, match="auth 'signature' would send credentials there"):
        runner.run(send(runner.api, JOB))
    trusting = FlowRunner(api_with(signing(flow), trusted_hosts="elsewhere.example.net"), make_response({}))
    assert trusting.run(send(trusting.api, JOB)).ok


def test_a_kind_can_send_no_header_that_would_end_its_line():
    def flow(self, request, context):
        yield request.with_headers([("X-Signature", "a\r\nX-Other: b")])

    runner = FlowRunner(api_with(signing(flow)))
    with pytest.raises(ConfigurationError, match="auth 'signature': the header 'X-Signature' holds a line break"):
        runner.run(send(runner.api, JOB))


def test_what_the_secret_fields_of_a_kind_hold_is_masked_and_kept_from_other_hosts():
    api = api_with(SignatureAuth)
    assert api.redact("the key is planted-key") == "the key is ***"
    assert "planted-key" not in repr(api.settings)
    with pytest.raises(UnsafeValueError, match="contains a secret of the connection"):
        FlowRunner(api).run(send(api, Request("GET", "https://elsewhere.example.net/planted-key")))
