from __future__ import annotations

import hashlib
import json

import pytest

from airflow_provider_asyncapi.core.errors import (
    ResultError,
    UnavailableError,
)
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from tests.unit.core.fetch.fetches import MIB, broken, files, value
from tests.unit.core.flow_runner import make_lost_error, make_response

# Files


def test_a_file_is_streamed_whole_after_a_broken_transfer():
    contents, responses, runner = files(make_lost_error(), make_response({}, 503), make_response(b"abc"))
    assert contents == [b"abc"]
    assert [response.streamed_bytes for response in responses] == [3]
    assert len(runner.requests) == 3


def test_each_url_of_a_list_is_a_file():
    handle = JobHandle("7", variables={"links": ["/a", "/b"]})
    assert files(make_response(b"A"), make_response(b"B"), handle=handle, endpoint="{links}")[0] == [b"A", b"B"]


@pytest.mark.parametrize(
    "rule",
    [
        {"selector": "status_code", "in": 202, "outcome": "retry"},
        {"selector": "header:X-State", "in": "busy", "outcome": "retry"},
        {"selector": "state", "in": "busy", "outcome": "retry"},
    ],
    ids=["status", "header", "body"],
)
def test_rules_are_asked_about_a_streamed_answer_and_a_retry_starts_it_anew(rule):
    busy = make_response({"state": "busy"}, 202, x_state="busy")
    contents, _, runner = files(busy, make_response(b"PK"), rules=[rule])
    assert contents == [b"PK"]
    assert runner.sleeps == [1.0]


def test_a_streamed_answer_that_says_no_is_a_failure():
    with pytest.raises(ResultError, match="a rule takes it for a failure: too late"):
        files(make_response({"error": "too late"}), rules=[{"selector": "error", "exists": True, "outcome": "failure"}])


def test_rules_do_not_look_into_large_files():
    rules = [{"selector": "error", "exists": False, "outcome": "failure"}]
    large = json.dumps({"rows": "x" * 2 * MIB}).encode()
    assert files(make_response(large), rules=rules)[0] == [large]
    with pytest.raises(ResultError):
        files(make_response(b"{}"), rules=rules)


def test_an_error_status_that_a_rule_takes_for_a_success_is_a_file_too():
    rules = [{"selector": "status_code", "in": 404, "outcome": "success"}]
    assert files(make_response(b"nothing", 404), rules=rules)[0] == [b"nothing"]


def test_a_file_that_broke_goes_on_where_it_broke():
    contents, _, runner = files(broken(b"abc"), make_response(b"defghi", 206, content_range="bytes 3-8/9"))
    assert contents == [b"abcdefghi"]
    assert [runner.header(name) for name in ("Range", "If-Range")] == ["bytes=3-", '"v1"']
    assert runner.header("Range", 0) is None


def test_a_transfer_that_gets_on_may_break_any_number_of_times():
    replies = [
        broken(b"a"),
        *(make_response(b"b", 206, content_range=f"bytes {at}-8/9", x_broken="1") for at in range(1, 8)),
    ]
    contents, _, runner = files(*replies, make_response(b"c", 206, content_range="bytes 8-8/9"))
    assert contents == [b"abbbbbbbc"]
    assert max(runner.sleeps) <= 2


def test_a_transfer_that_does_not_get_on_ends():
    with pytest.raises(UnavailableError, match="5 errors in a row"):
        files(broken(b"abc"), *[make_lost_error()] * 9)
    with pytest.raises(UnavailableError, match="5 errors in a row"):
        files(*[make_response(b"abc", x_broken="1")] * 9)


def test_a_range_that_is_refused_leads_to_the_whole():
    contents, _, runner = files(broken(b"abc"), make_response({}, 416), make_response(b"0123"))
    assert (contents, runner.header("Range")) == ([b"0123"], None)


def test_a_stated_checksum_is_looked_up_for_each_file():
    sums = [hashlib.sha256(content).hexdigest() for content in (b"A", b"B")]
    handle = JobHandle(
        "7", variables={"links": ["/a", "/b", "/c"], "sums": sums, "sum": f"sha256:{sums[0]}", "no": None}
    )
    replies = [make_response(b"A"), make_response(b"X"), make_response(b"B"), make_response(b"C")]
    given = {"handle": handle, "endpoint": "{links}", "checksum": "{sums}"}
    assert files(*replies, **given)[0] == [b"A", b"B", b"C"]
    assert files(make_response(b"X"), make_response(b"A"), handle=handle, checksum="{sum}")[0] == [b"A"]
    assert files(make_response(b"X"), handle=handle, checksum="{no}")[0] == [b"X"]


def test_no_checksum_is_compared_where_the_author_says_so():
    lie = make_response(b"X", content_md5="YWJjZGVmZ2hpamtsbW5vcA==")
    assert files(lie, checksum=False)[0] == [b"X"]
    with pytest.raises(UnavailableError, match=r"content-md5 states md5 .* \(checksum=False compares none\)"):
        files(*[lie] * 5)


def test_an_error_body_under_500_is_read_by_a_rule():
    with pytest.raises(ResultError, match=r"answered 500, and a rule takes it for a failure: no rows"):
        value(make_response({"error": {"message": "no rows"}}, 500),
              rules=[{"selector": "error.message", "matches": "no rows", "outcome": "failure"}])  # fmt: skip
    found, runner = value(make_response({"state": "late"}, 500), make_response([1]),
                          rules=[{"selector": "state", "in": "late", "outcome": "retry"}])  # fmt: skip
    assert found == [1]
    assert "a rule takes it for not yet" in runner.log_text


def test_a_status_that_is_no_success_may_come_with_the_file():
    rules = [{"selector": "status_code", "in": 404, "outcome": "success"}]
    assert files(make_response(b"abc", 404), rules=rules)[0] == [b"abc"]
