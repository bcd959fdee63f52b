from __future__ import annotations

import gzip
import hashlib
import json
import logging
from typing import Any

import pytest

from airflow_provider_asyncapi.core.errors import (
    AuthenticationError,
    BodyTooLargeError,
    ContentError,
    MissingValueError,
    PartialResultError,
    RedirectError,
    RefusedContentError,
    RequestRejectedError,
    ResultError,
    ResultExpiredError,
    ResultTooLargeError,
    UnavailableError,
    UnknownVariableError,
)
from airflow_provider_asyncapi.core.fetch.flow import NoDataError, ResultFetcher, clean_up_job
from airflow_provider_asyncapi.core.fetch.plan import FetchPlan
from airflow_provider_asyncapi.core.jobs.cleanup import Cleanup, CleanupOn, classify_end
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from tests.unit.core.flow_runner import BASE, START, FlowRunner, make_api, make_lost_error, make_response
from tests.unit.fake_files import MemoryDraft

MIB = 1024 * 1024


def fetching(api=None, *, handle=None, **given):
    given = {"endpoint": "/jobs/{identifier}/result", **given}
    return ResultFetcher(api or make_api(), FetchPlan.parse(given), handle or JobHandle("7"))


def value(*replies, handle=None, api=None, **given):
    runner = FlowRunner(api or make_api(), *replies)
    found, _ = runner.run(fetching(runner.api, handle=handle, **given).fetch_value(MIB))
    return found, runner


class StreamingRunner(FlowRunner):
    """Hands bodies to sinks as the transports do; one whose header says that it is longer breaks there."""

    def perform(self, effect):
        response = super().perform(effect)
        sink = getattr(effect, "sink", None)
        if sink is not None and response.ok:
            sink.begin(response)
            for start in range(0, len(response.body), 700_000):
                sink.write(response.body[start : start + 700_000])
            if "x-broken" in response.headers:
                raise make_lost_error()
            sink.finish()
            response.streamed_bytes, response.body = len(response.body), b""
        return response


def files(*replies, handle=None, **given):
    files: dict[Any, Any] = {}

    def open_file(number):
        return files.setdefault(number, MemoryDraft())

    runner = StreamingRunner(make_api(), *replies)
    given.setdefault("output_type", "file")
    responses = runner.run(fetching(runner.api, handle=handle, **given).fetch_files(open_file))
    return [files[number].content for number in sorted(files)], responses, runner


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
    body = {"access_token": "abc", "echo": "hunter22", "data": "x" * 1000}
    with pytest.raises(MissingValueError) as caught:
        value(make_response(body), api=api, result_path=["rows", "items"])
    message = str(caught.value)
    assert message.startswith(
        "GET https://api.example.com/v1/jobs/7/result answered 200: result_path: 'rows' or 'items' found nothing;"
        ' the body begins: {"access_token": ***'
    )
    assert "hunter22" not in message
    assert "abc" not in message
    assert len(message) < 600


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
    with pytest.raises(RefusedContentError) as caught:
        value(RefusedContentError("GET … answered 200 with the content coding 'br'"))
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


# Locating


def locating(*replies, api=None, capture=None, **given):
    runner = FlowRunner(api or make_api(), *replies)
    flow = fetching(
        runner.api,
        locate={"endpoint": "/jobs/{identifier}", "capture": capture or {"link": "result.link"}},
        **{"endpoint": "{link}", **given},
    )
    runner.run(flow.locate())
    return flow, runner


def test_what_locate_captures_is_used_at_once():
    located, runner = locating(make_response({"result": {"link": "/files/1?sig=abc"}}))
    runner.replies = [make_response(5)]
    assert runner.run(located.fetch_value(MIB))[0] == 5
    assert runner.paths == ["GET /jobs/7", "GET https://api.example.com/files/1?sig=abc"]


def test_what_locate_captures_is_in_no_handle_and_no_repr():
    located, _ = locating(make_response({"result": {"link": "https://store/files/1?sig=abc"}}))
    assert "sig=abc" not in json.dumps(located.handle.dump())
    assert "sig=abc" not in repr(located)


def test_another_origin_gets_no_credentials():
    api = make_api(login="me", password="hunter22", auth="basic", headers={"X-Tenant": "t1"})
    located, runner = locating(make_response({"result": {"link": "https://store.example.net/1?sig=abc"}}), api=api)
    runner.replies = [make_response(5)]
    runner.run(located.fetch_value(MIB))
    assert runner.header("Authorization", 0)
    assert runner.header("Authorization") is None
    assert runner.header("X-Tenant") is None


def test_a_capture_of_locate_that_finds_nothing_is_an_error():
    with pytest.raises(
        MissingValueError,
        match=r"GET https://api.example.com/v1/jobs/7 answered 200: locate: 'b' found nothing for 'other'; the body",
    ):
        locating(make_response({"a": 1, "link": 2}), capture={"link": "a", "other": "b"})


def test_a_locate_answer_that_can_not_be_read_says_what_was_asked():
    with pytest.raises(ContentError, match=r"GET https://api.example.com/v1/jobs/7 answered 200: expected JSON"):
        locating(make_response(b"<html>"))


def test_the_authors_charset_is_that_of_the_result_and_of_what_rules_find_in_it_but_not_of_other_answers():
    located, runner = locating(
        make_response('{"result": {"link": "/ü"}}'.encode()),
        rules=[{"selector": "state", "in": "fällig", "outcome": "retry"}],
        result_format={"format": "json", "charset": "latin-1"},
    )
    runner.replies = [make_response(b'{"state": "%s"}' % each) for each in (b"f\xe4llig", b"\xfc")]
    assert runner.run(located.fetch_value(MIB))[0] == {"state": "ü"}
    assert runner.requests[1].url == "https://api.example.com/%C3%BC"


def test_without_locate_no_request_is_sent():
    runner = FlowRunner(make_api())
    flow = fetching(runner.api)
    runner.run(flow.locate())
    assert (runner.requests, flow.location.variables) == ([], {})


def test_a_variable_may_hold_the_result_already():
    handle = JobHandle("7", variables={"rows": [1]})
    assert fetching(handle=handle, inline="rows").inline_value() == [1]
    assert fetching(handle=handle, inline="other").inline_value() is None
    assert fetching(handle=handle).inline_value() is None


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


# Cleanup


def cleaning(*replies, end="success", **given):
    runner = FlowRunner(make_api(), *replies)
    cleanup = {"endpoint": "/jobs/{identifier}", **given.pop("cleanup", {})}
    runner.run(fetching(runner.api, cleanup=cleanup, **given).clean_up(CleanupOn(end)))
    return runner


@pytest.mark.parametrize("status", [204, 404, 410])
def test_the_job_is_removed_or_gone_already(status):
    runner = cleaning(make_response(None, status))
    assert runner.paths == ["DELETE /jobs/7"]
    assert runner.logs == [(logging.INFO, f"cleanup: DELETE {BASE}/jobs/7 answered {status}")]


@pytest.mark.parametrize(
    "replies",
    [[make_response({"detail": "no"}, 403)], [make_lost_error()] * 5, [make_response({}, 302, location="ftp://x/")]],
    ids=["refused", "lost", "redirected"],
)
def test_a_failing_cleanup_is_only_logged(replies):
    level, message = cleaning(*replies).logs[-1]
    assert level == logging.WARNING
    assert "; the API may keep the job's data" in message


def test_a_cleanup_without_its_variable_is_only_logged():
    runner = cleaning(handle=JobHandle(None))
    assert runner.requests == []
    assert "the variable {identifier} is null" in runner.log_text


def test_a_task_that_fetches_nothing_can_clean_up_too():
    runner = FlowRunner(make_api(), make_response({}, 204))
    cleanup = Cleanup.parse(
        {"cleanup": {"endpoint": "/jobs/{identifier}"}},
        default=[CleanupOn.FAILURE],
        possible=list(CleanupOn),
        complete=True,
    )
    assert cleanup is not None
    runner.run(clean_up_job(runner.api, cleanup, JobHandle("7"), CleanupOn.NO_DATA))
    assert runner.requests == []
    runner.run(clean_up_job(runner.api, cleanup, JobHandle("7"), CleanupOn.FAILURE))
    assert runner.paths == ["DELETE /jobs/7"]


def test_a_cleanup_that_is_answered_with_another_page_is_done():
    runner = cleaning(make_response({}, 303, location="/v1/jobs"))
    assert runner.logs == [(logging.INFO, f"cleanup: DELETE {BASE}/jobs/7 answered 303")]


def test_a_cleanup_that_is_moved_is_followed_and_named():
    runner = cleaning(make_response({}, 307, location="/v2/jobs/7"), make_response({}, 405))
    assert runner.logs[0][1].startswith(
        f"cleanup: DELETE https://api.example.com/v2/jobs/7 (redirected from DELETE {BASE}/jobs/7) answered 405"
    )


def test_a_cleanup_may_have_rules():
    runner = cleaning(
        make_response({}, 409), cleanup={"rules": [{"selector": "status_code", "in": 409, "outcome": "success"}]}
    )
    assert runner.logs[-1][0] == logging.INFO


@pytest.mark.parametrize(
    ("cleanup_on", "ends"),
    [
        (None, {"success"}),
        ("failure", {"failure"}),
        (["success", "no_data", "partial", "failure"], {"success", "no_data", "partial", "failure"}),
    ],
)
def test_a_cleanup_is_sent_after_the_ends_that_it_is_wanted_after(cleanup_on, ends):
    for end in CleanupOn:
        runner = cleaning(make_response({}), end=end, cleanup_on=cleanup_on)
        assert runner.paths == (["DELETE /jobs/7"] if end in ends else [])


@pytest.mark.parametrize(
    ("error", "is_final", "end"),
    [
        (PartialResultError("2 of 3 failed"), False, CleanupOn.PARTIAL),
        (ResultError("a rule takes it for a failure"), True, CleanupOn.FAILURE),
        (UnavailableError("503"), True, CleanupOn.FAILURE),
        (UnavailableError("503"), False, None),
        (MissingValueError("result_path: found nothing"), True, None),
        (UnknownVariableError("{x}"), True, None),
        (ResultTooLargeError("max_bytes"), True, None),
        (OSError("disk full"), True, None),
        (None, True, None),
    ],
)
def test_a_fetch_that_may_still_be_made_is_no_failure(error, is_final, end):
    assert classify_end(error, is_final=is_final) is end


def test_without_a_cleanup_nothing_is_sent():
    runner = FlowRunner(make_api())
    runner.run(fetching(runner.api).clean_up(CleanupOn.SUCCESS))
    assert runner.requests == []


def test_a_fetch_whose_variable_is_missing_is_an_error():
    with pytest.raises(UnknownVariableError):
        value(endpoint="/{nothing}")


def broken(body, **headers):
    return make_response(body, x_broken="1", content_length="9", etag='"v1"', **headers)


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


SAYS_NO = [{"selector": "error", "exists": True, "outcome": "failure"}]


def test_an_error_body_under_500_is_read_by_a_rule():
    with pytest.raises(ResultError, match=r"answered 500, and a rule takes it for a failure: no rows"):
        value(make_response({"error": {"message": "no rows"}}, 500),
              rules=[{"selector": "error.message", "matches": "no rows", "outcome": "failure"}])  # fmt: skip
    found, runner = value(make_response({"state": "late"}, 500), make_response([1]),
                          rules=[{"selector": "state", "in": "late", "outcome": "retry"}])  # fmt: skip
    assert found == [1]
    assert "a rule takes it for not yet" in runner.log_text


# A located URL that has expired


LOCATED = {"locate": {"endpoint": "/jobs/{identifier}", "capture": {"link": "link"}}, "endpoint": "{link}"}


def located(number):
    return make_response({"link": f"https://store/{number}?sig=x"})


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
def test_an_expired_url_is_located_again(status):
    runner = StreamingRunner(make_api(), located(1), make_response({}, status), located(2), make_response(b"abc"))
    flow = fetching(runner.api, output_type="file", **LOCATED)
    file = MemoryDraft()
    runner.run(flow.locate())
    runner.run(flow.fetch_files(lambda _: file))
    assert file.content == b"abc"
    assert [request.url for request in runner.requests][1::2] == ["https://store/1?sig=x", "https://store/2?sig=x"]
    assert "locating the result again" in runner.log_text
    assert "sig=x" not in runner.log_text


@pytest.mark.parametrize("status", [400, 404])
def test_an_expired_url_is_located_again_though_a_rule_could_read_the_answer(status):
    runner = FlowRunner(
        make_api(), located(1), make_response({"error": "expired"}, status), located(2), make_response([1])
    )
    flow = fetching(runner.api, rules=SAYS_NO, **LOCATED)
    runner.run(flow.locate())
    assert runner.run(flow.fetch_value(MIB))[0] == [1]
    assert "locating the result again" in runner.log_text


def test_a_transfer_goes_on_at_the_new_url():
    rest = make_response(b"defghi", 206, content_range="bytes 3-8/9")
    runner = StreamingRunner(make_api(), located(1), broken(b"abc"), make_response({}, 403), located(2), rest)
    flow = fetching(runner.api, output_type="file", **LOCATED)
    file = MemoryDraft()
    runner.run(flow.locate())
    runner.run(flow.fetch_files(lambda _: file))
    assert (file.content, file.restarts) == (b"abcdefghi", 1)


SIGNED = "https://store.example.com/7.csv?X-Amz-Signature=abc"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
def test_a_link_that_has_expired_behind_a_redirect_is_asked_for_again(status):
    def to_store(n):
        return make_response({}, 302, location=f"https://store.example.com/{n}?sig=x")

    contents, _, runner = files(to_store(1), make_response({}, status), to_store(2), make_response(b"abc"))
    assert contents == [b"abc"]
    assert [str(request) for request in runner.requests] == [
        f"GET {BASE}/jobs/7/result",
        "GET https://store.example.com/1?…",
        f"GET {BASE}/jobs/7/result",
        "GET https://store.example.com/2?…",
    ]
    assert (
        f"GET https://store.example.com/1?… (redirected from GET {BASE}/jobs/7/result) answered {status}"
        in runner.log_text
    )


def test_a_refusal_behind_a_redirect_names_the_request_that_was_answered_and_does_not_want_credentials_sent_there():
    redirects = [make_response({}, 302, location=SIGNED), make_response({}, 403)] * 2
    with pytest.raises(AuthenticationError) as caught:
        value(*redirects)
    assert str(caught.value) == (
        f"GET https://store.example.com/7.csv?… (redirected from GET {BASE}/jobs/7/result) answered 403, expected 2xx:"
        " {} (another host gets no credentials; if the link is signed, it may have expired)"
    )
    assert (caught.value.method, caught.value.url) == ("GET", "https://store.example.com/7.csv")


def test_an_error_behind_a_redirect_of_a_post_names_the_get():
    with pytest.raises(
        UnavailableError, match=r"GET https://api.example.com/v1/x \(redirected from POST .*\) answered 503"
    ):
        value(*[make_response({}, 303, location="/v1/x"), make_response({}, 503)] * 5, method="POST")


def test_a_redirect_that_sets_a_cookie_and_leads_to_itself_says_how_cookies_are_had():
    itself = make_response({}, 302, location=f"{BASE}/jobs/7/result", set_cookie="a=1; Path=/")
    with pytest.raises(RedirectError, match=r"without an end, from .* let the connection's login_request get them"):
        value(itself)


def test_a_url_that_is_no_good_anew_is_an_error():
    runner = FlowRunner(make_api(), located(1), make_response({}, 404), located(2), make_response({}, 404))
    flow = fetching(runner.api, handle=JobHandle("7", submitted_at=START - 7200), **LOCATED)
    runner.run(flow.locate())
    with pytest.raises(ResultExpiredError, match=r"the result doesn't exist .* 2\.0 hours ago"):
        runner.run(flow.fetch_value(MIB))


def test_locating_the_urls_again_has_to_find_the_same_number():
    runner = FlowRunner(
        make_api(), make_response({"link": ["/a", "/b"]}), make_response({}, 403), make_response({"link": ["/a"]})
    )
    flow = fetching(runner.api, **LOCATED)
    runner.run(flow.locate())
    assert (flow.has_url_list, flow.url_count) == (True, 2)
    with pytest.raises(ResultError, match=r"\{link\}: there were 2 URLs, and there are 1 now"):
        runner.run(flow.fetch_value(MIB))


def test_a_value_in_a_gzip_file_is_read():
    assert value(make_response(gzip.compress(b'{"a": 1}')), result_path="a")[0] == 1
    with pytest.raises(RefusedContentError, match=r"answered 200: the body is gzip that unpacks to more than"):
        value(make_response(gzip.compress(bytes(2 * MIB))))


def test_a_status_that_is_no_success_may_come_with_the_file():
    rules = [{"selector": "status_code", "in": 404, "outcome": "success"}]
    assert files(make_response(b"abc", 404), rules=rules)[0] == [b"abc"]
