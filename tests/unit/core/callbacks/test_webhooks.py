from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_asyncapi.core.callbacks.calls import make_response
from airflow_provider_asyncapi.core.callbacks.settings import CallbackSettings
from airflow_provider_asyncapi.core.callbacks.webhooks import MAX_CHALLENGE, Challenge, WebhookEvent
from airflow_provider_asyncapi.core.errors import ConfigurationError, InvalidCallbackError
from airflow_provider_asyncapi.core.http.messages import Headers, Response

SIGNED = {"signature": {"header": "X-Signature"}}


def settings(**given: Any) -> CallbackSettings:
    return CallbackSettings.parse({"callback": {**SIGNED, **given}, "callback_secret": "key"})


def call(body: bytes = b'{"id": 7, "kind": "paid", "order": {"id": "o-1"}}', **headers: str) -> Response:
    return make_response(Headers([("content-type", "application/json"), *headers.items()]), body)


def event(**given: Any) -> WebhookEvent:
    return settings(events={"asset": "orders", **given}).events[0]


def test_an_event_has_the_captured_values_and_an_id_of_its_own() -> None:
    paid = event(id="id", capture={"order": "order.id", "missing": "nothing"})
    payload = paid.make_item("vendor", call(), "body")
    assert payload is not None
    assert payload["values"] == {"order": "o-1"}
    assert payload == paid.make_item("vendor", call(), "another")
    other = paid.make_item("other", call(), "body")
    assert other is not None
    assert payload["id"] != other["id"]


def test_an_event_without_identifier_is_identified_by_its_signature_or_body() -> None:
    ids = [event().make_item("vendor", call(), identity) for identity in ("a", "a", "b")]
    assert ids[0] == ids[1] != ids[2]


def test_a_header_may_hold_the_identifier() -> None:
    one, two = (event(id="header:delivery").make_item("v", call(delivery=each), "") for each in "ab")
    assert one != two


def test_only_calls_that_meet_the_condition_are_events() -> None:
    when = {"selector": "kind", "in": ["paid"]}
    assert event(when=when).make_item("vendor", call(b'{"kind": "new"}'), "") is None
    assert event(when=when).make_item("vendor", call(), "") is not None


def test_several_events_of_a_connection_are_for_several_assets() -> None:
    assert [each.asset for each in settings(events=[{"asset": "a"}, {"asset": "b"}]).events] == ["a", "b"]


@pytest.mark.parametrize(
    ("given", "body", "message"),
    [
        ({"id": "event"}, b"{}", "it has no identifier of an event at 'event'"),
        ({"id": "event"}, b"secret text", "the event for asset 'orders': ContentError"),
    ],
)
def test_a_call_that_can_not_be_read_is_refused_without_its_text(
    given: dict[str, Any], body: bytes, message: str
) -> None:
    with pytest.raises(InvalidCallbackError) as caught:
        event(**given).make_item("vendor", call(body), "")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"events": {"asset": ""}}, "callback.events.asset: has to be the name of an asset, not ''"),
        ({"events": ["orders"]}, "callback.events: has to be an object, not str"),
        (
            {"events": {"asset": "a", "ids": "x"}},
            "callback.events: unknown key 'ids' (did you mean 'id'?); it has asset, id, when, capture",
        ),
        ({"events": {"asset": "a", "id": "a["}}, "callback.events.id"),
        ({"events": {"asset": "a", "when": {"selector": "a"}}}, "callback.events.when"),
        ({"challenge": {}}, "callback.challenge: has to have query, the name of a parameter, or body, a selector"),
        ({"challenge": {"query": "a", "body": "b"}}, "callback.challenge: has to have query"),
        ({"challenge": {"query": 1}}, "callback.challenge.query: has to be the name of a parameter, not 1"),
        ({"challenge": {"query": "a", "as": "xml"}}, "callback.challenge.as: 'xml' isn't one of text, json"),
    ],
)
def test_a_key_that_is_wrong_is_named(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        settings(**given)
    assert message in str(caught.value)


def test_events_need_a_signature() -> None:
    with pytest.raises(ConfigurationError, match="events and challenge need signature and callback_secret"):
        CallbackSettings.parse({"callback": {"events": {"asset": "orders"}}})


def test_a_challenge_in_the_query_is_found_by_its_parameter() -> None:
    challenge = Challenge.parse({"query": "hub.challenge", "as": "json"}, "challenge")
    assert challenge.find_in_query({"hub.challenge": "abc"}) == "abc"
    assert challenge.find_in_query({}) is None
    assert challenge.find_in_body(call()) is None
    assert (challenge.name, challenge.is_json) == ("challenge", True)


def test_a_challenge_in_the_body_is_found_by_its_selector() -> None:
    challenge = Challenge.parse({"body": "order.id"}, "challenge")
    assert challenge.find_in_query({"order.id": "abc"}) is None
    assert [challenge.find_in_body(each) for each in (call(), call(b"{}"), call(b"no JSON"))] == ["o-1", None, None]
    assert (challenge.name, challenge.is_json) == ("id", False)


def test_a_long_challenge_is_refused() -> None:
    challenge = Challenge.parse({"query": "c"}, "challenge")
    assert challenge.find_in_query({"c": "x" * MAX_CHALLENGE})
    with pytest.raises(InvalidCallbackError, match=f"its challenge has more than {MAX_CHALLENGE} characters"):
        challenge.find_in_query({"c": "x" * (MAX_CHALLENGE + 1)})
