from __future__ import annotations

from airflow_provider_asyncapi.core.requests.classification import rule_decides_without_body, rule_handles_status_code
from airflow_provider_asyncapi.core.status.rules import parse_rules
from tests.unit.core.flow_runner import make_response


def test_only_a_rule_of_the_status_code_speaks_of_it():
    rules = parse_rules(
        [
            {"selector": "state", "in": "x", "outcome": "failure"},
            {"selector": "status_code", "in": [503], "outcome": "running"},
        ]
    )
    assert rule_handles_status_code(rules, make_response({"state": "x"}, 503), {})
    assert not rule_handles_status_code(rules, make_response({"state": "x"}, 500), {})


def test_a_rule_that_cannot_read_an_error_page_does_not_speak_of_it():
    rules = parse_rules(
        [{"all": [{"selector": "status_code", "in": [502]}, {"selector": "a", "exists": True}], "outcome": "retry"}]
    )
    assert not rule_handles_status_code(rules, make_response(b"<html>Bad gateway", 502), {})


def test_a_rule_decides_without_the_body_if_no_rule_up_to_it_tests_the_body():
    of_code = {"selector": "status_code", "in": 200, "outcome": "success"}
    of_header = {"selector": "header:X-State", "in": "done", "outcome": "success"}
    of_body = {"selector": "state", "in": "x", "outcome": "failure"}
    response = make_response(b"", 200)
    assert rule_decides_without_body(parse_rules([of_header, of_code, of_body]), response, {})
    assert not rule_decides_without_body(parse_rules([of_body, of_code]), response, {})
    assert not rule_decides_without_body(parse_rules([of_header, of_code]), make_response(b"", 202), {})
    assert not rule_decides_without_body((), response, {})
