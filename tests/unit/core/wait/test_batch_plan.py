from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_asyncapi.core.errors import ConfigurationError, ContentError, SelectorError
from airflow_provider_asyncapi.core.http.file_bodies import find_literal_bytes
from airflow_provider_asyncapi.core.wait.batch_plan import Absent, Batch, BatchResponse
from tests.unit.core.flow_runner import BASE, make_api, make_response

GIVEN = {"endpoint": "/jobs", "query_params": {"ids": "{identifiers}"}, "items": "jobs[*]", "id": "id"}


def batch(*, singly: bool = True, **given: Any) -> Batch:
    parsed = Batch.parse({**GIVEN, **given}, singly=singly)
    assert parsed is not None
    return parsed


# What may be given


def test_without_the_parameter_there_is_none():
    assert Batch.parse(None, singly=True) is None


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"items": None}, "items is missing"),
        ({"id": None}, "id is missing"),
        ({"size": 0}, "batch: size: has to be a whole number"),
        ({"size": True}, "batch: size: has to be a whole number"),
        ({"separator": ""}, "separator has to be"),
        ({"separator": 7}, "separator has to be"),
        ({"absent": "gone"}, "absent has to be one of running"),
        ({"query_params": None}, "has to contain .*set absent"),
        ({"separator": None, "query_params": {"ids": "a{identifiers}"}}, "without a separator"),
        ({"separator": None, "endpoint": "/jobs/{identifiers}"}, "without a separator"),
        ({"identifier": "id"}, "unknown key 'identifier'"),
    ],
)
def test_what_can_not_be_meant_is_refused(given, said):
    with pytest.raises(ConfigurationError, match=said):
        batch(**given)


def test_anything_but_a_mapping_is_refused():
    with pytest.raises(ConfigurationError, match="has to be a mapping"):
        Batch.parse("/jobs", singly=True)


def test_a_malformed_selector_is_named():
    with pytest.raises(SelectorError, match=r"batch\.items"):
        batch(items="jobs[")


def test_an_absent_job_is_asked_for_singly_where_that_is_possible():
    assert batch().absent is Absent.POLL
    assert batch(singly=False).absent is Absent.RETRY
    with pytest.raises(ConfigurationError, match="poll needs an endpoint"):
        batch(singly=False, absent="poll")


def test_batches_of_the_same_description_have_the_same_key():
    assert batch().key == batch().key
    assert batch().key != batch(size=2).key


# The request


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ({}, "/jobs?ids=a%2C7"),
        ({"separator": "|"}, "/jobs?ids=a%7C7"),
        ({"separator": None}, "/jobs?ids=a&ids=7"),
        ({"query_params": None, "endpoint": "/jobs/{identifiers}"}, "/jobs/a%2C7"),
        ({"query_params": None, "endpoint": "/jobs/{+identifiers}"}, "/jobs/a,7"),
        ({"query_params": {"q": "id in ({identifiers})"}}, "/jobs?q=id+in+%28a%2C7%29"),
    ],
)
def test_the_jobs_are_named_in_the_url(given, url):
    assert batch(**given).render(make_api(), ["a", 7]).url == BASE + url


def test_a_list_of_any_jobs_does_not_name_them():
    parsed = batch(query_params={"limit": 200}, absent="poll")
    assert parsed.render(make_api(), ["a", 7]).url == f"{BASE}/jobs?limit=200"


@pytest.mark.parametrize("separator", [",", None])
def test_alone_in_a_json_body_they_are_a_list(separator):
    parsed = batch(query_params=None, json={"filter": [{"ids": "{identifiers}"}], "n": 1}, separator=separator)
    request = parsed.render(make_api(), ["a", 7])
    assert request.method == "POST"
    assert json.loads(find_literal_bytes(request.body)) == {"filter": [{"ids": ["a", 7]}], "n": 1}


def test_among_other_text_in_a_body_they_are_joined():
    query = '{ jobs(ids: "{identifiers}") { id } }'
    request = batch(query_params=None, json={"query": query}, separator=" ").render(make_api(), ["a", "b"])
    assert json.loads(find_literal_bytes(request.body)) == {"query": '{ jobs(ids: "a b") { id } }'}


def test_the_connection_s_variables_can_be_named():
    api = make_api(variables={"org": "o-1"})
    assert batch(endpoint="/{connection.org}/jobs").render(api, ["a"]).url == f"{BASE}/o-1/jobs?ids=a"


# The answer


def test_an_answer_is_taken_apart_by_identifier_as_text():
    jobs = [{"id": "a", "state": "done"}, {"id": 7, "state": "ä"}, {"state": "nobody's"}]
    split = batch().split(make_response({"jobs": jobs}, x_a="1"), {})
    assert set(split) == {"a", "7"}
    assert split["7"].json == {"id": 7, "state": "ä"}
    assert json.loads(split["7"].text) == {"id": 7, "state": "ä"}
    assert (split["a"].status, split["a"].headers["x-a"]) == (200, "1")


@pytest.mark.parametrize(
    ("items", "body"),
    [
        ("jobs", {"jobs": [{"id": "a"}]}),
        ("jobs[*]", {"jobs": [{"id": "a"}]}),
        ("$", [{"id": "a"}]),
        ("$.groups[*].jobs[*]", {"groups": [{"jobs": [{"id": "a"}]}, {"jobs": []}]}),
        ("job", {"job": {"id": "a"}}),
    ],
)
def test_one_job_is_found_however_the_list_is_selected(items, body):
    assert set(batch(items=items).split(make_response(body), {})) == {"a"}


@pytest.mark.parametrize("body", [{"jobs": []}, {}, {"jobs": None}])
def test_an_answer_without_jobs_holds_none(body):
    assert batch().split(make_response(body), {}) == {}


def test_a_body_that_can_not_be_read_is_an_error():
    with pytest.raises(ContentError):
        batch().split(make_response(b"<html>"), {})


def test_answers_tell_each_its_own():
    request = batch().render(make_api(), ["a", 7])
    whole, item = make_response({}), make_response({"id": 7})
    assert BatchResponse(request, whole, {"7": item}).response_for(7) is item
    assert BatchResponse(request, whole, {"7": item}).response_for("a") is None
    assert BatchResponse(request, whole, None).response_for("a") is whole
