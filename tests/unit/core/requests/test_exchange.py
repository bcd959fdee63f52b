from __future__ import annotations

import logging
from typing import Any

import pytest

from airflow_provider_asyncapi.core.errors import (
    AuthenticationError,
    ConfigurationError,
    ContentError,
    JobNotFoundError,
    RedirectError,
    RequestRejectedError,
    TransportError,
    UnavailableError,
    UnsafeValueError,
)
from airflow_provider_asyncapi.core.http.messages import Request
from airflow_provider_asyncapi.core.requests.classification import rule_handles_status_code
from airflow_provider_asyncapi.core.requests.exchange import send
from airflow_provider_asyncapi.core.requests.request_template import RequestTemplate
from airflow_provider_asyncapi.core.requests.response_errors import build_rejection_error, describe_bad_response
from airflow_provider_asyncapi.core.requests.response_policy import ResponsePolicy
from airflow_provider_asyncapi.core.requests.retries import RetryBudget, send_with_retries
from airflow_provider_asyncapi.core.requests.schedule import PollSchedule
from airflow_provider_asyncapi.core.status.rules import parse_rules
from tests.unit.core.flow_runner import BASE, START, FlowRunner, make_api, make_lost_error, make_response

LOGIN: dict[str, Any] = {
    "auth": "login",
    "login": "ann",
    "password": "pw-planted",
    "login_request": {"endpoint": "/login", "json": {"password": "{connection.password}"}},
    "login_selector": "token",
}


def get(path: str = "/jobs", **headers: str) -> Request:
    return Request("GET", BASE + path, tuple((name.replace("_", "-"), value) for name, value in headers.items()))


def post(path: str = "/jobs", body: bytes = b"{}") -> Request:
    return Request("POST", BASE + path, (("Content-Type", "application/json"), ("Accept", "x/y")), body)


def redirect(location: str, status: int = 302) -> Any:
    return make_response(None, status, location=location)


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


# Redirects


@pytest.mark.parametrize(
    ("status", "method", "then"),
    [
        (301, "POST", "GET"),
        (302, "POST", "GET"),
        (303, "POST", "GET"),
        (303, "DELETE", "GET"),
        (301, "DELETE", "DELETE"),
        (302, "PUT", "PUT"),
        (307, "POST", "POST"),
        (308, "POST", "POST"),
        (303, "HEAD", "HEAD"),
        (301, "GET", "GET"),
    ],
)
def test_redirects_keep_or_change_the_method_as_browsers_do(status, method, then):
    body = None if method in ("GET", "HEAD", "DELETE") else b"{}"
    runner = FlowRunner(make_api(), redirect("/v1/else", status), make_response({}))
    request = Request(method, BASE + "/jobs", (("Content-Type", "application/json"), ("Accept", "x/y")), body)
    runner.run(send(runner.api, request))
    assert runner.paths == [f"{method} /jobs", f"{then} /else"]
    followed = runner.requests[1]
    changed = then != method
    assert followed.body == (None if changed else body)
    assert followed.has_header("content-type") is not changed
    assert followed.has_header("accept")


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("7", BASE + "/7"),
        ("/top", "https://api.example.com/top"),
        ("?a=b", BASE + "/jobs?a=b"),
        ("https://api.example.com/v1/7#part", BASE + "/7"),
        ("//api.example.com/v1/7", BASE + "/7"),
        (" /v1/7 ", BASE + "/7"),
    ],
)
def test_a_location_is_resolved_against_the_request(location, target):
    runner = FlowRunner(make_api(), redirect(location), make_response({}))
    assert runner.run(send(runner.api, get())).url == target


def test_another_origin_gets_no_credentials_no_connection_headers_and_no_secrets_of_the_author():
    api = make_api(
        auth="bearer", password="planted-token", headers={"X-Tenant": "tenant-planted"}, variables={"k": "hidden-k"}
    )
    runner = FlowRunner(api, redirect("https://files.example.net/7"), make_response({}))
    request = get(accept="x/y", x_api_key="planted-other", cookie="a=planted", x_plain="hidden-k")
    runner.run(send(api, request))
    assert runner.header("X-Plain", 0) == "hidden-k"
    assert runner.requests[1].headers == (("accept", "x/y"),)


def test_back_at_the_api_the_credentials_are_sent_again():
    api = make_api(auth="bearer", password="planted-token")
    runner = FlowRunner(api, redirect("https://files.example.net/7"), redirect(BASE + "/8"), make_response({}))
    runner.run(send(api, get()))
    assert [runner.header("Authorization", index) for index in range(3)] == [
        "Bearer planted-token",
        None,
        "Bearer planted-token",
    ]


def test_https_does_not_lead_to_http():
    runner = FlowRunner(make_api(), redirect("http://api.example.com/v1/7?key=planted"))
    with pytest.raises(RedirectError, match="https to http") as caught:
        runner.run(send(runner.api, get()))
    assert "planted" not in str(caught.value)


@pytest.mark.parametrize("status", [307, 308])
def test_a_body_does_not_go_to_another_origin(status):
    runner = FlowRunner(make_api(), redirect("https://files.example.net/7", status))
    with pytest.raises(RedirectError, match="trusted_hosts"):
        runner.run(send(runner.api, post()))


def test_a_body_goes_to_a_trusted_host():
    runner = FlowRunner(
        make_api(trusted_hosts=["files.example.net"]), redirect("https://files.example.net/7", 307), make_response({})
    )
    runner.run(send(runner.api, post()))
    assert runner.requests[1].body == b"{}"


@pytest.mark.parametrize("location", ["http:\\\\evil/x", "/\\evil/x", "https:evil/x", "///evil/x", "/\t/evil/x"])
def test_a_location_in_which_browsers_find_another_host_is_not_followed(location):
    runner = FlowRunner(make_api(), redirect(location))
    with pytest.raises(RedirectError, match=r"answered 302 with a Location that isn't followed, for it (has|holds) "):
        runner.run(send(runner.api, get()))
    assert len(runner.requests) == 1


@pytest.mark.parametrize("location", ["ftp://api.example.com/", "https://[1", "https://h:port/", "mailto:a@b"])
def test_a_location_that_is_no_http_address_is_not_followed(location):
    runner = FlowRunner(make_api(), redirect(location))
    with pytest.raises(RedirectError, match="no http address"):
        runner.run(send(runner.api, get()))


def test_a_circle_of_redirects_ends():
    runner = FlowRunner(make_api(), redirect("/v1/a"), redirect("/v1/jobs"))
    with pytest.raises(RedirectError, match="2 times"):
        runner.run(send(runner.api, get()))


def test_a_long_way_of_redirects_ends():
    runner = FlowRunner(make_api(), *(redirect(f"/v1/{number}") for number in range(20)))
    with pytest.raises(RedirectError, match="11 times"):
        runner.run(send(runner.api, get()))


def test_a_redirect_that_says_not_where_to_is_an_answer():
    runner = FlowRunner(make_api(), make_response(None, 302))
    assert runner.run(send(runner.api, get())).status == 302


def test_a_stop_keeps_a_redirect_from_being_followed():
    runner = FlowRunner(make_api(), redirect("/v1/7", 303))
    assert runner.run(send(runner.api, post(), ResponsePolicy(is_final=lambda got: got.status == 303))).status == 303


# Errors


@pytest.mark.parametrize(
    ("status", "kind"),
    [(404, JobNotFoundError), (410, JobNotFoundError), (400, RequestRejectedError), (302, RequestRejectedError)],
)
def test_a_rejection_says_what_was_asked_what_came_and_what_the_api_says(status, kind):
    error = build_rejection_error(
        make_api(), get(), make_response({"title": "Bad", "detail": "no gstin"}, status), expected="200"
    )
    assert type(error) is kind
    assert str(error) == f"GET {BASE}/jobs answered {status}, expected 200: Bad: no gstin"


def test_no_error_shows_a_secret():
    api = make_api(auth="bearer", password="planted-token")
    body = {"detail": "bad token planted-token", "password": "planted-else"}
    shown = [
        str(build_rejection_error(api, get("/jobs?sig=planted"), make_response(body, 400))),
        describe_bad_response(
            api, get("/jobs?sig=planted"), make_response(body), ContentError("planted-token isn't JSON")
        ),
    ]
    assert "planted" not in "".join(shown)
    assert "the body begins" in shown[1]


def test_an_empty_body_is_called_so():
    assert "no message in the body" in str(build_rejection_error(make_api(), get(), make_response(None, 400)))
    assert "begins" not in describe_bad_response(make_api(), get(), make_response(None), ContentError("expected JSON"))


def test_only_a_rule_of_the_status_code_speaks_of_it():
    rules = parse_rules(
        [
            {"selector": "state", "in": "x", "outcome": "failure"},
            {"selector": "status_code", "in": [503], "outcome": "running"},
        ]
    )
    assert rule_handles_status_code(rules, make_response({"state": "x"}, 503), {})
    assert not rule_handles_status_code(rules, make_response({"state": "x"}, 500), {})


def test_a_rule_that_cannot_read_an_error_page_does_not_speak_of_it():
    rules = parse_rules(
        [{"all": [{"selector": "status_code", "in": [502]}, {"selector": "a", "exists": True}], "outcome": "retry"}]
    )
    assert not rule_handles_status_code(rules, make_response(b"<html>Bad gateway", 502), {})


# Patience

SCHEDULE = PollSchedule(interval=2.0, max_errors=3, retry_delays={503: 7.0})


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 599])
def test_transient_errors_are_repeated(status):
    runner = FlowRunner(make_api(), make_response({"message": "busy"}, status), make_response({}))
    assert runner.run(send_with_retries(runner.api, get(), SCHEDULE)).ok
    assert runner.sleeps == [7.0 if status == 503 else 2.0]
    assert runner.logs[0][0] == logging.WARNING
    assert f"answered {status}: busy; trying again in" in runner.log_text


def test_lost_answers_are_repeated_until_there_are_too_many():
    runner = FlowRunner(make_api(), make_lost_error(), make_lost_error(), make_lost_error())
    with pytest.raises(UnavailableError, match=r"the connection broke \(3 errors in a row\)"):
        runner.run(send_with_retries(runner.api, get(), SCHEDULE))
    assert runner.sleeps == [2.0, 4.0]


@pytest.mark.parametrize("status", [200, 204, 400, 401, 404, 501, 505])
def test_any_other_answer_ends_the_patience(status):
    runner = FlowRunner(make_api(), make_response({}, status))
    assert runner.run(send_with_retries(runner.api, get(), SCHEDULE)).status == status


def test_an_error_tells_which_request_was_answered_how():
    runner = FlowRunner(make_api(), make_response({}, 503), make_response({}, 502), make_response({}, 500))
    with pytest.raises(UnavailableError) as raised:
        runner.run(send_with_retries(runner.api, get("/jobs?key=planted"), SCHEDULE))
    assert (raised.value.method, raised.value.url, raised.value.status_code) == ("GET", f"{BASE}/jobs", 500)


def test_an_error_without_an_answer_tells_which_request_it_was():
    runner = FlowRunner(make_api(), make_lost_error())
    with pytest.raises(TransportError) as raised:
        runner.run(send(runner.api, get("/jobs?key=planted")))
    assert (raised.value.method, raised.value.url, raised.value.status_code) == ("GET", f"{BASE}/jobs", None)


def test_a_stop_makes_an_answer_of_a_transient_error():
    runner = FlowRunner(make_api(), make_response({}, 503))
    assert (
        runner.run(
            send_with_retries(runner.api, get(), SCHEDULE, ResponsePolicy(is_final=lambda got: got.status == 503))
        ).status
        == 503
    )


@pytest.mark.parametrize(
    ("said", "wait"),
    [("5", 5.0), ("0", 1.0), ("Tue, 14 Nov 2023 22:14:20 GMT", 60.0), ("soon", 7.0)],
    ids=["seconds", "at once", "a date", "nonsense"],
)
def test_retry_after_is_obeyed(said, wait):
    assert START == 1_700_000_000  # Tue, 14 Nov 2023 22:13:20 GMT
    runner = FlowRunner(make_api(), make_response({}, 503, retry_after=said), make_response({}))
    runner.run(send_with_retries(runner.api, get(), SCHEDULE))
    assert runner.sleeps == [wait]


def test_an_unreadable_body_ends_with_its_own_message():
    budget = RetryBudget(SCHEDULE, errors=2)
    with pytest.raises(ContentError, match="got an HTML page"):
        budget.next_delay(make_api(), ContentError("got an HTML page"), make_response({}))
