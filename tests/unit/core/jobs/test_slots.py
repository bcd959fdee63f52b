from __future__ import annotations

import logging

import pytest

from airflow_provider_asyncapi.core.errors import RequestRejectedError
from airflow_provider_asyncapi.core.jobs.slots import SlotRequest, make_slot_key, wait_for_slot
from tests.unit.core.flow_runner import START, FlowRunner, make_api, make_lost_error, make_response

WAITING = "Waiting for one of 2 slots for active jobs (max_active_jobs of the connection); {} tasks are ahead"


def refused(ahead: int):
    return make_response({"granted": False, "limit": 2, "ahead": ahead})


GRANTED = make_response({"granted": True, "limit": 2, "ahead": 0})


def test_a_task_asks_until_it_has_a_slot_and_logs_each_change_of_its_place():
    runner = FlowRunner(make_api(), refused(7), refused(7), refused(1), GRANTED)
    runner.run(wait_for_slot(runner.api, "ti-1"))
    assert runner.paths == ["POST /asyncapi/slots/ti-1"] * 4
    assert runner.logs == [
        (logging.INFO, WAITING.format(7)),
        (logging.INFO, WAITING.format(1)),
        (logging.INFO, "Got one of 2 slots for active jobs"),
    ]


@pytest.mark.parametrize(("ahead", "pause"), [(0, 3.0), (20, 20.0), (5000, 300.0)])
def test_the_first_in_line_asks_most_often(ahead, pause):
    runner = FlowRunner(make_api(), refused(ahead), GRANTED)
    runner.run(wait_for_slot(runner.api, "ti-1"))
    assert runner.api.clock() - START == pause


def test_an_api_server_that_is_away_is_asked_again():
    runner = FlowRunner(make_api(), make_lost_error(), make_response(None, 503), GRANTED)
    runner.run(wait_for_slot(runner.api, "ti-1"))
    assert len(runner.paths) == 3


@pytest.mark.parametrize(
    "response", [make_response({"detail": "Not Found"}, 404), make_response(b"<html>a proxy", 200)]
)
def test_an_api_server_that_knows_no_slots_is_named(response):
    runner = FlowRunner(make_api(), response)
    with pytest.raises(
        RequestRejectedError, match=r"can't grant a slot for max_active_jobs\. Install the same version"
    ):
        runner.run(wait_for_slot(runner.api, "ti-1"))


@pytest.mark.parametrize("request_", [SlotRequest(2, 1.5), SlotRequest(1, 1.5, 2.5, ends_with_task=False)])
def test_a_request_is_stored_and_read(request_):
    assert SlotRequest.parse(request_.dump()) == request_


@pytest.mark.parametrize("given", [None, "x", [], {}, {"limit": 0, "asked_at": 1}, {"limit": 2, "asked_at": "soon"}])
def test_what_no_request_is_counts_as_none(given):
    assert SlotRequest.parse(given) is None


def test_the_key_of_a_connection_fits_into_an_xcom_key():
    assert len(make_slot_key("c" * 250)) == 32
    assert make_slot_key("a") != make_slot_key("b")
