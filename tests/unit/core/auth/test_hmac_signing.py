"""Signed requests, compared with signatures that vendors publish or that other tools make."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest

from airflow_provider_asyncapi.core.auth.base import AuthContext
from airflow_provider_asyncapi.core.auth.hmac_signing import HmacAuth
from airflow_provider_asyncapi.core.errors import ConfigurationError
from airflow_provider_asyncapi.core.http.file_bodies import FileBody
from airflow_provider_asyncapi.core.http.messages import Request
from tests.unit.fake_files import MemoryFiles

NOW = 1_499_827_319.559
HEADERS = {"X-Signature": "{signature}"}


def sign(request: Request, *, password: str = "key", login: str = "id", now: float = NOW, **signing) -> Request:
    auth = HmacAuth.parse({"password": password, "login": login, "signing": signing})
    (signed,) = auth.auth_flow(request, AuthContext(lambda: now, lambda: "40" * 16))
    return signed


def test_a_signed_query_as_in_the_published_example_of_binance():
    # https://github.com/binance/binance-spot-api-docs/blob/master/rest-api.md#signed-endpoint-examples-for-post-apiv3order
    query = "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&recvWindow=5000"
    signed = sign(
        Request("POST", f"https://api.binance.com/api/v3/order?{query}"),
        password="NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j",
        login="vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A",
        signed="{query}",
        query_params={"timestamp": "{timestamp}", "signature": "{signature}"},
        timestamp="unix_ms",
        headers={"X-MBX-APIKEY": "{login}"},
    )
    assert signed.url.endswith(
        "&timestamp=1499827319559&signature=c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71"
    )
    assert dict(signed.headers)["X-MBX-APIKEY"].startswith("vmPUZE6m")


def test_time_method_target_and_body_with_a_key_in_base64():
    key = base64.b64encode(b"\x00\xffkey").decode()
    signed = sign(
        Request("POST", "https://h/orders?a=1", (), b'{"x": 1}'),
        password=key,
        signed="{timestamp}{method}{target}{body}",
        key_encoding="base64",
        encoding="base64",
        headers={"CB-ACCESS-SIGN": "{signature}", "CB-ACCESS-TIMESTAMP": "{timestamp}"},
    )
    expected = hmac.digest(b"\x00\xffkey", b'1499827319POST/orders?a=1{"x": 1}', "sha256")
    assert dict(signed.headers)["CB-ACCESS-SIGN"] == base64.b64encode(expected).decode()
    assert signed.body == b'{"x": 1}'


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [
        ("hex", hmac.digest(b"key", b"GET", "sha1").hex()),
        ("HEX", hmac.digest(b"key", b"GET", "sha1").hex().upper()),
        ("base64url", base64.urlsafe_b64encode(hmac.digest(b"key", b"GET", "sha1")).decode().rstrip("=")),
    ],
)
def test_the_hash_and_its_encoding_are_chosen(encoding, expected):
    signed = sign(Request("GET", "https://h"), signed="{method}", algorithm="sha1", encoding=encoding, headers=HEADERS)
    assert dict(signed.headers)["X-Signature"] == expected


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{host}{path}?{query}", "h:8443/?"),
        ("{url}", "https://h:8443"),
        ("{target}", "/"),
        ("{login}", "id"),
        ("{nonce}", "40" * 16),
        ("{body_sha256}", hashlib.sha256(b"").hexdigest()),
        ("{body_sha256_base64}", base64.b64encode(hashlib.sha256(b"").digest()).decode()),
        ("{body_md5}", "1B2M2Y8AsgTpgAmY7PhCfg=="),
    ],
)
def test_all_parts_of_a_request_may_be_signed(template, expected):
    signed = sign(Request("GET", "https://h:8443"), signed=template, headers={**HEADERS, "X-Part": template})
    assert dict(signed.headers)["X-Part"] == expected
    assert dict(signed.headers)["X-Signature"] == hmac.digest(b"key", expected.encode(), "sha256").hex()


@pytest.mark.parametrize(
    ("style", "expected"),
    [
        ("unix", "1499827319"),
        ("unix_ms", "1499827319559"),
        ("iso", "2017-07-12T02:41:59Z"),
        ("http", "Wed, 12 Jul 2017 02:41:59 GMT"),
    ],
)
def test_the_time_has_the_form_that_the_vendor_wants(style, expected):
    headers = {**HEADERS, "Date": "{timestamp}"}
    signed = sign(Request("GET", "https://h"), signed="{timestamp}", timestamp=style, headers=headers)
    assert dict(signed.headers)["Date"] == expected


def test_a_body_that_is_no_text_is_signed_byte_by_byte():
    signed = sign(Request("PUT", "https://h", (), b"\xff\x00"), signed="{body}", headers=HEADERS)
    assert dict(signed.headers)["X-Signature"] == hmac.digest(b"key", b"\xff\x00", "sha256").hex()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"password": ""}, r"auth 'hmac' needs password \(the key\)"),
        ({"signing": None}, r"auth 'hmac' needs signing \(what is signed\)"),
        ({"signing": {"headers": HEADERS}}, "signing.signed: is missing"),
        ({"signing": {"signed": "{verb}", "headers": HEADERS}}, r"signing.signed: unknown variable \{verb\}"),
        (
            {"signing": {"signed": "x", "header": "X"}},
            r"signing: unknown key 'header' \(did you mean 'headers'\?\); it has signed",
        ),
        ({"signing": {"signed": 1}}, "signing.signed: has to be text, not 1"),
        ({"signing": {"signed": "x"}}, r"no value of headers or query_params contains \{signature\}"),
        ({"signing": {"signed": "x", "headers": ["X"]}}, "signing.headers: has to map names to values, not be list"),
        ({"signing": {"signed": "x", "headers": {"X": 1}}}, "signing.headers.X: has to be text, not 1"),
        ({"signing": {"signed": "x", "headers": {"X Y": "{signature}"}}}, "'X Y' can't be the name of a header"),
        ({"signing": {"signed": "x", "headers": {"X": "{sign}"}}}, r"signing.headers.X: unknown variable \{sign\}"),
        ({"signing": {"signed": "x", "headers": HEADERS, "algorithm": "crc"}}, "'crc' isn't one of sha256"),
        ({"signing": {"signed": "x", "headers": HEADERS, "encoding": "b32"}}, "'b32' isn't one of hex, HEX"),
        ({"signing": {"signed": "x", "headers": HEADERS, "timestamp": "now"}}, "'now' isn't one of unix"),
        ({"signing": {"signed": "x", "headers": HEADERS, "key_encoding": "hex"}}, "the password isn't a key in hex"),
    ],
)
def test_a_mistake_is_named_without_the_key(fields, message):
    with pytest.raises(ConfigurationError, match=message) as caught:
        HmacAuth.parse({"password": "geheim", "signing": {"signed": "x", "headers": HEADERS}, **fields})
    assert "geheim" not in str(caught.value)


def test_an_empty_choice_is_the_default():
    signing = {"signed": "x", "headers": HEADERS, "encoding": "", "timestamp": "", "algorithm": "", "key_encoding": ""}
    expected = HmacAuth.parse({"password": "key", "signing": {"signed": "x", "headers": HEADERS}})
    assert HmacAuth.parse({"password": "key", "signing": signing}) == expected


def test_the_key_is_in_no_repr():
    auth = HmacAuth.parse({"password": "geheim", "signing": {"signed": "x", "headers": HEADERS}})
    assert "geheim" not in repr(auth)
    assert (auth.header_names, auth.query_names) == (("X-Signature",), ())


def test_the_digest_of_a_file_is_signed():
    signing = {"signed": "{method}{body_sha256}{body_md5}", "headers": HEADERS}
    auth = HmacAuth.parse({"password": "key", "login": "id", "signing": signing})
    assert auth.body_algorithms == {"sha256", "md5"}
    body = FileBody((MemoryFiles(a_csv=b"1,2").inspect("a.csv"),)).with_digests(auth.body_algorithms)
    context = AuthContext(lambda: NOW, lambda: "40" * 16)
    (signed,) = auth.auth_flow(Request("PUT", "https://h/x", body=body), context)
    (of_bytes,) = auth.auth_flow(Request("PUT", "https://h/x", body=b"1,2"), context)
    assert signed.headers == of_bytes.headers
    assert signed.body is body


def test_the_content_of_a_file_cant_be_signed():
    body = FileBody((MemoryFiles(a_csv=b"1,2").inspect("a.csv"),))
    with pytest.raises(ConfigurationError, match=r"PUT https://h/x: the connection's signing contains \{body\}"):
        sign(Request("PUT", "https://h/x", body=body), signed="{body}", headers=HEADERS)
