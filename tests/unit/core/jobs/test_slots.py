from __future__ import annotations

import logging

import pytest

from airflow_provider_asyncapi.core.errors import RequestRejectedError
from airflow_provider_asyncapi.core.jobs.slots import SlotRequest, make_slot_key, wait_for_slot
from tests.unit.core.flow_runner import START, Script, answer, lost, make_api

WAITING = "Waiting for one of 2 slots for active jobs (max_active_jobs of the connection); {} tasks are ahead"


def refused(ahead: int):
    return answer({"granted": False, "limit": 2, "ahead": ahead})


GRANTED = answer({"granted": True, "limit": 2, "ahead": 0})


def test_a_task_asks_until_it_has_a_slot_and_logs_each_change_of_its_place():
    script = Script(make_api(), refused(7), refused(7), refused(1), GRANTED)
    script.run(wait_for_slot(script.api, "ti-1"))
    assert script.paths == ["POST /asyncapi/slots/ti-1"] * 4
    assert script.logs == [
        (logging.INFO, WAITING.format(7)),
        (logging.INFO, WAITING.format(1)),
        (logging.INFO, "Got one of 2 slots for active jobs"),
    ]


@pytest.mark.parametrize(("ahead", "pause"), [(0, 3.0), (20, 20.0), (5000, 60.0)])
def test_the_first_in_line_asks_most_often(ahead, pause):
    script = Script(make_api(), refused(ahead), GRANTED)
    script.run(wait_for_slot(script.api, "ti-1"))
    assert script.api.clock() - START == pause


def test_an_api_server_that_is_away_is_asked_again():
    script = Script(make_api(), lost(), answer(None, 503), GRANTED)
    script.run(wait_for_slot(script.api, "ti-1"))
    assert len(script.paths) == 3


@pytest.mark.parametrize("response", [answer({"detail": "Not Found"}, 404), answer(b"<html>a proxy", 200)])
def test_an_api_server_that_knows_no_slots_is_named(response):
    script = Script(make_api(), response)
    with pytest.raises(
        RequestRejectedError, match=r"can't grant a slot for max_active_jobs\. Install the same version"
    ):
        script.run(wait_for_slot(script.api, "ti-1"))


@pytest.mark.parametrize("request_", [SlotRequest(2, 1.5), SlotRequest(1, 1.5, 2.5, ends_with_task=False)])
def test_a_request_is_stored_and_read(request_):
    assert SlotRequest.parse(request_.dump()) == request_


@pytest.mark.parametrize("given", [None, "x", [], {}, {"limit": 0, "asked_at": 1}, {"limit": 2, "asked_at": "soon"}])
def test_what_no_request_is_counts_as_none(given):
    assert SlotRequest.parse(given) is None


def test_the_key_of_a_connection_fits_into_an_xcom_key():
    assert len(make_slot_key("c" * 250)) == 32
    assert make_slot_key("a") != make_slot_key("b")
