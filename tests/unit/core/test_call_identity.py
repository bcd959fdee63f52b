from __future__ import annotations

import pytest

from airflow_provider_asyncapi.core.call_identity import find_other_job
from airflow_provider_asyncapi.core.callbacks import CallbackSettings
from airflow_provider_asyncapi.core.handle import JobHandle
from tests.unit.core.flows.script import answer

#: As the submit with `identifier="data.id"` leaves it.
JOB = JobHandle(7, variables={"data.id": 7, "header:Location": "/jobs/7", "pages": 3})


def other(call, job=JOB, **callback):
    return find_other_job(CallbackSettings.parse({"callback": callback}), job, call, {})


@pytest.mark.parametrize(
    "call",
    [
        answer({"data": {"id": 8}}),
        answer({"data": {"id": "8"}, "at": "77", "x": 1.7}),
        answer({"data": {"id": "77"}}),
    ],
)
def test_a_callback_that_names_another_job_where_the_submit_named_this_one_is_not_believed(call):
    assert other(call) == str(call.json["data"]["id"])
    assert other(call, identifier=False) is None


@pytest.mark.parametrize(
    "call",
    [
        answer({"data": {"id": 7}}),
        answer({"data": {"id": "7"}}),
        answer({"state": "done"}),
        answer({"data": {"id": None}}),
        answer({"data": {"id": {"a": 8}}}),
        answer(b""),
        answer(b"<data><id>8</id></data>", content_type="application/xml"),
        answer(b"state=done", content_type="application/x-www-form-urlencoded"),
    ],
)
def test_a_callback_that_names_this_job_or_none_is_believed(call):
    assert other(call) is None


@pytest.mark.parametrize("more", [{"job": "j-12345"}, {"href": "https://api.example.com/jobs/j-12345?x"}])
def test_an_event_may_have_an_identifier_of_its_own_beside_the_jobs(more):
    job = JobHandle("j-12345", variables={"id": "j-12345"})
    assert other(answer({"id": "evt-1", **more}), job) is None
    assert other(answer({"id": "j-99", "job": "j-123456"}), job) == "j-99"


@pytest.mark.parametrize(
    ("identifier", "event"),
    [(7, "evt_1"), ("job-123456", "evt-1"), ("e-7", "01JDQ2V8"), ("6f9619ff-8b86", "evt_6f9619ff"), ("abc", 17)],
)
def test_an_identifier_of_an_event_that_looks_unlike_the_jobs_keeps_no_call_from_its_job(identifier, event):
    job = JobHandle(identifier, variables={"id": identifier})
    assert other(answer({"id": event, "status": "done"}), job) is None
    assert other(answer({"id": event, "status": "done"}), job, identifier="id") == str(event)


@pytest.mark.parametrize(
    ("call", "found"),
    [
        (answer({"job": 7, "data": {"id": 8}}), None),
        (answer({"job": 8, "data": {"id": 7}}), "8"),
        # Where the place is known, only what stands there counts.
        (answer({"job": "8", "parent": 7}), "8"),
        (answer({"parent": 7}), None),
        (answer({"id": 8}), "8"),
    ],
)
def test_where_the_connection_says_that_calls_name_their_job_there_it_is_compared(call, found):
    assert other(call, identifier=["job", "id"]) == found
    assert other(call, JobHandle("7"), identifier=["job", "id"]) == found


def test_without_an_identifier_nothing_is_compared():
    assert other(answer({"job": 8}), JobHandle(None), identifier="job") is None
    assert other(answer({"data": {"id": 8}}), JobHandle(7)) is None


def test_an_xml_callback_is_compared_too():
    job = JobHandle("a.b", variables={"xpath:/job/@id": "a.b"})
    assert other(answer(b"<job id='a.c'/>", content_type="application/xml"), job) == "a.c"
    assert other(answer(b"<job id='a.b'/>", content_type="application/xml"), job) is None
