from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_asyncapi.core.callbacks.signatures import ALGORITHMS, ENCODINGS, Signature
from airflow_provider_asyncapi.core.errors import ConfigurationError, InvalidCallbackError
from airflow_provider_asyncapi.core.http.messages import Headers
from tests.unit.recorded_calls import recorded

NOW = 1_700_000_000.0
KEY = b"a key that is long enough"
BODY = b'{"state": "done"}'
#: https://github.com/standard-webhooks/standard-webhooks: the example that its libraries are tested with.
STANDARD_KEY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
STANDARD_AT = 1614265330
STANDARD_BODY = b'{"test": 2432232314}'
STANDARD = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": str(STANDARD_AT),
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}
#: https://api.slack.com/authentication/verifying-requests-from-slack
SLACK = {
    "header": "X-Slack-Signature",
    "prefix": "v0=",
    "signed": "v0:{header:X-Slack-Request-Timestamp}:{body}",
    "timestamp": "X-Slack-Request-Timestamp",
}


def signature(**described):
    return Signature.parse({"header": "X-Signature", **described}, "signature")


def standard(**described):
    return Signature.parse({"scheme": "standard", **described}, "signature")


def signed(body=BODY, key=KEY, algorithm="sha256"):
    return hmac.digest(key, body, algorithm).hex()


def verified(how, headers, body=BODY, keys=(KEY,), now=NOW):
    how.verify(Headers(headers.items() if isinstance(headers, dict) else headers), body, keys, now)


def slack_headers(at=NOW, said=None):
    said = said or f"{at:.0f}"
    return {
        "x-slack-request-timestamp": said,
        "x-slack-signature": "v0=" + signed(b"v0:" + said.encode("latin-1") + b":" + BODY),
    }


# What is documented


def test_the_example_of_cloud_elements_is_genuine():
    elements = signature(header="Elements-Webhook-Signature", encoding="base64", prefix="sha256=")
    headers = {"elements-webhook-signature": "sha256=jHdbRx5EZAsOfTwAPJOGkNUzQMVVdu5VJlxcsk+G6jQ="}
    keys = [elements.parse_key("MySecretEventSignatureKey")]
    verified(elements, headers, b"<INSERT_EVENT_NOTIFICATION_RESPONSE_BODY>", keys)
    with pytest.raises(InvalidCallbackError, match="Elements-Webhook-Signature doesn't match the body"):
        verified(elements, headers, b"<INSERT_EVENT_NOTIFICATION_RESPONSE_BODY> ", keys)


@pytest.mark.parametrize("key", [STANDARD_KEY, STANDARD_KEY.removeprefix("whsec_")])
def test_the_example_of_standard_webhooks_is_genuine(key):
    how = standard()
    verified(how, STANDARD, STANDARD_BODY, [how.parse_key(key)], STANDARD_AT)


# What is genuine


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_header_algorithm_encoding_and_prefix_are_as_the_vendor_has_them(algorithm, encoding):
    code = hmac.digest(KEY, BODY, algorithm)
    text = code.hex() if encoding == "hex" else base64.b64encode(code).decode()
    how = signature(algorithm=algorithm, encoding=encoding, prefix="v2:")
    verified(how, {"x-signature": f" v2:{text} "})
    for wrong in (text, f"V2:{text}", f"v2: {text}x", f"v2:{text[:-2]}", "v2:", ""):
        with pytest.raises(InvalidCallbackError, match="X-Signature"):
            verified(how, {"x-signature": wrong})


def test_a_signature_in_hexadecimal_may_be_in_capitals():
    verified(signature(), {"x-signature": signed().upper()})


def test_what_is_signed_may_hold_headers():
    how = signature(**SLACK)
    verified(how, slack_headers())
    with pytest.raises(InvalidCallbackError, match="doesn't match"):
        verified(how, slack_headers() | {"x-slack-request-timestamp": f"{NOW + 1:.0f}"})


def test_what_is_signed_may_end_in_text():
    verified(signature(signed="{body}\n{header:X-Id}!"), {"x-id": "7", "x-signature": signed(BODY + b"\n7!")})


def test_a_header_that_is_signed_and_missing_is_named():
    with pytest.raises(InvalidCallbackError, match="X-Id is missing, and is signed"):
        verified(signature(signed="{header:X-Id}{body}"), {"x-signature": signed()})


@pytest.mark.parametrize("headers", [{}, {"x-signature": "no hex"}, {"x-signature": "00" * 32}])
def test_a_refusal_costs_one_digest_of_the_body_whatever_is_missing(headers, monkeypatch):
    digested: list[Any] = []
    digest = hmac.digest
    monkeypatch.setattr(hmac, "digest", recorded(digest, digested, lambda _, body, __: body))
    with pytest.raises(InvalidCallbackError):
        verified(signature(), headers)
    assert digested == [BODY]


def test_any_of_several_keys_will_do_so_that_one_can_be_replaced():
    headers = {"x-signature": signed()}
    verified(signature(), headers, keys=(b"next", KEY))
    verified(signature(), headers, keys=(KEY, b"next"))
    for keys in ((b"next",), ()):
        with pytest.raises(InvalidCallbackError, match="doesn't match"):
            verified(signature(), headers, keys=keys)


def test_of_several_signatures_of_standard_webhooks_any_will_do():
    how = standard()
    keys = [how.parse_key(STANDARD_KEY)]
    genuine = STANDARD["webhook-signature"]
    others = f"v1a,{'A' * 43}= v1,{'A' * 43}= v1,!"
    for text in (f"{others} {genuine}", f"{genuine} {others}"):
        verified(how, STANDARD | {"webhook-signature": text}, STANDARD_BODY, keys, STANDARD_AT)
    for text in (others, genuine.replace("v1,", "v2,"), genuine.replace("v1,", "")):
        with pytest.raises(InvalidCallbackError, match="webhook-signature"):
            verified(how, STANDARD | {"webhook-signature": text}, STANDARD_BODY, keys, STANDARD_AT)


@pytest.mark.parametrize("name", sorted(STANDARD))
def test_each_header_of_standard_webhooks_is_needed(name):
    how = standard()
    headers = {key: value for key, value in STANDARD.items() if key != name}
    with pytest.raises(InvalidCallbackError, match=f"{name} is missing"):
        verified(how, headers, STANDARD_BODY, [how.parse_key(STANDARD_KEY)], STANDARD_AT)


# What isn't


@pytest.mark.parametrize("again", [signed(), "0" * 64])
def test_a_signature_that_is_given_twice_is_none(again):
    with pytest.raises(InvalidCallbackError, match="X-Signature is missing, or isn't"):
        verified(signature(), [("X-Signature", signed()), ("x-signature", again)])


def test_a_header_of_standard_webhooks_that_is_given_twice_is_none():
    how = standard()
    fields = [*STANDARD.items(), ("webhook-signature", STANDARD["webhook-signature"])]
    with pytest.raises(InvalidCallbackError, match="webhook-signature is missing, or isn't"):
        verified(how, fields, STANDARD_BODY, [how.parse_key(STANDARD_KEY)], STANDARD_AT)


@pytest.mark.parametrize(("away", "is_taken"), [(0, True), (300, True), (-300, True), (301, False), (-301, False)])
def test_a_call_may_be_five_minutes_old_or_early(away, is_taken):
    how = signature(**SLACK)
    if is_taken:
        verified(how, slack_headers(NOW + away))
    else:
        with pytest.raises(
            InvalidCallbackError, match=r"X-Slack-Request-Timestamp is missing, or further .* than 300 s"
        ):
            verified(how, slack_headers(NOW + away))


@pytest.mark.parametrize("said", ["nan", "inf", "-inf", "soon", "1e999", "1700000000, 1700000000", "²"])
def test_a_time_that_is_none_is_refused_though_it_is_signed(said):
    with pytest.raises(InvalidCallbackError, match="X-Slack-Request-Timestamp is missing, or further"):
        verified(signature(**SLACK), slack_headers(said=said))


def test_how_old_a_call_may_be_can_be_said():
    how = standard(tolerance="10")
    keys = [how.parse_key(STANDARD_KEY)]
    verified(how, STANDARD, STANDARD_BODY, keys, STANDARD_AT + 10)
    with pytest.raises(InvalidCallbackError, match="than 10 s"):
        verified(how, STANDARD, STANDARD_BODY, keys, STANDARD_AT + 11)


# A call and its repetitions


def test_a_call_is_known_again_by_its_body_or_by_its_id():
    plain, named = signature(), standard()
    one, other = Headers({"webhook-id": "a"}.items()), Headers({"webhook-id": "b"}.items())
    assert plain.identity(one, BODY) == plain.identity(other, BODY) == hashlib.sha256(BODY).hexdigest()
    assert plain.identity(one, BODY) != plain.identity(one, b"")
    assert named.identity(one, BODY) == named.identity(one, b"another try may say when it was made")
    assert named.identity(one, BODY) != named.identity(other, BODY)
    # Nobody can pass a body off as an id.
    assert named.identity(one, BODY) != plain.identity(one, b"a")


# Its description


def test_a_description_needs_little():
    how = signature(algorithm=None)
    assert how == Signature("X-Signature")
    assert (how.algorithm, how.encoding, how.signed, how.timestamp, how.tolerance) == (
        "sha256",
        "hex",
        "{body}",
        None,
        300,
    )


@pytest.mark.parametrize(
    ("described", "message"),
    [
        (
            {"algo": "sha1"},
            r"signature: unknown key 'algo' \(did you mean 'algorithm'\?\); it has scheme, header, algorithm, ",
        ),
        ({"scheme": "jwt"}, "signature.scheme: 'jwt' isn't one of hmac, standard"),
        ({"scheme": ["standard"]}, r"signature.scheme: \['standard'\] isn't one of"),
        ({"scheme": "standard"}, "signature: Standard Webhooks defines header; leave it out"),
        ({"header": None}, "signature.header: is missing"),
        ({"header": 7}, "signature.header: has to be text, not 7"),
        ({"header": "X Signature"}, "'X Signature' can't be the name of a header"),
        ({"timestamp": ""}, "signature.timestamp: anybody could change it"),
        ({"timestamp": "X:T"}, "'X:T' can't be the name of a header"),
        ({"signed": "{header:é}{body}"}, "'é' can't be the name of a header"),
        ({"signed": "{header:X-Id}"}, r"signature.signed: '{header:X-Id}' doesn't contain \{body\}"),
        ({"timestamp": "X-Time"}, r"signature.timestamp: anybody could .* put \{header:X-Time\} into signed"),
        ({"algorithm": "md5"}, "signature.algorithm: 'md5' isn't one of sha256, sha512, sha384, sha1"),
        ({"encoding": "base32"}, "signature.encoding: 'base32' isn't one of hex, base64"),
        ({"tolerance": 0}, "signature.tolerance: has to be a number of seconds above 0, not 0"),
        ({"tolerance": "nan"}, "signature.tolerance: has to be a number"),
        ({"tolerance": True}, "signature.tolerance: has to be a number"),
    ],
)
def test_what_cannot_be_meant_is_said_with_the_key(described, message):
    with pytest.raises(ConfigurationError, match=message):
        signature(**described)


def test_the_headers_that_are_signed_are_found_in_any_case():
    assert signature(signed="{header:x-time}.{body}", timestamp="X-Time").signed_headers == ["x-time"]


@pytest.mark.parametrize("key", ["whsec_", "whsec_geheim!", "ü", "whsec_TWZLUQ=", "a"])
def test_a_key_of_standard_webhooks_that_is_none_is_not_shown(key):
    with pytest.raises(ConfigurationError, match=r"callback_secret: a key .* is Base64") as caught:
        standard().parse_key(key)
    assert "geheim" not in str(caught.value)


def test_any_other_key_is_taken_as_it_is():
    assert signature().parse_key("whsec_ü") == "whsec_ü".encode()


# Rubbish

DESCRIPTIONS = st.dictionaries(
    st.sampled_from(["scheme", "header", "algorithm", "encoding", "prefix", "signed", "timestamp", "tolerance", "x"]),
    st.sampled_from(["standard", "hmac", "X-A", "sha1", "hex", "base64", "{header:X-A}{body}", "{", "v1,", "5"])
    | st.none()
    | st.floats()
    | st.text(max_size=5)
    | st.lists(st.integers(), max_size=1),
    max_size=6,
)
#: As a server gives headers: any bytes, read as Latin-1.
VALUES = st.binary(max_size=90).map(lambda raw: raw.decode("latin-1"))


@given(DESCRIPTIONS)
def test_any_rubbish_is_a_description_or_a_configuration_error(described):
    try:
        how = Signature.parse(described, "signature")
    except ConfigurationError:
        return
    assert "{body}" in how.signed
    assert 0 < how.tolerance < float("inf")


@given(
    st.sampled_from([signature(), signature(encoding="base64", prefix="sha256="), signature(**SLACK), standard()]),
    st.lists(
        st.tuples(
            st.sampled_from(["X-Signature", "X-Slack-Signature", "X-Slack-Request-Timestamp", *STANDARD]),
            VALUES | st.sampled_from([f"{NOW:.0f}", "v1," + "A" * 43 + "=", "v0=" + "0" * 64, "sha256=AAAA", "0" * 64]),
        ),
        max_size=6,
    ),
    st.binary(max_size=50),
)
def test_rubbish_is_never_genuine_and_never_another_error(how, fields, body):
    headers = Headers(fields)
    with pytest.raises(InvalidCallbackError):
        how.verify(headers, body, [KEY, b"another"], NOW)
    assert len(how.identity(headers, body)) == 64
