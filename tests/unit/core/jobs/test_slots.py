from __future__ import annotations

import logging

import pytest

from airflow_provider_asyncapi.core.errors import RequestRejectedError
from airflow_provider_asyncapi.core.jobs.slots import SlotRequest, make_slot_key, wait_for_slot
from tests.unit.core.flow_runner import START, FlowRunner, make_api, make_lost_error, make_response

WAITING = "Waiting for one of 2 slots for active jobs (max_active_jobs of the connection); position in the queue: {}"


def refused(position: int):
    return make_response({"granted": False, "limit": 2, "position": position})


GRANTED = make_response({"granted": True, "limit": 2, "position": 0})


def test_a_task_polls_until_it_has_a_slot_and_logs_each_change_of_its_position():
    runner = FlowRunner(make_api(), refused(7), refused(7), refused(1), GRANTED)
    runner.run(wait_for_slot(runner.api, "ti-1"))
    assert runner.paths == ["POST /asyncapi/slots/ti-1"] * 4
    assert runner.logs == [
        (logging.INFO, WAITING.format(7)),
        (logging.INFO, WAITING.format(1)),
        (logging.INFO, "Got one of 2 slots for active jobs"),
    ]


@pytest.mark.parametrize(("position", "pause"), [(1, 3.0), (20, 20.0), (5000, 300.0)])
def test_the_first_task_in_the_queue_polls_most_often(position, pause):
    runner = FlowRunner(make_api(), refused(position), GRANTED)
    runner.run(wait_for_slot(runner.api, "ti-1"))
    assert runner.api.clock() - START == pause


def test_an_api_server_that_is_away_is_asked_again():
    runner = FlowRunner(make_api(), make_lost_error(), make_response(None, 503), GRANTED)
    runner.run(wait_for_slot(runner.api, "ti-1"))
    assert len(runner.paths) == 3


@pytest.mark.parametrize(
    ("response", "advice"),
    [
        (make_response({"detail": "Not Found"}, 404), r"answered 404: .* Install the same version"),
        (
            make_response({"detail": "stored elsewhere"}, 409),
            r"answered 409: .* custom XCom backend .* or limit the jobs",
        ),
        (make_response({"detail": "ended"}, 410), r"answered 410: the task doesn't wait for a slot any more"),
        (make_response(b"<html>a proxy", 200), r"answered 200: .* no proxy answers instead"),
        (make_response({"status": "ok"}, 200), r"answered 200: .* no proxy answers instead"),
        (make_response({"granted": True, "limit": 2, "position": 0}, 201), r"answered 201: .* no proxy"),
    ],
)
def test_an_api_server_that_can_grant_no_slot_fails_the_task_with_advice(response, advice):
    runner = FlowRunner(make_api(), response)
    with pytest.raises(RequestRejectedError, match=advice):
        runner.run(wait_for_slot(runner.api, "ti-1"))


@pytest.mark.parametrize("request_", [SlotRequest(2, 1.5), SlotRequest(1, 1.5, 2.5, ends_with_task=False)])
def test_a_request_is_stored_and_read(request_):
    assert SlotRequest.parse(request_.dump()) == request_


@pytest.mark.parametrize(
    "given", [None, "x", [], {}, {"limit": 0, "requested_at": 1}, {"limit": 2, "requested_at": "soon"}]
)
def test_what_no_request_is_counts_as_none(given):
    assert SlotRequest.parse(given) is None


def test_the_key_of_a_connection_fits_into_an_xcom_key():
    assert len(make_slot_key("c" * 250)) == 32
    assert make_slot_key("a") != make_slot_key("b")
