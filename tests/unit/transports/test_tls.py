from __future__ import annotations

import ssl
import warnings
from pathlib import Path

import pytest
import requests

from airflow_provider_asyncapi.core.errors import ConfigurationError
from airflow_provider_asyncapi.core.http.messages import Request
from airflow_provider_asyncapi.transports.tls import prepare_tls_context, tls_context, usual_context
from tests.loopback import reply
from tests.unit.transports.driving import DRIVERS, fetch, make_api, run_all, sending


def post(url: str) -> Request:
    return Request("POST", f"{url}/x")


def test_a_certificate_of_the_given_authority_is_trusted(driver, serve, authority):
    server = serve(reply(b"fine"), tls=authority.server_context())
    outcome = fetch(driver, make_api(server.url, ca_cert=authority.path), post(server.url))
    assert outcome.error is None
    assert outcome.result.body == b"fine"


@pytest.mark.parametrize("trusting", ["nobody", "another"])
def test_a_certificate_of_a_stranger_is_not(serve, authority, stranger, trusting):
    server = serve(tls=authority.server_context())
    fields = {} if trusting == "nobody" else {"ca_cert": stranger.path}
    outcomes = [fetch(driver, make_api(server.url, **fields), post(server.url)) for driver in DRIVERS]
    assert [outcome.error for outcome in outcomes] == [outcomes[0].error] * 3
    kind, said, sent = outcomes[0].failure
    assert (kind, sent) == ("TransportError", False)
    assert said.startswith(f"POST {server.url}/x: couldn't connect: the server's certificate isn't trusted (")
    assert "ca_cert" in said
    assert server.asked == []


def test_where_an_authority_is_given_those_of_requests_are_not_trusted(driver, serve, authority, stranger, monkeypatch):
    monkeypatch.setattr(requests.adapters, "DEFAULT_CA_BUNDLE_PATH", stranger.path)
    ours, theirs = (serve(reply(b"fine"), tls=who.server_context()) for who in (authority, stranger))
    api = make_api(ours.url, ca_cert=authority.path)
    fine, refused = run_all(driver, api, [sending(post(ours.url)), sending(post(theirs.url))])
    assert fine.result.body == b"fine"
    assert "the server's certificate isn't trusted" in refused.failure[1]


def test_a_certificate_for_another_host_is_not(serve, authority):
    server = serve(tls=authority.server_context("127.0.0.2"))
    outcomes = [fetch(driver, make_api(server.url, ca_cert=authority.path), post(server.url)) for driver in DRIVERS]
    assert [outcome.error for outcome in outcomes] == [outcomes[0].error] * 3
    assert "IP address mismatch" in outcomes[0].failure[1]


def test_checking_can_be_switched_off(driver, serve, stranger):
    server = serve(reply(b"fine"), tls=stranger.server_context("127.0.0.2"))
    with warnings.catch_warnings():
        # urllib3 warns of what the connection asks for.
        warnings.simplefilter("ignore")
        outcome = fetch(driver, make_api(server.url, verify=False), post(server.url))
    assert outcome.error is None
    assert outcome.result.body == b"fine"


@pytest.mark.parametrize("in_one_file", [False, True])
def test_we_prove_who_we_are(driver, serve, authority, tmp_path, in_one_file):
    server = serve(reply(b"fine"), tls=authority.server_context(clients=authority))
    certificate, key = authority.issue("client")
    fields = {"client_cert": certificate, "client_key": key}
    if in_one_file:
        both = tmp_path / "both.pem"
        both.write_bytes(Path(certificate).read_bytes() + Path(key).read_bytes())
        fields = {"client_cert": str(both)}
    outcome = fetch(driver, make_api(server.url, ca_cert=authority.path, **fields), post(server.url))
    assert outcome.error is None
    assert outcome.result.body == b"fine"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_who_proves_nothing_is_sent_away(serve, authority, version):
    """In TLS 1.3 the server says so after the handshake, so nobody knows what it has read by then."""
    context = authority.server_context(clients=authority)
    context.maximum_version = version
    server = serve(tls=context)
    outcomes = [fetch(driver, make_api(server.url, ca_cert=authority.path), post(server.url)) for driver in DRIVERS]
    assert [outcome.error for outcome in outcomes] == [outcomes[0].error] * 3
    kind, _, sent = outcomes[0].failure
    assert (kind, sent) == ("TransportError", version is ssl.TLSVersion.TLSv1_3)
    assert server.asked == []


@pytest.mark.parametrize("broken", ["ca_cert", "client_cert", "client_key", "locked", "no PEM"])
def test_files_that_cannot_be_read_are_an_error_of_the_connection(authority, tmp_path, broken):
    certificate, key = authority.issue("client")
    fields = {"ca_cert": authority.path, "client_cert": certificate, "client_key": key}
    if broken == "locked":
        fields["client_key"] = key.replace(".key", ".locked")
    elif broken == "no PEM":
        (tmp_path / "x").write_text("nothing")
        fields["client_key"] = str(tmp_path / "x")
    else:
        fields[broken] = str(tmp_path / "missing")
    with pytest.raises(ConfigurationError, match="ca_cert, client_cert or client_key can't be read here"):
        tls_context(make_api("https://127.0.0.1", **fields).settings)


def test_without_an_authority_the_usual_ones_are_trusted():
    context = tls_context(make_api("https://127.0.0.1").settings)
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.cert_store_stats()["x509_ca"] > 50
    # It is read once, however many connections there are.
    assert tls_context(make_api("https://localhost").settings) is context


def test_an_authority_that_is_given_is_the_only_one(authority):
    context = tls_context(make_api("https://127.0.0.1", ca_cert=authority.path).settings)
    assert context.cert_store_stats()["x509_ca"] == 1


def test_the_usual_authorities_are_read_for_the_first_request_with_tls_only(serve, stranger):
    plain, encrypted = serve(reply(b"fine")), serve(tls=stranger.server_context())
    usual_context.cache_clear()
    assert fetch("requests", make_api(plain.url), post(plain.url)).result.body == b"fine"
    assert usual_context.cache_info().misses == 0
    assert (
        "the server's certificate isn't trusted"
        in fetch("requests", make_api(encrypted.url), post(encrypted.url)).failure[1]
    )
    assert usual_context.cache_info().misses == 1


def test_a_certificate_that_cannot_be_read_fails_before_the_first_request():
    with pytest.raises(ConfigurationError, match="ca_cert"):
        prepare_tls_context(make_api("https://x", ca_cert="/no/such.pem").settings)
