from __future__ import annotations

import logging
from typing import Any

import pytest

from airflow_provider_asyncapi.core.errors import (
    AuthenticationError,
    ConfigurationError,
    TransportError,
    UnsafeValueError,
)
from airflow_provider_asyncapi.core.http.messages import Request
from airflow_provider_asyncapi.core.requests.exchange import send
from airflow_provider_asyncapi.core.requests.request_template import RequestTemplate
from airflow_provider_asyncapi.core.requests.response_errors import build_rejection_error
from airflow_provider_asyncapi.core.requests.response_policy import ResponsePolicy
from tests.unit.core.flow_runner import BASE, FlowRunner, make_api, make_lost_error, make_response
from tests.unit.core.requests.messages import get, redirect

LOGIN: dict[str, Any] = {
    "auth": "login",
    "login": "ann",
    "password": "pw-planted",
    "login_request": {"endpoint": "/login", "json": {"password": "{connection.password}"}},
    "login_selector": "token",
}


# Credentials


def test_credentials_and_the_connections_headers_go_to_the_api():
    runner = FlowRunner(
        make_api(auth="bearer", password="planted-token", headers={"X-Tenant": "seven"}), make_response({})
    )
    runner.run(send(runner.api, get()))
    assert runner.header("Authorization") == "Bearer planted-token"
    assert runner.header("X-Tenant") == "seven"


def template(**given: Any) -> Request:
    return RequestTemplate.parse({"endpoint": "/jobs", **given}, "").render({}, BASE)


@pytest.mark.parametrize("body", [{"json": {}}, {"xml": "<a/>"}, {"data": "text"}, {}])
def test_content_type_and_accept_of_the_connection_go_with_each_request(body):
    runner = FlowRunner(
        make_api(headers={"Content-Type": "application/vnd.x+json", "accept": "text/csv"}), make_response({})
    )
    runner.run(send(runner.api, template(**body)))
    assert runner.header("Content-Type") == "application/vnd.x+json"
    assert runner.header("Accept") == "text/csv"


def test_content_type_and_accept_of_the_task_stand_in_place_of_the_connections():
    runner = FlowRunner(
        make_api(headers={"Content-Type": "application/vnd.x+json", "Accept": "text/csv"}), make_response({})
    )
    runner.run(send(runner.api, template(json={}, headers={"content-type": "text/x", "accept": "a/b"})))
    assert runner.requests[0].headers == (("content-type", "text/x"), ("accept", "a/b"))


@pytest.mark.parametrize(
    ("body", "kind"),
    [({"data": {"a": "b"}}, "application/x-www-form-urlencoded"), ({"files": {"a": "b"}}, "multipart/form-data")],
)
def test_a_content_type_of_the_connection_that_cannot_be_that_of_a_form_is_refused(body, kind):
    runner = FlowRunner(make_api(headers={"content-type": "application/json"}))
    refused = f"'application/json' can't be that of POST .*/jobs, whose body is {kind}"
    with pytest.raises(ConfigurationError, match=refused):
        runner.run(send(runner.api, template(**body)))
    # As the message says.
    runner = FlowRunner(make_api(headers={"content-type": "application/json"}), make_response({}))
    runner.run(send(runner.api, template(**body, headers={"Content-Type": kind})))
    assert runner.sent_header("Content-Type").startswith(kind)
    runner = FlowRunner(make_api(headers={"content-type": kind}), make_response({}))
    runner.run(send(runner.api, template(**body)))
    assert runner.sent_header("Content-Type").startswith(kind)
    assert (kind == "multipart/form-data") is ("; boundary=" in runner.sent_header("Content-Type"))


def test_what_a_request_has_by_default_goes_to_another_origin_too():
    runner = FlowRunner(make_api(headers={"Accept": "text/csv"}), make_response({}))
    runner.run(send(runner.api, template(endpoint="https://files.example.net/x")))
    assert runner.header("Accept") == "application/json, */*;q=0.8"


def test_a_signed_location_is_followed_byte_for_byte():
    signed = "https://s3.example.com/a%2fb?X-Sig=ab%2bc%3d&d=/../x"
    runner = FlowRunner(make_api(), redirect(signed), make_response({}))
    runner.run(send(runner.api, get()))
    assert runner.requests[1].url == signed


def test_a_header_of_the_request_wins_over_the_connections():
    runner = FlowRunner(make_api(headers={"X-Tenant": "seven"}), make_response({}))
    runner.run(send(runner.api, get(x_tenant="eight")))
    assert runner.header("X-Tenant") == "eight"


def test_refused_credentials_are_renewed_once():
    runner = FlowRunner(
        make_api(**LOGIN),
        make_response({"token": "old-token"}),
        make_response({}, 401),
        make_response({"token": "new-token"}),
        make_response({}),
    )
    assert runner.run(send(runner.api, get())).ok
    assert runner.paths == ["POST /login", "GET /jobs", "POST /login", "GET /jobs"]
    assert runner.header("Authorization") == "Bearer new-token"
    assert runner.logs == [(logging.INFO, f"GET {BASE}/jobs answered 401: renewing the token")]


EXPIRING = {**LOGIN, "refresh_when": {"selector": "code", "in": [602]}}
EXPIRED = make_response({"code": 602, "message": "token expired"})


def test_a_token_that_a_good_answer_calls_expired_is_renewed():
    replies = [make_response({"token": "old-token"}), EXPIRED, make_response({"token": "new-token"}), make_response({})]
    runner = FlowRunner(make_api(**EXPIRING), *replies)
    # Whatever a rule of the task makes of the status code.
    assert runner.run(send(runner.api, get(), ResponsePolicy(is_final=lambda _: True))).json == {}
    assert runner.paths == ["POST /login", "GET /jobs", "POST /login", "GET /jobs"]
    assert runner.header("Authorization") == "Bearer new-token"


def test_a_token_that_is_called_expired_once_more_is_final():
    runner = FlowRunner(
        make_api(**EXPIRING), *[make_response({"token": "t-1"}), EXPIRED, make_response({"token": "t-2"}), EXPIRED]
    )
    with pytest.raises(AuthenticationError, match=r"answered 200, and by refresh_when .*: token expired \(after"):
        runner.run(send(runner.api, get()))


def test_an_answer_that_cannot_be_read_does_not_refuse_a_token():
    runner = FlowRunner(make_api(**EXPIRING), make_response({"token": "t-1"}), make_response(b"<html>"))
    assert runner.run(send(runner.api, get())).ok
    runner = FlowRunner(make_api(**EXPIRING), EXPIRED)
    assert runner.run(send(runner.api, Request("GET", "https://elsewhere.example.com/x"))).ok


@pytest.mark.parametrize("status", [401, 403])
def test_credentials_refused_after_the_renewal_are_final(status):
    api = make_api(**LOGIN)
    runner = FlowRunner(
        api,
        make_response({"token": "old-token"}),
        make_response({}, status),
        make_response({"token": "t-new"}),
        make_response({}, status),
    )
    request = get()
    response = runner.run(send(api, request))
    error = build_rejection_error(api, request, response)
    assert isinstance(error, AuthenticationError)
    assert "after the token was renewed" in str(error)
    assert len(runner.requests) == 4


def test_static_credentials_are_not_tried_twice():
    api = make_api(auth="bearer", password="planted-token")
    runner = FlowRunner(api, make_response({"detail": "no"}, 401))
    error = build_rejection_error(api, get(), runner.run(send(api, get())))
    assert isinstance(error, AuthenticationError)
    assert "check the connection's credentials" in str(error)
    assert "no" in str(error)
    assert len(runner.requests) == 1


def test_own_refresh_codes_count_as_refused_credentials():
    api = make_api(**LOGIN, refresh_codes=[419])
    runner = FlowRunner(
        api,
        make_response({"token": "t-one"}),
        make_response({}, 419),
        make_response({"token": "t-two"}),
        make_response({}, 419),
    )
    error = build_rejection_error(api, get(), runner.run(send(api, get())))
    assert isinstance(error, AuthenticationError)
    forbidden = build_rejection_error(api, get(), make_response({}, 403))
    assert "check the connection's credentials" in str(forbidden)


def test_a_refusal_by_another_host_says_that_it_got_no_credentials():
    api = make_api(auth="bearer", password="planted-token")
    request = Request("GET", "https://files.example.net/7")
    runner = FlowRunner(api, make_response({}, 403))
    error = build_rejection_error(api, request, runner.run(send(api, request)))
    assert "trusted_hosts" in str(error)
    assert runner.header("Authorization") is None


def test_a_trusted_host_gets_the_credentials():
    runner = FlowRunner(
        make_api(auth="bearer", password="planted-token", trusted_hosts=["files.example.net"]), make_response({})
    )
    runner.run(send(runner.api, Request("GET", "https://files.example.net/7")))
    assert runner.header("Authorization") == "Bearer planted-token"


def test_credentials_in_the_query_do_not_get_into_the_responses_url():
    runner = FlowRunner(
        make_api(auth="api_key", key_in="query", key_name="key", password="planted-key"), make_response({})
    )
    response = runner.run(send(runner.api, get("/jobs?a=1")))
    assert runner.requests[0].url.endswith("?a=1&key=planted-key")
    assert response.url == f"{BASE}/jobs?a=1"


def test_a_stop_decides_before_the_renewal():
    runner = FlowRunner(make_api(**LOGIN), make_response({"token": "t-one"}), make_response({}, 401))
    assert runner.run(send(runner.api, get(), ResponsePolicy(is_final=lambda got: got.status == 401))).status == 401


def test_no_address_of_a_server_is_an_error_of_ours():
    with pytest.raises(UnsafeValueError):
        FlowRunner(make_api()).run(send(make_api(), Request("GET", "https://api.example.com:port/")))


def test_an_error_without_an_answer_tells_which_request_it_was():
    runner = FlowRunner(make_api(), make_lost_error())
    with pytest.raises(TransportError) as raised:
        runner.run(send(runner.api, get("/jobs?key=planted")))
    assert (raised.value.method, raised.value.url, raised.value.status_code) == ("GET", f"{BASE}/jobs", None)
