from __future__ import annotations

import logging

import pytest

from airflow_provider_asyncapi.core.errors import (
    ContentError,
    UnavailableError,
)
from airflow_provider_asyncapi.core.requests.response_policy import ResponsePolicy
from airflow_provider_asyncapi.core.requests.retries import RetryBudget, send_with_retries
from airflow_provider_asyncapi.core.requests.schedule import PollSchedule
from tests.unit.core.flow_runner import BASE, START, FlowRunner, make_api, make_lost_error, make_response
from tests.unit.core.requests.messages import get

# Patience

SCHEDULE = PollSchedule(interval=2.0, max_errors=3, retry_delays={503: 7.0})


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 599])
def test_transient_errors_are_repeated(status):
    runner = FlowRunner(make_api(), make_response({"message": "busy"}, status), make_response({}))
    assert runner.run(send_with_retries(runner.api, get(), SCHEDULE)).ok
    assert runner.sleeps == [7.0 if status == 503 else 2.0]
    assert runner.logs[0][0] == logging.WARNING
    assert f"answered {status}: busy; trying again in" in runner.log_text


def test_lost_answers_are_repeated_until_there_are_too_many():
    runner = FlowRunner(make_api(), make_lost_error(), make_lost_error(), make_lost_error())
    with pytest.raises(UnavailableError, match=r"the connection broke \(3 errors in a row\)"):
        runner.run(send_with_retries(runner.api, get(), SCHEDULE))
    assert runner.sleeps == [2.0, 4.0]


@pytest.mark.parametrize("status", [200, 204, 400, 401, 404, 501, 505])
def test_any_other_answer_ends_the_patience(status):
    runner = FlowRunner(make_api(), make_response({}, status))
    assert runner.run(send_with_retries(runner.api, get(), SCHEDULE)).status == status


def test_an_error_tells_which_request_was_answered_how():
    runner = FlowRunner(make_api(), make_response({}, 503), make_response({}, 502), make_response({}, 500))
    with pytest.raises(UnavailableError) as raised:
        runner.run(send_with_retries(runner.api, get("/jobs?key=planted"), SCHEDULE))
    assert (raised.value.method, raised.value.url, raised.value.status_code) == ("GET", f"{BASE}/jobs", 500)


def test_a_stop_makes_an_answer_of_a_transient_error():
    runner = FlowRunner(make_api(), make_response({}, 503))
    assert (
        runner.run(
            send_with_retries(runner.api, get(), SCHEDULE, ResponsePolicy(is_final=lambda got: got.status == 503))
        ).status
        == 503
    )


@pytest.mark.parametrize(
    ("said", "wait"),
    [("5", 5.0), ("0", 1.0), ("Tue, 14 Nov 2023 22:14:20 GMT", 60.0), ("soon", 7.0)],
    ids=["seconds", "at once", "a date", "nonsense"],
)
def test_retry_after_is_obeyed(said, wait):
    assert START == 1_700_000_000  # Tue, 14 Nov 2023 22:13:20 GMT
    runner = FlowRunner(make_api(), make_response({}, 503, retry_after=said), make_response({}))
    runner.run(send_with_retries(runner.api, get(), SCHEDULE))
    assert runner.sleeps == [wait]


def test_an_unreadable_body_ends_with_its_own_message():
    budget = RetryBudget(SCHEDULE, errors=2)
    with pytest.raises(ContentError, match="got an HTML page"):
        budget.next_delay(make_api(), ContentError("got an HTML page"), make_response({}))
