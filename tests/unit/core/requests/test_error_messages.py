import json

import pytest

from airflow_provider_asyncapi.core.http.messages import Headers, Response
from airflow_provider_asyncapi.core.http.redaction import Redactor
from airflow_provider_asyncapi.core.requests.error_messages import find_error_message
from airflow_provider_asyncapi.core.selectors.selector import SelectorChain


def said(body, selector=None, content_type=""):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    selection = None if selector is None else SelectorChain.parse(selector, "error_message")
    message = find_error_message(Response(400, Headers([("content-type", content_type)]), raw), selection, {})
    return message and Redactor().excerpt(message)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            {"type": "about:blank", "title": "Out of credit", "detail": "Your balance is 30."},
            "Out of credit: Your balance is 30.",
        ),
        ({"detail": "only this"}, "only this"),
        ({"title": "only this"}, "only this"),
        ({"error": {"message": "err-resource-not-found", "type": "X"}}, "err-resource-not-found"),
        ({"error": {"code": 7}}, "7"),
        ({"errors": [{"code": "rate_limited", "message": "Slow down"}]}, "Slow down"),
        ({"error": "invalid_client", "error_description": "Unknown client"}, "Unknown client"),
        ({"requestId": "r", "message": "No such element", "providerMessage": "p"}, "No such element"),
        ({"data": {"error": {"message": "inner"}}, "error": None}, "inner"),
        ({"error": ["a", "b"]}, '["a","b"]'),
        ({"error": {"x": 1}}, '{"x":1}'),
        ({"error": False, "message": "", "status": "odd"}, '{"error": false, "message": "", "status": "odd"}'),
        (b"<r><ExceptionText> Bad\n input </ExceptionText></r>", "Bad input"),
        (b"<u:job xmlns:u='urn:u'><u:errorSummary><u:message>Locked</u:message></u:errorSummary></u:job>", "Locked"),
        (b"<r><other/></r>", "<r><other/></r>"),
        (b"<html><h1>Bad gateway</h1></html>", "<html><h1>Bad gateway</h1></html>"),
        (b"plain text", "plain text"),
        (b"\xff", "\ufffd"),
        (b"", None),
        (b" \n", None),
    ],
)
def test_the_message_is_found_in_the_usual_places(body, message):
    assert said(body) == message


def test_html_is_shown_as_it_begins():
    assert said(b"<html><p>x</p></html>", content_type="text/html") == "<html><p>x</p></html>"


def test_the_authors_place_comes_first_and_the_usual_ones_after_it():
    assert said({"why": "mine", "message": "usual"}, "why") == "mine"
    assert said({"message": "usual"}, "why") == "usual"
    assert said({"message": "usual"}, "xpath://why") == "usual"
    assert said({"why": {"a": 1}}, "why") == '{"a":1}'


def test_of_several_places_the_first_counts_that_says_something():
    assert said({"details": "", "description": "too late"}, ["details", "description"]) == "too late"
    assert said({"details": " ", "description": "too late"}, ["details", "description"]) == "too late"
    assert said({"details": [], "description": "too late"}, ["details", "description"]) == "too late"
    assert said({"details": False, "message": "usual"}, ["details", "description"]) == "usual"


def test_a_long_message_is_cut():
    assert said({"message": "x" * 400}) == "x" * 300 + "… (400 characters)"
