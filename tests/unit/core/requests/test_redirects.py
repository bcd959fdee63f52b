from __future__ import annotations

import pytest

from airflow_provider_asyncapi.core.errors import (
    RedirectError,
)
from airflow_provider_asyncapi.core.http.messages import Request
from airflow_provider_asyncapi.core.requests.exchange import send
from airflow_provider_asyncapi.core.requests.response_policy import ResponsePolicy
from tests.unit.core.flow_runner import BASE, FlowRunner, make_api, make_response
from tests.unit.core.requests.messages import get, redirect


def post(path: str = "/jobs", body: bytes = b"{}") -> Request:
    return Request("POST", BASE + path, (("Content-Type", "application/json"), ("Accept", "x/y")), body)


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
    expected = r"answered 302 with a Location that isn't followed, because it (has|holds) "
    with pytest.raises(RedirectError, match=expected):
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
