from __future__ import annotations

import hmac
import json

import pytest

from airflow_provider_asyncapi.core.callbacks.settings import CallbackMode, CallbackSettings, parse_callback_secrets
from airflow_provider_asyncapi.core.callbacks.signatures import Signature
from airflow_provider_asyncapi.core.errors import ConfigurationError, InvalidCallbackError
from airflow_provider_asyncapi.core.http.messages import Headers

SECRET = "geheimnis"
SIGNED = {"signature": {"header": "X-Signature"}}


def settings(described=None, secret=None):
    return CallbackSettings.parse({"callback": described, "callback_secret": secret})


# What the sensor says of callbacks


@pytest.mark.parametrize(
    ("said", "meant"), [(None, None), (False, None), (True, CallbackMode.DECIDES), ("hint", CallbackMode.HINT)]
)
def test_a_callback_decides_or_is_a_hint_or_none_comes(said, meant):
    assert CallbackMode.parse(said) is meant


@pytest.mark.parametrize("said", ["yes", "True", 1, {}, ["hint"]])
def test_any_other_word_is_an_error_that_names_those_there_are(said):
    with pytest.raises(ConfigurationError, match=r"callback: has to be True \(.*'hint'.*, or False, not"):
        CallbackMode.parse(said)


# What the connection says of them


def test_a_connection_need_not_say_anything():
    assert settings() == settings({}, "") == CallbackSettings()
    settings().verify(Headers(), b"", 0.0)


def test_a_connection_may_say_everything():
    given_ = settings(json.dumps({**SIGNED, "identifier": ["job.id", "id"]}), json.dumps(["next", SECRET]))
    assert given_.signature == Signature("X-Signature")
    assert given_.secrets == ("next", SECRET)
    assert given_.parse_keys() == [b"next", SECRET.encode()]
    assert SECRET not in repr(given_)


@pytest.mark.parametrize(
    ("described", "secret", "message"),
    [
        ({"header": "X"}, SECRET, "callback: unknown key 'header'; it has signature, identifier"),
        ({"signature": "standard"}, SECRET, "callback.signature: has to be an object, not str"),
        ({"signature": {}}, SECRET, "callback.signature.header: is missing"),
        (SIGNED, None, "callback: signature and callback_secret, .* have to be set together"),
        (None, SECRET, "callback: signature and callback_secret, .* have to be set together"),
        (SIGNED, "[", "callback_secret begins with '\\[', but isn't a JSON list"),
        (SIGNED, 7, "callback_secret has to be text, or a JSON list of texts"),
        (SIGNED, [SECRET, ""], "callback_secret has to be text, or a JSON list"),
        (SIGNED, [], "have to be set together"),
        ({"signature": {"scheme": "standard"}}, SECRET, "callback_secret: a key of Standard Webhooks is Base64"),
        ({"identifier": True}, None, "callback.identifier"),
        ({**SIGNED, "identifier": "a..["}, SECRET, "callback.identifier"),
        ("[]", SECRET, "callback"),
    ],
)
def test_what_cannot_be_meant_is_said_without_the_key(described, secret, message):
    with pytest.raises(ConfigurationError, match=message) as caught:
        settings(described, secret)
    assert SECRET not in str(caught.value)


def test_where_a_call_names_its_job_can_be_said_without_a_signature_and_be_switched_off():
    assert settings(json.dumps({"identifier": "id"})).identifier is not None
    off = settings(json.dumps({"identifier": False}))
    assert (off.identifier, off.compares_identifier, settings().compares_identifier) == (None, False, True)


def test_keys_are_one_text_or_several():
    assert parse_callback_secrets(None) == parse_callback_secrets("") == []
    assert parse_callback_secrets("a") == ["a"]
    assert parse_callback_secrets(["a", "b"]) == parse_callback_secrets(' ["a", "b"]') == ["a", "b"]


def test_a_call_is_verified_with_each_key_where_calls_are_signed():
    signed = Headers({"X-Signature": hmac.digest(SECRET.encode(), b"{}", "sha256").hex()}.items())
    settings(SIGNED, ["next", SECRET]).verify(signed, b"{}", 0.0)
    with pytest.raises(InvalidCallbackError, match="X-Signature doesn't match"):
        settings(SIGNED, "next").verify(signed, b"{}", 0.0)
    with pytest.raises(InvalidCallbackError, match="X-Signature is missing"):
        settings(SIGNED, SECRET).verify(Headers(), b"{}", 0.0)


def test_a_call_is_known_again_whether_calls_are_signed_or_not():
    standard = settings({"signature": {"scheme": "standard"}}, "whsec_TWZLUQ==")
    named = Headers({"webhook-id": "1"}.items())
    assert settings().identity(named, b"a") != settings().identity(named, b"b")
    assert standard.identity(named, b"a") == standard.identity(named, b"b")
