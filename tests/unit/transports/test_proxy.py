from __future__ import annotations

import base64
from typing import Any

import pytest

from airflow_provider_asyncapi.core.http.messages import Request
from airflow_provider_asyncapi.core.requests import exchange
from tests.loopback import reply, tunnel_to
from tests.unit.transports.driving import DRIVERS, fetch, make_api, run, run_all, sending
from tests.unit.transports.test_same_trace import free_port

BASIC = "Basic " + base64.b64encode(b"ann:planted").decode()


def test_plain_requests_go_through_the_proxy(serve):
    asked = []
    for driver in DRIVERS:
        proxy = serve(reply(b"from the proxy"))
        api = make_api("http://api.invalid", proxy=proxy.url.replace("//", "//ann:planted@"))
        outcome = fetch(driver, api, Request("GET", "http://api.invalid/a%2Fb?c=%7E", (("Authorization", "own"),)))
        assert outcome.error is None
        assert outcome.result.body == b"from the proxy"
        asked += proxy.asked
    assert asked == [asked[0]] * 3
    assert asked[0].target == "http://api.invalid/a%2Fb?c=%7E"
    assert asked[0].headers["proxy-authorization"] == BASIC
    assert asked[0].headers["authorization"] == "own"


def test_tls_goes_through_a_tunnel_of_the_proxy(driver, serve, authority):
    server = serve(reply(b"fine"), reply(b"again"), tls=authority.server_context())
    proxy = serve(tunnel_to(server.port))
    api = make_api(server.url, ca_cert=authority.path, proxy=proxy.url.replace("//", "//ann:planted@"))
    outcome = fetch(driver, api, Request("GET", f"{server.url}/x"))
    assert outcome.error is None
    assert outcome.result.body == b"fine"
    assert (proxy.asked[0].method, proxy.asked[0].target) == ("CONNECT", f"127.0.0.1:{server.port}")
    assert proxy.asked[0].headers["proxy-authorization"] == BASIC
    assert "proxy-authorization" not in server.asked[0].headers


def test_what_is_not_to_be_sent_twice_has_a_new_tunnel(driver, serve, authority):
    server = serve(reply(b"fine"), reply(b"again"), tls=authority.server_context())
    proxy = serve(tunnel_to(server.port), tunnel_to(server.port))
    api = make_api(server.url, ca_cert=authority.path, proxy=proxy.url)
    request = Request("POST", f"{server.url}/x")
    outcomes = run_all(driver, api, [sending(request, is_repeatable=is_repeatable) for is_repeatable in (True, False)])
    assert [outcome.result and outcome.result.body for outcome in outcomes] == [b"fine", b"again"]
    assert len(proxy.asked) == 2


def errors(request: Request, make_proxy, **fields) -> list[Any]:
    return [
        fetch(driver, make_api("http://api.invalid", proxy=make_proxy(), **fields), request).error for driver in DRIVERS
    ]


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_is_not_there_was_sent_nothing(scheme):
    port = free_port()
    first, *others = errors(
        Request("POST", f"{scheme}://api.invalid/x"), lambda: f"http://ann:planted@127.0.0.1:{port}"
    )
    assert others == [first] * 2
    said = "couldn't connect through the proxy: Connection refused"
    assert first == ("TransportError", f"POST {scheme}://api.invalid/x: {said}", False)


@pytest.mark.parametrize("status", [403, 407, 502])
def test_a_tunnel_that_is_refused_was_sent_nothing(serve, status):
    first, *others = errors(Request("POST", "https://api.invalid/x"), lambda: serve(reply(b"", status, close=True)).url)
    assert others == [first] * 2
    assert first == (
        "TransportError",
        "POST https://api.invalid/x: couldn't connect through the proxy: the proxy refused",
        False,
    )


def test_a_stranger_behind_the_proxy_is_not_trusted(serve, authority, stranger):
    server = serve(tls=stranger.server_context())
    first, *others = errors(
        Request("POST", f"{server.url}/x"), lambda: serve(tunnel_to(server.port)).url, ca_cert=authority.path
    )
    assert others == [first] * 2
    assert "certificate isn't trusted" in first[1]
    assert first[2] is False


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"])
def test_proxies_of_the_environment_are_not_used(driver, serve, monkeypatch, name):
    proxy, server = serve(), serve(reply(b"fine"))
    monkeypatch.setenv(name, proxy.url)
    assert fetch(driver, make_api(server.url), Request("GET", f"{server.url}/x")).result.body == b"fine"
    assert proxy.asked == []


def test_the_environment_takes_nothing_off_the_proxy(driver, serve, monkeypatch):
    proxy = serve(reply(b"from the proxy"))
    monkeypatch.setenv("NO_PROXY", "*")
    outcome = fetch(driver, make_api("http://api.invalid", proxy=proxy.url), Request("GET", "http://api.invalid/x"))
    assert outcome.result.body == b"from the proxy"


@pytest.mark.parametrize("is_redirect", [False, True])
@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize(
    "host",
    [
        *("169.254.169.254", "169.254.169.254.", "2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "169.16689662"),
        *("169%2e254.169.254", "\N{FULLWIDTH DIGIT ONE}69.254.169.254", "[::a9fe:a9fe]", "[64:ff9b:1::a9fe:a9fe]"),
        *("[fe80::1%25eth0]", "metadata.google.internal", "Metadata", "0" * 300 + "25177524776"),
    ],
)
def test_no_proxy_is_asked_for_a_link_local_address_however_it_is_written(driver, serve, host, scheme, is_redirect):
    url = f"{scheme}://{host}/latest/meta-data/"
    redirect = reply(b"", 307, location=url) if host.isascii() else reply(b"", 200)
    proxy = serve(redirect, reply(b"secret"), reply(b"secret"))
    api = make_api("http://api.invalid", proxy=proxy.url)
    first = Request("GET", "http://api.invalid/x") if is_redirect and host.isascii() else Request("GET", url)
    outcome = run(driver, api, exchange.send(api, first))
    assert outcome.error is not None
    assert outcome.failure[0] in ("UnsafeValueError", "RedirectError")
    assert [asked.target for asked in proxy.asked] == ([first.url] if first.url != url else [])


def test_a_link_local_address_that_the_connection_names_is_asked_through_the_proxy(driver, serve):
    proxy = serve(reply(b"fine"))
    api = make_api("http://api.invalid", proxy=proxy.url, allowed_hosts="169.254.169.254")
    outcome = run(driver, api, exchange.send(api, Request("GET", "http://169.254.169.254/x")))
    assert outcome.result.body == b"fine"
