from __future__ import annotations

import gzip

import pytest

from airflow_provider_asyncapi.core.errors import (
    AuthenticationError,
    BodyTooLargeError,
    ContentError,
    MissingValueError,
    RequestRejectedError,
    ResultError,
    ResultExpiredError,
    UnavailableError,
    UnknownVariableError,
    UnsafeContentError,
)
from airflow_provider_asyncapi.core.fetch.flow import NoDataError
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from tests.unit.core.fetch.fetches import MIB, value
from tests.unit.core.flow_runner import BASE, START, make_api, make_lost_error, make_response

# One value


def test_a_value_is_fetched():
    found, runner = value(make_response({"rows": [1, 2]}), result_path="rows")
    assert found == [1, 2]
    assert runner.paths == ["GET /jobs/7/result"]


def test_a_list_of_urls_gives_a_list_of_values_in_order():
    handle = JobHandle("7", variables={"links": ["/a", "https://api.example.com/v1/b"]})
    found, runner = value(
        make_response({"n": 1}),
        make_lost_error(),
        make_response({"n": 2}),
        handle=handle,
        endpoint="{links}",
        result_path="n",
    )
    assert found == [1, 2]
    assert [request.url for request in runner.requests] == [
        "https://api.example.com/a",
        "https://api.example.com/v1/b",
        "https://api.example.com/v1/b",
    ]
    assert value(handle=JobHandle("7", variables={"links": []}), endpoint="{links}")[0] == []


def test_a_reference_is_resolved_where_the_job_was_last_seen():
    handle = JobHandle(
        "7", urls={"submit": "https://other/x/jobs", "status": "https://other/x/jobs/7"}, variables={"l": "r.json"}
    )
    assert value(make_response(1), handle=handle, endpoint="{l}")[1].requests[0].url == "https://other/x/jobs/r.json"


def test_a_path_that_finds_nothing_says_where_it_looked_without_secrets():
    api = make_api(password="hunter22", login="me")
    body = {"access_token": "abc", "echo": "hunter22", "hunter22": 1, "data": "x" * 1000}
    with pytest.raises(MissingValueError) as caught:
        value(make_response(body), api=api, result_path=["rows", "items"])
    message = str(caught.value)
    assert message.startswith(
        "GET https://api.example.com/v1/jobs/7/result answered 200: result_path: 'rows' or 'items' found nothing;"
        ' the JSON has the keys access_token, echo, ***, data; the body begins: {"access_token": ***'
    )
    assert "hunter22" not in message
    assert "abc" not in message
    assert len(message) < 650


def test_a_body_of_another_format_is_an_error_that_names_the_request():
    page = make_response(b"<html>", content_type="text/html")
    with pytest.raises(
        ContentError, match=r"GET https://api.example.com/v1/jobs/7/result answered 200: the response is an HTML"
    ):
        value(page)


def test_transient_errors_are_tolerated():
    found, runner = value(
        make_lost_error(), make_response({}, 503, retry_after="7"), make_response({}, 429), make_response(5)
    )
    assert found == 5
    assert runner.sleeps == [1.0, 7.0, 4.0]


def test_too_many_transient_errors_are_an_error():
    with pytest.raises(UnavailableError, match=r"answered 500: .* \(3 errors in a row\)"):
        value(make_response({}, 500), make_response({}, 500), make_response({}, 500), max_consecutive_errors=3)


@pytest.mark.parametrize(
    ("ago", "age"),
    [
        (None, ""),
        (90, " (the job was submitted 2 minutes ago)"),
        (2 * 3600, " (the job was submitted 2.0 hours ago)"),
        (3.5 * 86400, " (the job was submitted 3.5 days ago)"),
    ],
)
@pytest.mark.parametrize("status", [404, 410])
def test_a_result_that_is_gone_says_so_with_the_jobs_age(status, ago, age):
    handle = JobHandle("7", submitted_at=None if ago is None else START - ago)
    with pytest.raises(ResultExpiredError) as caught:
        value(make_response({"detail": "expired"}, status), handle=handle)
    assert str(caught.value) == (
        "the result doesn't exist (any more): GET https://api.example.com/v1/jobs/7/result answered"
        f" {status}, expected 2xx: expired{age}"
    )


@pytest.mark.parametrize(("status", "error"), [(400, RequestRejectedError), (401, AuthenticationError)])
def test_a_refusal_is_final_and_says_why(status, error):
    with pytest.raises(error, match=r"answered 40.*: no such thing"):
        value(make_response({"why": "no such thing"}, status), error_message="why")


def test_a_result_too_large_for_memory_is_refused_with_advice():
    with pytest.raises(BodyTooLargeError, match="which isn't read; a large result can be streamed: output_type='file'"):
        value(BodyTooLargeError("GET … answered 200 with a body of more than 5 bytes, which isn't read"))


def test_a_coding_that_is_not_undone_is_refused_without_advice_about_size():
    with pytest.raises(UnsafeContentError) as caught:
        value(UnsafeContentError("GET … answered 200 with the content coding 'br'"))
    assert "output_type='file'" not in str(caught.value)


# Rules


def test_a_rule_may_say_not_yet():
    rules = [{"all": [{"selector": "status_code", "in": 400}, {"selector": "code", "in": "BUSY"}], "outcome": "retry"}]
    found, runner = value(make_response({"code": "BUSY"}, 400, retry_after="3"), make_response(1), rules=rules)
    assert found == 1
    assert runner.sleeps == [3.0]
    assert runner.log_text == (
        f"GET {BASE}/jobs/7/result answered 400, and a rule takes it for not yet; trying again in 3 s"
    )


def test_a_rule_that_says_not_yet_again_and_again_is_unavailable():
    rules = [{"selector": "state", "in": "running", "outcome": "running"}]
    with pytest.raises(UnavailableError, match=r"a rule takes it for not yet \(5 errors in a row\)"):
        value(*[make_response({"state": "running"})] * 5, rules=rules)


def test_a_rule_may_say_that_there_is_nothing():
    with pytest.raises(NoDataError, match="answered 204, and a rule takes it for no data"):
        value(make_response(None, 204), rules=[{"selector": "status_code", "in": 204, "outcome": "no_data"}])


def test_a_rule_may_say_that_a_200_is_a_failure():
    api = make_api(login="me", password="hunter22")
    with pytest.raises(ResultError, match=r"answered 200, and a rule takes it for a failure: bad \*\*\*"):
        value(
            make_response({"errors": [{"message": "bad hunter22"}]}),
            api=api,
            rules=[{"selector": "errors", "exists": True, "outcome": "failure"}],
        )


def test_a_rule_may_take_an_error_status_for_a_success():
    rules = [{"selector": "status_code", "in": 404, "outcome": "success"}]
    assert value(make_response({"rows": []}, 404), rules=rules, result_path="rows")[0] == []


def test_a_rule_for_another_kind_of_body_does_not_match():
    rules = [{"selector": "errors", "exists": True, "outcome": "failure"}]
    assert value(make_response(b"a\n1\n", content_type="text/csv"), rules=rules)[0] == [{"a": "1"}]
    with pytest.raises(RequestRejectedError, match="bad gateway"):
        value(
            make_response(b"bad gateway", 400),
            rules=[{"all": [{"selector": "status_code", "in": 400}, {"selector": "a", "in": 1}], "outcome": "success"}],
        )


def test_a_fetch_whose_variable_is_missing_is_an_error():
    with pytest.raises(UnknownVariableError):
        value(endpoint="/{nothing}")


def test_a_value_in_a_gzip_file_is_read():
    assert value(make_response(gzip.compress(b'{"a": 1}')), result_path="a")[0] == 1
    with pytest.raises(UnsafeContentError, match=r"answered 200: the body is gzip that unpacks to more than"):
        value(make_response(gzip.compress(bytes(2 * MIB))))
