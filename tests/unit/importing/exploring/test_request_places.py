"""The place of an identifier in a request is found and filled."""

import pytest

from airflow_provider_asyncapi.importing.exploring.request_places import (
    describe_shape,
    fill_place,
    find_open_variables,
    have_same_shape,
    list_places,
    unquote_braces,
)


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("3f2b8a60-0000-4000-8000-000000000001", "uuid"),
        ("41", "number"),
        ("job_7f", "job_"),
        ("deadbeef01", "hexadecimal"),
        ("x7Qp", "letters and digits"),
        ("status", "word"),
    ],
)
def test_shapes(text, shape):
    assert describe_shape(text) == shape


def test_identifiers_of_one_kind_have_the_same_shape():
    assert have_same_shape("7", "12345")
    assert have_same_shape("job-7", "job-81")
    assert not have_same_shape("job-7", "file-7")
    assert not have_same_shape("status", "phase")
    assert not have_same_shape("x7Qp", "x7Qp98234")


def test_places_are_in_the_path_the_query_and_the_body():
    request = {
        "endpoint": "https://h/api/v2/jobs/41/status",
        "query_params": {"job": "8", "full": "yes"},
        "json": {"ids": [5], "deep": {"jobId": "x1"}, "flag": True},
    }
    places = list_places(request, ["api", "v2", "jobs"])
    assert [each.text for each in places] == ["status", "41", "8", "yes", "5", "x1"]
    assert [each.text for each in places if each.looks_like_identifier] == ["41", "8", "5", "x1"]
    assert [each.text for each in list_places({"endpoint": "/v1.1/{id}"}) if each.looks_like_identifier] == ["{id}"]


@pytest.mark.parametrize("text", ["JOB", "YOUR_JOB_ID", "<job>", "[id]", "{id}"])
def test_what_people_write_in_place_of_an_identifier_is_one(text):
    (place,) = list_places({"endpoint": f"/API/v1/jobs/{text}"}, ["API", "v1", "jobs"])
    assert place.is_placeholder
    assert fill_place({"endpoint": f"/jobs/{text}"}, text, "{identifier}") == {"endpoint": "/jobs/{identifier}"}


@pytest.mark.parametrize("text", ["status", "Jobs", "v1", "J"])
def test_a_word_does_not_stand_for_an_identifier(text):
    assert not any(place.is_placeholder for place in list_places({"endpoint": f"/jobs/{text}"}))


def test_a_place_is_filled_wherever_the_text_stands_as_a_whole():
    request = {
        "endpoint": "/jobs/41/41.csv/141",
        "query_params": {"filter": "id eq '41'", "many": ["41", "7"]},
        "json": {"id": 41, "other": 410, "flag": True},
    }
    assert fill_place(request, "41", "{identifier}") == {
        "endpoint": "/jobs/{identifier}/{identifier}.csv/141",
        "query_params": {"filter": "id eq '{identifier}'", "many": ["{identifier}", "7"]},
        "json": {"id": "{identifier}", "other": 410, "flag": True},
    }


def test_colons_are_placeholders_too():
    assert unquote_braces("/jobs/:id/rows:export") == "/jobs/{id}/rows:export"
    request = {"endpoint": "/jobs/{id}", "query_params": {"key": "{connection.key}", "x": "{y}"}}
    assert find_open_variables(request) == {"id", "y"}
