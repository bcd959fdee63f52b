from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_asyncapi.core.callbacks.calls import FORM, ReceivedCallback
from airflow_provider_asyncapi.core.callbacks.identity import find_other_job
from airflow_provider_asyncapi.core.callbacks.settings import CallbackSettings
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from tests.unit.core.flow_runner import make_response

#: As the submit with `identifier="data.id"` leaves it.
JOB = JobHandle(7, variables={"data.id": 7, "header:Location": "/jobs/7", "pages": 3})


def other(call, job=JOB, **callback):
    return find_other_job(CallbackSettings.parse({"callback": callback}), job, call, {})


@pytest.mark.parametrize(
    "call",
    [
        make_response({"data": {"id": 8}}),
        make_response({"data": {"id": "8"}, "at": "77", "x": 1.7}),
        make_response({"data": {"id": "77"}}),
    ],
)
def test_a_callback_that_names_another_job_where_the_submit_named_this_one_is_not_believed(call):
    assert other(call) == str(call.json["data"]["id"])
    assert other(call, identifier=False) is None


@pytest.mark.parametrize(
    "call",
    [
        make_response({"data": {"id": 7}}),
        make_response({"data": {"id": "7"}}),
        make_response({"state": "done"}),
        make_response({"data": {"id": None}}),
        make_response({"data": {"id": {"a": 8}}}),
        make_response(b""),
        make_response(b"<data><id>8</id></data>", content_type="application/xml"),
        make_response(b"state=done", content_type="application/x-www-form-urlencoded"),
    ],
)
def test_a_callback_that_names_this_job_or_none_is_believed(call):
    assert other(call) is None


@pytest.mark.parametrize("more", [{"job": "j-12345"}, {"href": "https://api.example.com/jobs/j-12345?x"}])
def test_an_event_may_have_an_identifier_of_its_own_beside_the_jobs(more):
    job = JobHandle("j-12345", variables={"id": "j-12345"})
    assert other(make_response({"id": "evt-1", **more}), job) is None
    assert other(make_response({"id": "j-99", "job": "j-123456"}), job) == "j-99"


@pytest.mark.parametrize(
    ("identifier", "event"),
    [(7, "evt_1"), ("job-123456", "evt-1"), ("e-7", "01JDQ2V8"), ("6f9619ff-8b86", "evt_6f9619ff"), ("abc", 17)],
)
def test_an_identifier_of_an_event_that_looks_unlike_the_jobs_keeps_no_call_from_its_job(identifier, event):
    job = JobHandle(identifier, variables={"id": identifier})
    assert other(make_response({"id": event, "status": "done"}), job) is None
    assert other(make_response({"id": event, "status": "done"}), job, identifier="id") == str(event)


@pytest.mark.parametrize(
    ("call", "found"),
    [
        (make_response({"job": 7, "data": {"id": 8}}), None),
        (make_response({"job": 8, "data": {"id": 7}}), "8"),
        # Where the place is known, only what stands there counts.
        (make_response({"job": "8", "parent": 7}), "8"),
        (make_response({"parent": 7}), None),
        (make_response({"id": 8}), "8"),
    ],
)
def test_where_the_connection_says_that_calls_name_their_job_there_it_is_compared(call, found):
    assert other(call, identifier=["job", "id"]) == found
    assert other(call, JobHandle("7"), identifier=["job", "id"]) == found


def test_without_an_identifier_nothing_is_compared():
    assert other(make_response({"job": 8}), JobHandle(None), identifier="job") is None
    assert other(make_response({"data": {"id": 8}}), JobHandle(7)) is None


def test_an_xml_callback_is_compared_too():
    job = JobHandle("a.b", variables={"xpath:/job/@id": "a.b"})
    assert other(make_response(b"<job id='a.c'/>", content_type="application/xml"), job) == "a.c"
    assert other(make_response(b"<job id='a.b'/>", content_type="application/xml"), job) is None


@pytest.mark.parametrize(
    "call",
    [
        *({"id": 12, "data": {"id": 7}}, {"id": "12", "data": {"id": "7"}}, {"id": 1764342000123, "job": 7}),
        *({"id": 12, "job_id": 7}, {"id": 12, "jobId": "7"}, {"id": 12, "ExportID": 7}, {"id": 12, "job-id": 7}),
        *({"id": 12, "job": {"number": 7}}, {"id": 12, "event": {"jobs": [{"id": 5}, {"id": 7}]}}),
        *({"id": 12, "JOB_ID": 7}, {"id": 12, "job_ids": [5], "task": {"uuid": 7}}, {"id": 12, "job": [5, 7]}),
    ],
)
def test_a_callback_that_has_a_short_identifier_as_a_field_of_its_own_is_about_that_job(call):
    job = JobHandle(7, variables={"id": 7})
    assert other(make_response(call), job) is None
    assert other(make_response(call), job, identifier="id") == str(call["id"])


@pytest.mark.parametrize(
    "call",
    [
        *({"id": 12}, {"id": 12, "rows": 7}, {"id": 12, "job": "7 rows"}, {"id": 12, "href": "/jobs/77"}),
        # Others have identifiers too.
        *({"id": 12, "user_id": 7}, {"id": 12, "user": {"id": 7}}, {"id": 12, "parentJobId": 7}),
        *({"id": 12, "event": {"id": 7}}, {"id": 12, "data": {"account": {"id": 7}}}),
        # Counts.
        *(
            {"id": 12, "jobs": 7},
            {"id": 12, "data": {"number": 7}},
            {"id": 12, "run": {"no": 7}},
            {"id": 12, "data": 7},
        ),
        *({"id": 12, "job": {"": 7}}, {"id": 12, "job": {"1": 7, "x": None}}, {"id": 12, "job": {"progress": 7}}),
    ],
)
def test_a_callback_that_has_the_number_of_a_job_for_something_else_is_about_another_job(call):
    assert other(make_response(call), JobHandle(7, variables={"id": 7})) == "12"


def test_a_field_of_the_name_that_the_submit_had_holds_an_identifier_too():
    job = JobHandle(7, variables={"$.result.transferNo": 7, "ref": 7, "$": 7})
    assert other(make_response({"result": {"transferNo": 12}, "event": {"transferNo": 7}}), job) is None
    assert other(make_response({"result": {"transferNo": 12}, "event": {"no": 7}}), job) == "12"
    assert other(make_response({"ref": 12, "data": {"ref": 7}}), job) is None
    assert other(make_response({"ref": 12, "user": {"ref": 7}}), job) == "12"


def test_forms_and_xml_are_searched_too():
    def form(body: bytes) -> Any:
        return ReceivedCallback("1", 0.0, FORM, body).response()

    job = JobHandle(7, variables={"id": 7})
    assert other(form(b"id=12&job_id=7"), job) is None
    assert other(form(b"id=12&user_id=7"), job) == "12"
    job = JobHandle(7, variables={"xpath:/*/@id": 7})
    for xml, found in {
        "<event id='12'><job>7</job></event>": None,
        "<n:event xmlns:n='urn:n' id='12'><n:job n:id='7'/></n:event>": None,
        "<event id='12'><job><id>\n7\n</id></job></event>": None,
        "<event id='12'><user><id>7</id></user></event>": "12",
        "<event id='12'><user id='7'/><rows>7</rows></event>": "12",
    }.items():
        assert other(make_response(xml.encode(), content_type="application/xml"), job) == found, xml


def test_a_callback_that_is_neither_json_nor_xml_names_a_short_identifier_nowhere():
    job = JobHandle("7", variables={"header:content-type": "7"})
    assert other(make_response(b"job 7", content_type="8"), job) == "8"


NAMES = st.sampled_from(["id", "job", "job_id", "data", "user", "rows", "state", "event"]) | st.text(max_size=8)
SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=8)


def documents(scalars: Any) -> Any:
    return st.dictionaries(
        NAMES,
        st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(NAMES, inner), max_leaves=10),
        max_size=5,
    )


@given(st.integers(0, 99999), st.integers(0, 10**15), st.data())
def test_a_call_for_another_job_is_believed_only_if_it_has_the_jobs_number_in_a_field_for_identifiers(mine, its, data):
    job = JobHandle(mine, variables={"id": mine})
    if mine != its:
        foreign = data.draw(documents(SCALARS.filter(lambda value: str(value) != str(mine))))
        assert other(make_response({**foreign, "id": its}), job) == str(its)
        names = st.sampled_from(["job", "job_id", "exportId", "jobId", "data.id", "job.id", "payload.job.id"])
        place = data.draw(names).split(".")
        named: Any = data.draw(st.sampled_from([mine, str(mine)]))
        for name in reversed(place):
            named = {name: named}
        assert other(make_response({**foreign, **named, "id": its}), job) is None


def test_a_document_of_any_depth_is_searched():
    deep: Any = {"job": 7}
    for _ in range(200):
        deep = {"data": [deep]}
    job = JobHandle(7, variables={"id": 7})
    assert other(make_response(json.dumps({"id": 12, **deep}).encode()), job) is None


@pytest.mark.parametrize("call", [{"job_id": 8}, {"jobId": "8"}, {"job": {"id": 8}}, {"ok": 1, "jobs": [{"id": 8}]}])
def test_a_callback_without_the_submits_field_is_compared_at_the_fields_for_a_job(call):
    job = JobHandle(7, variables={"id": 7})
    assert other(make_response(call), job) == "8"
    assert other(make_response({**call, "export_id": 7}), job) is None
    assert other(make_response(call), JobHandle("a-8", variables={"id": "a-8"})) is None


@pytest.mark.parametrize(
    "call", [{"user_id": 8}, {"rows": 8}, {"job": "8 rows"}, {"event": {"id": 8}}, {"batch_size": 8}]
)
def test_a_field_that_is_none_for_a_job_names_no_other_job(call):
    assert other(make_response(call), JobHandle(7, variables={"id": 7})) is None


@pytest.mark.parametrize(
    ("url", "is_ours"),
    [
        ("https://x.example/jobs/7", True),
        ("/jobs/7/", True),
        ("https://x.example/jobs/7?full=1", True),
        ("https://x.example/jobs/77", False),
        ("https://x.example/jobs/7/rows", False),
        ("3/7", False),
    ],
)
def test_a_url_of_the_job_names_it(url, is_ours):
    job = JobHandle(7, variables={"id": 7})
    assert other(make_response({"id": 99, "url": url}), job) == (None if is_ours else "99")
