"""What a description needs is found in responses as vendors send them."""

import json

import pytest

from airflow_provider_asyncapi.core.http.messages import Headers, Response
from airflow_provider_asyncapi.importing.exploring.candidates import (
    find_error_message,
    find_identifiers,
    find_identifiers_of_result,
    find_progress,
    find_results,
    find_rows,
    find_statuses,
)

SUBMIT = {"endpoint": "/v1/jobs"}


def response(body=None, status=200, url="https://h/v1/jobs", **headers):
    fields = [(name.replace("_", "-"), value) for name, value in headers.items()]
    if body is None:
        return Response(status, Headers(fields), url=url)
    return Response(
        status, Headers([*fields, ("content-type", "application/json")]), json.dumps(body).encode(), url=url
    )


def selectors(candidates):
    return [each.selector for each in candidates]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"job_id": "a1", "id": "b2"}, "job_id"),
        ({"requestId": "a1", "data": {"id": "b2"}}, "requestId"),
        ({"user": {"id": "u1"}, "data": {"id": "a1"}}, "data.id"),
        ({"account_id": 4, "run_id": 5}, "run_id"),
        ({"result": {"task": {"taskId": 77}}}, "result.task.taskId"),
        ({"name": "operations/a1", "done": False}, "name"),
        ({"_jobId": "a1"}, "_jobId"),
        ([{"id": "a1"}], "$[0].id"),
        ("a1b2", "$"),
        ({"odd key": {"Job-Id": "a1"}}, '$."odd key"."Job-Id"'),
    ],
)
def test_the_identifier_is_known_by_its_name(body, expected):
    assert selectors(find_identifiers(response(body), SUBMIT, None))[0] == expected


@pytest.mark.parametrize(
    ("endpoint", "expected", "replaced"),
    [
        ("/v1/jobs/3f2b8a60-0000-4000-8000-000000000001", "uid", "3f2b8a60-0000-4000-8000-000000000001"),
        ("/v1/jobs/41/status", "number", "41"),
        ("/v1/jobs/job-7f/status", "key", "job-7f"),
        ("/v1/jobs/{job_key}", "key", "{job_key}"),
    ],
)
def test_the_identifier_looks_like_that_of_the_status_request(endpoint, expected, replaced):
    body = {"uid": "9c1d7b52-0000-4000-8000-000000000002", "number": 12345, "key": "job-9a"}
    found = find_identifiers(response(body), SUBMIT, {"endpoint": endpoint})
    assert (found[0].selector, found[0].replaces) == (expected, replaced)


def test_a_name_may_be_several_parts_of_the_path():
    found = find_identifiers(response({"name": "ops/op-7"}), SUBMIT, {"endpoint": "/v1/ops/op-1"})
    assert (found[0].selector, found[0].replaces) == ("name", "ops/op-1")


def test_a_header_or_a_link_that_leads_to_the_status_comes_first():
    status = {"endpoint": "/v1/jobs/41"}
    found = find_identifiers(response({"id": "7"}, location="https://h/v1/jobs/7"), SUBMIT, status)
    assert selectors(found) == ["header:Location", "id"]
    body = {"id": "7", "links": {"status": "https://h/v1/jobs/7", "cancel": "https://h/v1/jobs/7/cancel"}}
    assert selectors(find_identifiers(response(body), SUBMIT, None)) == ["links.status", "id"]
    # Another URL than that of the command isn't the one to poll.
    assert selectors(find_identifiers(response(body), SUBMIT, {"endpoint": "/v1/other/41/x"})) == ["id"]


def test_nothing_is_found_in_a_message():
    assert find_identifiers(response({"message": "all is well", "ok": True}), SUBMIT, None) == []
    assert find_identifiers(response(), SUBMIT, None) == []


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"status": "RUNNING"}, "status"),
        ({"data": {"jobStatus": "x"}}, "data.jobStatus"),
        ({"status": 200, "data": {"state": "done"}}, "data.state"),
        ({"name": "op", "done": False}, "done"),
        ({"done": True, "state": "ok"}, "state"),
        ({"owner": {"status": "active"}, "phase": "zzz"}, "phase"),
        ({"status": {"state": "RUNNING", "message": "x"}}, "status.state"),
    ],
)
def test_the_status_is_known_by_its_name(body, expected):
    assert selectors(find_statuses(response(body)))[0] == expected


def test_a_body_without_a_status_has_none():
    assert find_statuses(response({"rows": [1], "status": 200})) == []


def test_results_are_links_and_values():
    last = response(
        {
            "self": "https://h/v1/jobs/7",
            "id": "7",
            "links": {"cancel": "https://h/v1/jobs/7/cancel", "download_url": "https://cdn/x?sig=1"},
            "results": [{"a": 1}],
        },
        url="https://h/v1/jobs/7",
    )
    assert selectors(find_results(last, "7")) == ["links.download_url", "results"]
    # Rows are nearer to what people want than what is around them.
    assert selectors(find_results(response({"result": {"rows": [{"a": 1}]}}), "7"))[0] == "result.rows"
    assert find_results(response({"status": "done", "result": None}), "7") == []
    # Of several files, all are the result.
    assert selectors(find_results(response({"output": ["https://cdn/1", "https://cdn/2"]}), "7")) == ["output"]


def test_the_identifier_of_a_file_looks_like_the_one_in_the_request():
    last = response({"input_file": "file-aa", "output_file": "file-b2", "error_file": "file-c3"})
    found = find_identifiers_of_result(last, {"endpoint": "/files/file-z9/content"}, ["files"])
    assert (found[0].selector, found[0].replaces) == ("output_file", "file-z9")


def test_a_placeholder_of_the_result_is_the_last_part_of_the_url_of_the_job():
    last = response({"user": "u-9", "jobId": "u-1"})
    fetch = {"endpoint": "/jobs/{JOB}/results"}
    (found,) = find_identifiers_of_result(last, fetch, ["jobs"], "/jobs/u-1")
    assert (found.selector, found.replaces) == ("jobId", "{JOB}")
    assert find_identifiers_of_result(last, fetch, ["jobs"], "u-1") == []


def test_rows_error_messages_and_progress():
    assert find_rows(response({"rows": [{"a": 1}], "total": 1})) == "rows"
    assert find_rows(response({"rows": [{"a": 1}], "columns": [{"b": 1}]})) is None
    assert find_rows(response([{"a": 1}])) is None
    assert find_error_message([response({"error": {"message": "broken"}})]) == "error.message"
    assert find_error_message([response({"error": {"code": 7}})]) is None
    assert find_progress([response({"a": 1}), response({"job": {"percentComplete": 40}})]) == "job.percentComplete"
    assert find_progress([response({"progress": True})]) is None
