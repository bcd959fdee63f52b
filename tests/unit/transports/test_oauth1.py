"""OAuth 1.0a in both transports, verified by authlib."""

from __future__ import annotations

import dataclasses
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from airflow_provider_asyncapi.core.http.messages import Request
from airflow_provider_asyncapi.core.requests.exchange import send
from tests.loopback import Asked, Behaviour, Server, encode
from tests.oauth1_server import CLIENT, TOKEN, OAuth1Verifier, RefusedError
from tests.unit.transports.driving import make_api, run_all

FIELDS = {
    "auth": "oauth1",
    "login": CLIENT[0],
    "password": CLIENT[1],
    "oauth1_token": TOKEN[0],
    "oauth1_token_secret": TOKEN[1],
}
JSON = (("Content-Type", "application/json"),)
FORM = (("Content-Type", "application/x-www-form-urlencoded"),)
REQUESTS: tuple[tuple[Any, ...], ...] = (
    ("GET", "/jobs/7"),
    ("GET", "/jobs?day=1%2F2&day=&names=a+b%20c&ids%5B%5D=%C3%A4&filter=%7Bx%7D"),
    ("POST", "/jobs?a=2", JSON, b'{"table": "orders"}'),
    ("POST", "/jobs?a=2", FORM, b"a=1&table=orders+%26+more&empty=&%C3%A4=%E2%82%AC"),
    ("PUT", "/jobs/7/part", (), b"\x00\xff"),
    ("DELETE", "/jobs/7/"),
)


@contextmanager
def api_with(verifier: OAuth1Verifier) -> Iterator[Server]:
    def answer(asked: Asked) -> Behaviour:
        headers = {name.lower(): value for name, value in asked.headers.items()}
        try:
            verifier.verify(asked.method, f"{server.url}{asked.target}", headers, asked.body)
        except RefusedError as error:
            return encode(401, {}, str(error).encode())
        return encode(200, {}, b"")

    server = Server(answer)
    try:
        yield server
    finally:
        server.close()


def send_all(driver: str, url: str, *requests: tuple[Any, ...], **fields: Any) -> list[tuple[int, str]]:
    """Send requests with the present time; return the status codes and what the server says."""
    api = make_api(url, clock=time.time, **{**FIELDS, **fields})
    api = dataclasses.replace(api, make_nonce=lambda: secrets.token_hex(16))
    flows = [send(api, Request(method, f"{url}{target}", *rest)) for method, target, *rest in requests]
    return [(outcome.result.status, outcome.result.text) for outcome in run_all(driver, api, flows)]


@pytest.mark.parametrize("method", ["HMAC-SHA1", "HMAC-SHA256", "HMAC-SHA512", "PLAINTEXT"])
def test_each_request_is_signed_as_it_is_sent(driver: str, method: str) -> None:
    verifier = OAuth1Verifier(realm="1234567_SB1", needs_body_hash=True)
    with api_with(verifier) as server:
        fields = {"oauth1_method": method, "oauth1_realm": "1234567_SB1", "oauth1_body": "hash"}
        assert send_all(driver, server.url, *REQUESTS, **fields) == [(200, "")] * len(REQUESTS)
    assert verifier.methods == {method}


def test_a_private_key_signs_in_place_of_the_secret(driver: str) -> None:
    key = rsa.generate_private_key(65537, 2048)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    fields = {"password": "", "oauth1_method": "RSA-SHA1", "oauth1_secret_key": private.decode()}
    with api_with(OAuth1Verifier(rsa_public_key=public.decode())) as server:
        assert send_all(driver, server.url, *REQUESTS, **fields) == [(200, "")] * len(REQUESTS)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"login": "nobody"}, "invalid_client"),
        ({"password": "wrong"}, "invalid_signature"),
        ({"oauth1_token": "wrong"}, "invalid_token"),
        ({"oauth1_token_secret": "wrong"}, "invalid_signature"),
        ({"oauth1_realm": "other"}, "wrong realm"),
    ],
)
def test_the_server_refuses_wrong_credentials(driver: str, fields: dict[str, str], reason: str) -> None:
    with api_with(OAuth1Verifier()) as server:
        ((status, text),) = send_all(driver, server.url, REQUESTS[0], **fields)
    assert status == 401
    assert reason in text


def test_the_server_refuses_a_body_that_is_not_signed(driver: str) -> None:
    with api_with(OAuth1Verifier(needs_body_hash=True)) as server:
        assert send_all(driver, server.url, REQUESTS[2]) == [(401, "the body isn't the signed one")]
