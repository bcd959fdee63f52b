"""OAuth 1.0a, compared with requests that were signed in specifications."""

from __future__ import annotations

import base64
import hashlib
from typing import Any
from urllib.parse import quote, unquote

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from airflow_provider_asyncapi.core.auth import oauth1
from airflow_provider_asyncapi.core.auth.base import AuthContext
from airflow_provider_asyncapi.core.auth.oauth1 import OAuth1Auth
from airflow_provider_asyncapi.core.connection.settings import ConnectionSettings
from airflow_provider_asyncapi.core.errors import ConfigurationError
from airflow_provider_asyncapi.core.http.file_bodies import FileBody
from airflow_provider_asyncapi.core.http.messages import Request
from airflow_provider_asyncapi.core.lazy import LazyModule
from tests.unit.fake_files import MemoryFiles

FORM = (("Content-Type", "application/x-www-form-urlencoded"),)
#: https://www.rfc-editor.org/rfc/rfc5849#section-1.2
PHOTOS = {
    "login": "dpf43f3p2l4k3l03",
    "password": "kd94hf93k423kf44",
    "oauth1_token": "nnch734d00sl2jdk",
    "oauth1_token_secret": "pfkkdhi9sl3r4s00",
    "oauth1_realm": "Photos",
}
PEM = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()


def sign(request: Request, now: float = 137131202.0, nonce: str = "chapoH", **fields: Any) -> dict[str, str]:
    """Sign a request, and return what the header holds."""
    auth = OAuth1Auth.parse({**PHOTOS, **fields})
    (signed,) = auth.auth_flow(request, AuthContext(lambda: now, lambda: nonce))
    assert (signed.method, signed.url, signed.body) == (request.method, request.url, request.body)
    scheme, _, given = dict(signed.headers)["Authorization"].partition(" ")
    assert scheme == "OAuth"
    return dict(part.split("=", 1) for part in given.replace('"', "").split(", "))


def test_the_header_has_what_the_api_needs_to_verify_it() -> None:
    signed = sign(Request("GET", "http://photos.example.net/photos"))
    assert signed.pop("oauth_signature")
    assert signed == {
        "realm": "Photos",
        "oauth_consumer_key": "dpf43f3p2l4k3l03",
        "oauth_token": "nnch734d00sl2jdk",
        "oauth_signature_method": "HMAC-SHA1",
        "oauth_timestamp": "137131202",
        "oauth_nonce": "chapoH",
        "oauth_version": "1.0",
    }


def test_scheme_host_and_default_port_are_signed_in_one_form() -> None:
    shown = sign(Request("GET", "HTTP://PHOTOS.example.net:80/photos?size=original&file=vacation.jpg"))
    assert shown == sign(Request("GET", "http://photos.example.net/photos?file=vacation.jpg&size=original"))
    assert shown != sign(Request("GET", "http://photos.example.net:81/photos?file=vacation.jpg&size=original"))


def test_the_example_of_oauth_core_1_0() -> None:
    # https://oauth.net/core/1.0a/#sig_base_example
    signed = sign(
        Request("GET", "http://photos.example.net/photos?file=vacation.jpg&size=original"),
        now=1191242096.7,
        nonce="kllo9940pd9333jh",
    )
    assert signed["oauth_signature"] == "tR3%2BTy81lMeYAr%2FFid0kMTYa%2FWM%3D"


def test_the_fields_of_a_form_are_signed_as_parameters() -> None:
    in_query = sign(Request("POST", "https://h/a?b5=%3D%253D&a3=a&c%40=&a2=r%20b&c2=&a3=2+q"))
    in_form = sign(Request("POST", "https://h/a?b5=%3D%253D&a3=a&c%40=&a2=r%20b", FORM, b"c2=&a3=2+q"))
    assert in_form == in_query
    with_charset = (("content-type", "application/x-www-form-urlencoded; charset=UTF-8"),)
    assert sign(Request("POST", "https://h/a?b5=%3D%253D&a3=a&c%40=&a2=r%20b", with_charset, b"c2=&a3=2+q")) == in_form
    assert sign(Request("POST", "https://h/a", FORM)) == sign(Request("POST", "https://h/a"))


def test_characters_that_are_not_encoded_are_signed_too() -> None:
    assert sign(Request("GET", "https://h/a?ids[]=1&x={y}&50%=z")) == sign(
        Request("GET", "https://h/a?ids%5B%5D=1&x=%7By%7D&50%25=z")
    )


@pytest.mark.parametrize(
    ("method", "algorithm"), [("HMAC-SHA1", "sha1"), ("HMAC-SHA256", "sha256"), ("HMAC-SHA512", "sha512")]
)
def test_another_body_is_signed_by_its_hash_if_asked(method: str, algorithm: str) -> None:
    request = Request("POST", "https://h/a", (("Content-Type", "application/json"),), b'{"a": 1}')
    assert "oauth_body_hash" not in sign(request, oauth1_method=method)
    signed = sign(request, oauth1_method=method, oauth1_body="hash")
    expected = base64.b64encode(hashlib.new(algorithm, b'{"a": 1}').digest()).decode()
    assert quote(expected, safe="") == signed["oauth_body_hash"]
    assert signed["oauth_signature"] != sign(request, oauth1_method=method)["oauth_signature"]


def test_the_hash_of_a_file_is_signed() -> None:
    auth = OAuth1Auth.parse({**PHOTOS, "oauth1_body": "hash"})
    assert auth.body_algorithms == {"sha1"}
    assert OAuth1Auth.parse(PHOTOS).body_algorithms == frozenset()
    body = FileBody((MemoryFiles(a_csv=b"x,y").inspect("a.csv"),)).with_digests(auth.body_algorithms)
    expected = sign(Request("PUT", "https://h/a", (), b"x,y"), oauth1_body="hash")
    assert sign(Request("PUT", "https://h/a", (), body), oauth1_body="hash") == expected


def test_plain_text_sends_the_secrets_which_are_masked() -> None:
    fields: dict[str, Any] = {"password": "a&b", "oauth1_token_secret": "c d", "oauth1_method": "PLAINTEXT"}
    assert sign(Request("GET", "https://h/a"), **fields)["oauth_signature"] == "a%2526b%26c%2520d"
    settings = ConnectionSettings.parse({"host": "https://h", "auth": "oauth1", **PHOTOS, **fields})
    assert {"a&b", "a%26b", "a%2526b", "c d", "c%20d", "c%2520d", "nnch734d00sl2jdk"} <= settings.secrets()


def test_a_client_without_a_token_signs_with_its_own_secret() -> None:
    signed = sign(Request("GET", "https://h/a"), oauth1_token="", oauth1_token_secret="", oauth1_realm=None)
    assert signed.keys().isdisjoint({"oauth_token", "realm"})


@pytest.mark.parametrize("name", ["SHA1", "SHA256", "SHA512"])
def test_an_rsa_key_signs_in_place_of_the_secret(name: str) -> None:
    key = rsa.generate_private_key(65537, 2048)
    fields: dict[str, Any] = {
        "password": "",
        "oauth1_secret_key": key.private_bytes(*PEM).decode(),
        "oauth1_method": f"RSA-{name}",
    }
    signed = sign(Request("GET", "https://h/a"), **fields)
    parameters = "%26".join(
        f"{name}%3D{value}" for name, value in sorted(signed.items()) if name not in ("realm", "oauth_signature")
    )
    signature = base64.b64decode(unquote(signed["oauth_signature"]))
    text = f"GET&https%3A%2F%2Fh%2Fa&{parameters}".encode()
    key.public_key().verify(signature, text, padding.PKCS1v15(), getattr(hashes, name)())


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"login": ""}, r"auth 'oauth1' needs login \(the key of the client\)"),
        ({"password": ""}, r"auth 'oauth1' needs password \(its secret\)"),
        ({"oauth1_method": "RSA-SHA1"}, r"auth 'oauth1' needs oauth1_secret_key \(the private key\)"),
        ({"oauth1_method": "MD5"}, "oauth1_method has to be 'HMAC-SHA1' or .*, not 'MD5'"),
        ({"oauth1_body": "yes"}, "oauth1_body has to be 'unsigned' or 'hash', not 'yes'"),
        ({"oauth1_realm": 'a"b'}, "oauth1_realm can't contain quotes"),
        ({"oauth1_method": "RSA-SHA1", "oauth1_secret_key": "geheim"}, "oauth1_secret_key isn't a key for RSA-SHA1"),
        (
            {
                "oauth1_method": "RSA-SHA256",
                "oauth1_secret_key": ec.generate_private_key(ec.SECP256R1()).private_bytes(*PEM).decode(),
            },
            "oauth1_secret_key isn't a key for RSA-SHA256",
        ),
    ],
)
def test_a_mistake_is_named_without_the_secrets(fields: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as caught:
        OAuth1Auth.parse({**PHOTOS, **fields})
    assert "geheim" not in str(caught.value)
    assert PHOTOS["password"] not in str(caught.value)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oauth1, "signature", LazyModule("package_that_is_missing.signature"))
    with pytest.raises(ConfigurationError, match=r"pip install 'airflow-provider-asyncapi\[oauth1\]'"):
        OAuth1Auth.parse(PHOTOS)


def test_no_secret_is_in_the_repr_or_the_debug_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    auth = OAuth1Auth.parse(PHOTOS)
    auth.authorize(Request("GET", "https://h/a?key=s3cret"), 0.0, "n")
    assert "nnch734d00sl2jdk" not in repr(auth)
    assert "kd94hf93k423kf44" not in repr(auth)
    assert auth.header_names == ("Authorization",)
    assert caplog.text == ""
