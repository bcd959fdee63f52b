from __future__ import annotations

import pytest

from airflow_provider_asyncapi.core.auth.token_flow import TokenState, get_shared_token
from airflow_provider_asyncapi.core.auth.tokens import Token
from airflow_provider_asyncapi.core.effects import GetToken
from airflow_provider_asyncapi.core.errors import (
    AuthenticationError,
    TransportError,
)
from tests.unit.core.auth.logins import FIELDS
from tests.unit.core.flow_runner import START, FlowRunner, make_api, make_lost_error, make_response

# One at a time


def in_turn(runner: FlowRunner, token_state: TokenState, asked_at: float = START) -> Token:
    token = runner.run(get_shared_token(runner.api, token_state, GetToken(), asked_at))
    assert isinstance(token, Token)
    return token


def test_a_token_is_found_by_those_who_come_later():
    runner, token_state = FlowRunner(make_api(**FIELDS), make_response({"data": {"token": "t-one"}})), TokenState()
    assert in_turn(runner, token_state) is in_turn(runner, token_state)


def test_a_time_limit_ends_the_login_of_the_flow_that_has_it_and_no_other():
    runner, token_state = (
        FlowRunner(make_api(**FIELDS), make_lost_error(), make_response({"data": {"token": "t-one"}})),
        TokenState(),
    )
    with pytest.raises(TransportError):
        runner.run(get_shared_token(runner.api, token_state, GetToken(until=START), START - 1))
    assert runner.limits == [0.0]
    assert in_turn(runner, token_state, asked_at=START - 1).value == "t-one"


def test_a_refusal_holds_for_all_for_a_moment():
    runner, token_state = (
        FlowRunner(make_api(**FIELDS), make_response({}, 401), make_response({"data": {"token": "t-one"}})),
        TokenState(),
    )
    failures = []
    for _ in range(3):
        with pytest.raises(AuthenticationError) as caught:
            in_turn(runner, token_state)
        failures.append(caught.value)
    assert len(runner.requests) == 1
    assert len({id(failure) for failure in failures}) == 3
    assert len({str(failure) for failure in failures}) == 1
    runner.clock.now += 60
    assert in_turn(runner, token_state).value == "t-one"
    assert token_state.failure is None


def test_a_login_that_was_lost_is_lost_for_those_who_waited_for_it_only():
    runner, token_state = (
        FlowRunner(make_api(**FIELDS), make_lost_error(), make_response({"data": {"token": "t-one"}})),
        TokenState(),
    )
    with pytest.raises(TransportError) as first:
        in_turn(runner, token_state)
    with pytest.raises(TransportError) as second:
        in_turn(runner, token_state, asked_at=START - 1)
    assert (str(second.value), second.value.sent) == (str(first.value), False)
    assert in_turn(runner, token_state, asked_at=START + 1).value == "t-one"
