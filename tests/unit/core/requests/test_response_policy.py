from __future__ import annotations

import pytest

from airflow_provider_asyncapi.core.requests.response_policy import REPEATABLE, ResponsePolicy
from airflow_provider_asyncapi.core.status.rules import parse_rules
from tests.unit.core.flow_runner import BASE, make_lost_error, make_response
from tests.unit.core.requests.messages import get

ONCE = ResponsePolicy(is_repeatable=False)
RULES = parse_rules([{"selector": "status_code", "in": [404, 503], "outcome": "running"}])


def test_by_default_the_status_code_alone_decides():
    assert not REPEATABLE.ends_exchange(make_response({}, 303))
    assert [status for status in (200, 303, 404, 503) if REPEATABLE.accepts(make_response({}, status))] == [200]
    assert [status for status in (200, 404, 429, 503) if REPEATABLE.takes_for_transient(make_response({}, status))] == [
        429,
        503,
    ]


def test_a_response_that_a_rule_handles_is_final_and_no_transient_error():
    policy = REPEATABLE.also_final(RULES, {})
    assert policy.ends_exchange(make_response({}, 404))
    assert not policy.takes_for_transient(make_response({}, 503))
    assert policy.takes_for_transient(make_response({}, 502))


def test_rules_are_added_to_the_responses_that_are_final_already():
    policy = ResponsePolicy(is_final=lambda response: response.status == 201).also_final(RULES, {})
    assert [status for status in (200, 201, 404) if policy.ends_exchange(make_response({}, status))] == [201, 404]
    assert policy.also_final((), {}) is policy


def test_a_readable_error_is_not_transient_but_does_not_end_the_exchange_either():
    policy = ResponsePolicy(is_readable=lambda response: response.status == 500)
    assert not policy.takes_for_transient(make_response({}, 500))
    assert not policy.ends_exchange(make_response({}, 500))


def test_a_redirect_accepts_a_request_only_if_the_policy_says_so():
    assert ResponsePolicy(redirect_accepts=True).accepts(make_response({}, 303))
    assert not ResponsePolicy(redirect_accepts=True).accepts(make_response({}, 302))
    assert not REPEATABLE.accepts(make_response({}, 303))


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_a_request_that_may_be_carried_out_once_is_repeated_only_if_it_was_not_processed(status):
    response = make_response({}, status)
    assert ONCE.may_repeat(get(), response) is (status in (408, 425, 429))
    assert REPEATABLE.may_repeat(get(), response)
    response.url = f"{BASE}/elsewhere"
    assert not ONCE.may_repeat(get(), response), "a request that was redirected was processed"


@pytest.mark.parametrize("sent", [True, False])
def test_a_request_whose_response_was_lost_is_repeated_only_if_it_was_not_sent(sent):
    assert ONCE.may_repeat(get(), make_lost_error(sent=sent)) is not sent
    assert REPEATABLE.may_repeat(get(), make_lost_error(sent=sent))
