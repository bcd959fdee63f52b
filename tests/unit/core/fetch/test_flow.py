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
from tests.unit.core.flow_runner import BASE, START, Script, answer, lost, make_api
from tests.unit.fake_files import MemoryDraft

MIB = 1024 * 1024


def fetching(api=None, *, handle=None, **given):
    given = {"endpoint": "/jobs/{identifier}/result", **given}
    return ResultFetcher(api or make_api(), FetchPlan.parse(given), handle or JobHandle("7"))


def value(*replies, handle=None, api=None, **given):
    script = Script(api or make_api(), *replies)
    found, _ = script.run(fetching(script.api, handle=handle, **given).fetch_value(MIB))
    return found, script


class StreamingScript(Script):
    """Hands bodies to sinks as the transports do; one whose header says that it is longer breaks there."""

    def perform(self, effect):
        response = super().perform(effect)
        sink = getattr(effect, "sink", None)
        if sink is not None and response.ok:
            sink.begin(response)
            for start in range(0, len(response.body), 700_000):
                sink.write(response.body[start : start + 700_000])
            if "x-broken" in response.headers:
                raise lost()
            sink.finish()
            response.streamed_bytes, response.body = len(response.body), b""
        return response


def files(*replies, handle=None, **given):
    files: dict[Any, Any] = {}

    def open_file(number):
        return files.setdefault(number, MemoryDraft())

    script = StreamingScript(make_api(), *replies)
    given.setdefault("output_type", "file")
    responses = script.run(fetching(script.api, handle=handle, **given).fetch_files(open_file))
    return [files[number].content for number in sorted(files)], responses, script


# One value


def test_a_value_is_fetched():
    found, script = value(answer({"rows": [1, 2]}), result_path="rows")
    assert found == [1, 2]
    assert script.paths == ["GET /jobs/7/result"]


def test_a_list_of_urls_gives_a_list_of_values_in_order():
    handle = JobHandle("7", variables={"links": ["/a", "https://api.example.com/v1/b"]})
    found, script = value(
        answer({"n": 1}), lost(), answer({"n": 2}), handle=handle, endpoint="{links}", result_path="n"
    )
    assert found == [1, 2]
    assert [request.url for request in script.requests] == [
        "https://api.example.com/a",
        "https://api.example.com/v1/b",
        "https://api.example.com/v1/b",
    ]
    assert value(handle=JobHandle("7", variables={"links": []}), endpoint="{links}")[0] == []


def test_a_reference_is_resolved_where_the_job_was_last_seen():
    handle = JobHandle(
        "7", urls={"submit": "https://other/x/jobs", "status": "https://other/x/jobs/7"}, variables={"l": "r.json"}
    )
    assert value(answer(1), handle=handle, endpoint="{l}")[1].requests[0].url == "https://other/x/jobs/r.json"


def test_a_path_that_finds_nothing_says_where_it_looked_without_secrets():
    api = make_api(password="hunter22", login="me")
    body = {"access_token": "abc", "echo": "hunter22", "data": "x" * 1000}
    with pytest.raises(MissingValueError) as caught:
        value(answer(body), api=api, result_path=["rows", "items"])
    message = str(caught.value)
    assert message.startswith(
        "GET https://api.example.com/v1/jobs/7/result answered 200: result_path: 'rows' or 'items' found nothing;"
        ' the body begins: {"access_token": ***'
    )
    assert "hunter22" not in message
    assert "abc" not in message
    assert len(message) < 600


def test_a_body_of_another_format_is_an_error_that_names_the_request():
    page = answer(b"<html>", content_type="text/html")
    with pytest.raises(
        ContentError, match=r"GET https://api.example.com/v1/jobs/7/result answered 200: the response is an HTML"
    ):
        value(page)


def test_transient_errors_are_tolerated():
    found, script = value(lost(), answer({}, 503, retry_after="7"), answer({}, 429), answer(5))
    assert found == 5
    assert script.sleeps == [1.0, 7.0, 4.0]


def test_too_many_transient_errors_are_an_error():
    with pytest.raises(UnavailableError, match=r"answered 500: .* \(3 errors in a row\)"):
        value(answer({}, 500), answer({}, 500), answer({}, 500), max_consecutive_errors=3)


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
        value(answer({"detail": "expired"}, status), handle=handle)
    assert str(caught.value) == (
        "the result doesn't exist (any more): GET https://api.example.com/v1/jobs/7/result answered"
        f" {status}, expected 2xx: expired{age}"
    )


@pytest.mark.parametrize(("status", "error"), [(400, RequestRejectedError), (401, AuthenticationError)])
def test_a_refusal_is_final_and_says_why(status, error):
    with pytest.raises(error, match=r"answered 40.*: no such thing"):
        value(answer({"why": "no such thing"}, status), error_message="why")


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
    found, script = value(answer({"code": "BUSY"}, 400, retry_after="3"), answer(1), rules=rules)
    assert found == 1
    assert script.sleeps == [3.0]
    assert script.said == (
        f"GET {BASE}/jobs/7/result answered 400, and a rule takes it for not yet; trying again in 3 s"
    )


def test_a_rule_that_says_not_yet_again_and_again_is_unavailable():
    rules = [{"selector": "state", "in": "running", "outcome": "running"}]
    with pytest.raises(UnavailableError, match=r"a rule takes it for not yet \(5 errors in a row\)"):
        value(*[answer({"state": "running"})] * 5, rules=rules)


def test_a_rule_may_say_that_there_is_nothing():
    with pytest.raises(NoDataError, match="answered 204, and a rule takes it for no data"):
        value(answer(None, 204), rules=[{"selector": "status_code", "in": 204, "outcome": "no_data"}])


def test_a_rule_may_say_that_a_200_is_a_failure():
    api = make_api(login="me", password="hunter22")
    with pytest.raises(ResultError, match=r"answered 200, and a rule takes it for a failure: bad \*\*\*"):
        value(
            answer({"errors": [{"message": "bad hunter22"}]}),
            api=api,
            rules=[{"selector": "errors", "exists": True, "outcome": "failure"}],
        )


def test_a_rule_may_take_an_error_status_for_a_success():
    rules = [{"selector": "status_code", "in": 404, "outcome": "success"}]
    assert value(answer({"rows": []}, 404), rules=rules, result_path="rows")[0] == []


def test_a_rule_for_another_kind_of_body_does_not_match():
    rules = [{"selector": "errors", "exists": True, "outcome": "failure"}]
    assert value(answer(b"a\n1\n", content_type="text/csv"), rules=rules)[0] == [{"a": "1"}]
    with pytest.raises(RequestRejectedError, match="bad gateway"):
        value(
            answer(b"bad gateway", 400),
            rules=[{"all": [{"selector": "status_code", "in": 400}, {"selector": "a", "in": 1}], "outcome": "success"}],
        )


# Locating


def locating(*replies, api=None, capture=None, **given):
    script = Script(api or make_api(), *replies)
    flow = fetching(
        script.api,
        locate={"endpoint": "/jobs/{identifier}", "capture": capture or {"link": "result.link"}},
        **{"endpoint": "{link}", **given},
    )
    script.run(flow.locate())
    return flow, script


def test_what_locate_captures_is_used_at_once():
    located, script = locating(answer({"result": {"link": "/files/1?sig=abc"}}))
    script.replies = [answer(5)]
    assert script.run(located.fetch_value(MIB))[0] == 5
    assert script.paths == ["GET /jobs/7", "GET https://api.example.com/files/1?sig=abc"]


def test_what_locate_captures_is_in_no_handle_and_no_repr():
    located, _ = locating(answer({"result": {"link": "https://store/files/1?sig=abc"}}))
    assert "sig=abc" not in json.dumps(located.handle.dump())
    assert "sig=abc" not in repr(located)


def test_another_origin_gets_no_credentials():
    api = make_api(login="me", password="hunter22", auth="basic", headers={"X-Tenant": "t1"})
    located, script = locating(answer({"result": {"link": "https://store.example.net/1?sig=abc"}}), api=api)
    script.replies = [answer(5)]
    script.run(located.fetch_value(MIB))
    assert script.header("Authorization", 0)
    assert script.header("Authorization") is None
    assert script.header("X-Tenant") is None


def test_a_capture_of_locate_that_finds_nothing_is_an_error():
    with pytest.raises(
        MissingValueError,
        match=r"GET https://api.example.com/v1/jobs/7 answered 200: locate: 'b' found nothing for 'other'; the body",
    ):
        locating(answer({"a": 1, "link": 2}), capture={"link": "a", "other": "b"})


def test_a_locate_answer_that_can_not_be_read_says_what_was_asked():
    with pytest.raises(ContentError, match=r"GET https://api.example.com/v1/jobs/7 answered 200: expected JSON"):
        locating(answer(b"<html>"))


def test_the_authors_charset_is_that_of_the_result_and_of_what_rules_find_in_it_but_not_of_other_answers():
    located, script = locating(
        answer('{"result": {"link": "/ü"}}'.encode()),
        rules=[{"selector": "state", "in": "fällig", "outcome": "retry"}],
        result_format={"format": "json", "charset": "latin-1"},
    )
    script.replies = [answer(b'{"state": "%s"}' % each) for each in (b"f\xe4llig", b"\xfc")]
    assert script.run(located.fetch_value(MIB))[0] == {"state": "ü"}
    assert script.requests[1].url == "https://api.example.com/%C3%BC"


def test_without_locate_no_request_is_sent():
    script = Script(make_api())
    flow = fetching(script.api)
    script.run(flow.locate())
    assert (script.requests, flow.location.variables) == ([], {})


def test_a_variable_may_hold_the_result_already():
    handle = JobHandle("7", variables={"rows": [1]})
    assert fetching(handle=handle, inline="rows").inline_value() == [1]
    assert fetching(handle=handle, inline="other").inline_value() is None
    assert fetching(handle=handle).inline_value() is None


# Files


def test_a_file_is_streamed_whole_after_a_broken_transfer():
    contents, responses, script = files(lost(), answer({}, 503), answer(b"abc"))
    assert contents == [b"abc"]
    assert [response.streamed_bytes for response in responses] == [3]
    assert len(script.requests) == 3


def test_each_url_of_a_list_is_a_file():
    handle = JobHandle("7", variables={"links": ["/a", "/b"]})
    assert files(answer(b"A"), answer(b"B"), handle=handle, endpoint="{links}")[0] == [b"A", b"B"]


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
    busy = answer({"state": "busy"}, 202, x_state="busy")
    contents, _, script = files(busy, answer(b"PK"), rules=[rule])
    assert contents == [b"PK"]
    assert script.sleeps == [1.0]


def test_a_streamed_answer_that_says_no_is_a_failure():
    with pytest.raises(ResultError, match="a rule takes it for a failure: too late"):
        files(answer({"error": "too late"}), rules=[{"selector": "error", "exists": True, "outcome": "failure"}])


def test_rules_do_not_look_into_large_files():
    rules = [{"selector": "error", "exists": False, "outcome": "failure"}]
    large = json.dumps({"rows": "x" * 2 * MIB}).encode()
    assert files(answer(large), rules=rules)[0] == [large]
    with pytest.raises(ResultError):
        files(answer(b"{}"), rules=rules)


def test_an_error_status_that_a_rule_takes_for_a_success_is_a_file_too():
    rules = [{"selector": "status_code", "in": 404, "outcome": "success"}]
    assert files(answer(b"nothing", 404), rules=rules)[0] == [b"nothing"]


# Cleanup


def cleaning(*replies, end="success", **given):
    script = Script(make_api(), *replies)
    cleanup = {"endpoint": "/jobs/{identifier}", **given.pop("cleanup", {})}
    script.run(fetching(script.api, cleanup=cleanup, **given).clean_up(CleanupOn(end)))
    return script


@pytest.mark.parametrize("status", [204, 404, 410])
def test_the_job_is_removed_or_gone_already(status):
    script = cleaning(answer(None, status))
    assert script.paths == ["DELETE /jobs/7"]
    assert script.logs == [(logging.INFO, f"cleanup: DELETE {BASE}/jobs/7 answered {status}")]


@pytest.mark.parametrize(
    "replies",
    [[answer({"detail": "no"}, 403)], [lost()] * 5, [answer({}, 302, location="ftp://x/")]],
    ids=["refused", "lost", "redirected"],
)
def test_a_failing_cleanup_is_only_logged(replies):
    level, message = cleaning(*replies).logs[-1]
    assert level == logging.WARNING
    assert "; the API may keep the job's data" in message


def test_a_cleanup_without_its_variable_is_only_logged():
    script = cleaning(handle=JobHandle(None))
    assert script.requests == []
    assert "the variable {identifier} is null" in script.said


def test_a_task_that_fetches_nothing_can_clean_up_too():
    script = Script(make_api(), answer({}, 204))
    cleanup = Cleanup.parse(
        {"cleanup": {"endpoint": "/jobs/{identifier}"}},
        default=[CleanupOn.FAILURE],
        possible=list(CleanupOn),
        complete=True,
    )
    assert cleanup is not None
    script.run(clean_up_job(script.api, cleanup, JobHandle("7"), CleanupOn.NO_DATA))
    assert script.requests == []
    script.run(clean_up_job(script.api, cleanup, JobHandle("7"), CleanupOn.FAILURE))
    assert script.paths == ["DELETE /jobs/7"]


def test_a_cleanup_that_is_answered_with_another_page_is_done():
    script = cleaning(answer({}, 303, location="/v1/jobs"))
    assert script.logs == [(logging.INFO, f"cleanup: DELETE {BASE}/jobs/7 answered 303")]


def test_a_cleanup_that_is_moved_is_followed_and_named():
    script = cleaning(answer({}, 307, location="/v2/jobs/7"), answer({}, 405))
    assert script.logs[0][1].startswith(
        f"cleanup: DELETE https://api.example.com/v2/jobs/7 (redirected from DELETE {BASE}/jobs/7) answered 405"
    )


def test_a_cleanup_may_have_rules():
    script = cleaning(
        answer({}, 409), cleanup={"rules": [{"selector": "status_code", "in": 409, "outcome": "success"}]}
    )
    assert script.logs[-1][0] == logging.INFO


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
        script = cleaning(answer({}), end=end, cleanup_on=cleanup_on)
        assert script.paths == (["DELETE /jobs/7"] if end in ends else [])


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
    script = Script(make_api())
    script.run(fetching(script.api).clean_up(CleanupOn.SUCCESS))
    assert script.requests == []


def test_a_fetch_whose_variable_is_missing_is_an_error():
    with pytest.raises(UnknownVariableError):
        value(endpoint="/{nothing}")


def broken(body, **headers):
    return answer(body, x_broken="1", content_length="9", etag='"v1"', **headers)


def test_a_file_that_broke_goes_on_where_it_broke():
    contents, _, script = files(broken(b"abc"), answer(b"defghi", 206, content_range="bytes 3-8/9"))
    assert contents == [b"abcdefghi"]
    assert [script.header(name) for name in ("Range", "If-Range")] == ["bytes=3-", '"v1"']
    assert script.header("Range", 0) is None


def test_a_transfer_that_gets_on_may_break_any_number_of_times():
    replies = [broken(b"a"), *(answer(b"b", 206, content_range=f"bytes {at}-8/9", x_broken="1") for at in range(1, 8))]
    contents, _, script = files(*replies, answer(b"c", 206, content_range="bytes 8-8/9"))
    assert contents == [b"abbbbbbbc"]
    assert max(script.sleeps) <= 2


def test_a_transfer_that_does_not_get_on_ends():
    with pytest.raises(UnavailableError, match="5 errors in a row"):
        files(broken(b"abc"), *[lost()] * 9)
    with pytest.raises(UnavailableError, match="5 errors in a row"):
        files(*[answer(b"abc", x_broken="1")] * 9)


def test_a_range_that_is_refused_leads_to_the_whole():
    contents, _, script = files(broken(b"abc"), answer({}, 416), answer(b"0123"))
    assert (contents, script.header("Range")) == ([b"0123"], None)


def test_a_stated_checksum_is_looked_up_for_each_file():
    sums = [hashlib.sha256(content).hexdigest() for content in (b"A", b"B")]
    handle = JobHandle(
        "7", variables={"links": ["/a", "/b", "/c"], "sums": sums, "sum": f"sha256:{sums[0]}", "no": None}
    )
    replies = [answer(b"A"), answer(b"X"), answer(b"B"), answer(b"C")]
    given = {"handle": handle, "endpoint": "{links}", "checksum": "{sums}"}
    assert files(*replies, **given)[0] == [b"A", b"B", b"C"]
    assert files(answer(b"X"), answer(b"A"), handle=handle, checksum="{sum}")[0] == [b"A"]
    assert files(answer(b"X"), handle=handle, checksum="{no}")[0] == [b"X"]


def test_no_checksum_is_compared_where_the_author_says_so():
    lie = answer(b"X", content_md5="YWJjZGVmZ2hpamtsbW5vcA==")
    assert files(lie, checksum=False)[0] == [b"X"]
    with pytest.raises(UnavailableError, match=r"content-md5 states md5 .* \(checksum=False compares none\)"):
        files(*[lie] * 5)


SAYS_NO = [{"selector": "error", "exists": True, "outcome": "failure"}]


def test_an_error_body_under_500_is_read_by_a_rule():
    with pytest.raises(ResultError, match=r"answered 500, and a rule takes it for a failure: no rows"):
        value(answer({"error": {"message": "no rows"}}, 500),
              rules=[{"selector": "error.message", "matches": "no rows", "outcome": "failure"}])  # fmt: skip
    found, script = value(answer({"state": "late"}, 500), answer([1]),
                          rules=[{"selector": "state", "in": "late", "outcome": "retry"}])  # fmt: skip
    assert found == [1]
    assert "a rule takes it for not yet" in script.said


# A located URL that has expired


LOCATED = {"locate": {"endpoint": "/jobs/{identifier}", "capture": {"link": "link"}}, "endpoint": "{link}"}


def located(number):
    return answer({"link": f"https://store/{number}?sig=x"})


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
def test_an_expired_url_is_located_again(status):
    script = StreamingScript(make_api(), located(1), answer({}, status), located(2), answer(b"abc"))
    flow = fetching(script.api, output_type="file", **LOCATED)
    file = MemoryDraft()
    script.run(flow.locate())
    script.run(flow.fetch_files(lambda _: file))
    assert file.content == b"abc"
    assert [request.url for request in script.requests][1::2] == ["https://store/1?sig=x", "https://store/2?sig=x"]
    assert "locating the result again" in script.said
    assert "sig=x" not in script.said


@pytest.mark.parametrize("status", [400, 404])
def test_an_expired_url_is_located_again_though_a_rule_could_read_the_answer(status):
    script = Script(make_api(), located(1), answer({"error": "expired"}, status), located(2), answer([1]))
    flow = fetching(script.api, rules=SAYS_NO, **LOCATED)
    script.run(flow.locate())
    assert script.run(flow.fetch_value(MIB))[0] == [1]
    assert "locating the result again" in script.said


def test_a_transfer_goes_on_at_the_new_url():
    rest = answer(b"defghi", 206, content_range="bytes 3-8/9")
    script = StreamingScript(make_api(), located(1), broken(b"abc"), answer({}, 403), located(2), rest)
    flow = fetching(script.api, output_type="file", **LOCATED)
    file = MemoryDraft()
    script.run(flow.locate())
    script.run(flow.fetch_files(lambda _: file))
    assert (file.content, file.restarts) == (b"abcdefghi", 1)


SIGNED = "https://store.example.com/7.csv?X-Amz-Signature=abc"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
def test_a_link_that_has_expired_behind_a_redirect_is_asked_for_again(status):
    def to_store(n):
        return answer({}, 302, location=f"https://store.example.com/{n}?sig=x")

    contents, _, script = files(to_store(1), answer({}, status), to_store(2), answer(b"abc"))
    assert contents == [b"abc"]
    assert [str(request) for request in script.requests] == [
        f"GET {BASE}/jobs/7/result",
        "GET https://store.example.com/1?…",
        f"GET {BASE}/jobs/7/result",
        "GET https://store.example.com/2?…",
    ]
    assert (
        f"GET https://store.example.com/1?… (redirected from GET {BASE}/jobs/7/result) answered {status}" in script.said
    )


def test_a_refusal_behind_a_redirect_names_the_request_that_was_answered_and_does_not_want_credentials_sent_there():
    redirects = [answer({}, 302, location=SIGNED), answer({}, 403)] * 2
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
        value(*[answer({}, 303, location="/v1/x"), answer({}, 503)] * 5, method="POST")


def test_a_redirect_that_sets_a_cookie_and_leads_to_itself_says_how_cookies_are_had():
    itself = answer({}, 302, location=f"{BASE}/jobs/7/result", set_cookie="a=1; Path=/")
    with pytest.raises(RedirectError, match=r"without an end, from .* let the connection's login_request get them"):
        value(itself)


def test_a_url_that_is_no_good_anew_is_an_error():
    script = Script(make_api(), located(1), answer({}, 404), located(2), answer({}, 404))
    flow = fetching(script.api, handle=JobHandle("7", submitted_at=START - 7200), **LOCATED)
    script.run(flow.locate())
    with pytest.raises(ResultExpiredError, match=r"the result doesn't exist .* 2\.0 hours ago"):
        script.run(flow.fetch_value(MIB))


def test_locating_the_urls_again_has_to_find_the_same_number():
    script = Script(make_api(), answer({"link": ["/a", "/b"]}), answer({}, 403), answer({"link": ["/a"]}))
    flow = fetching(script.api, **LOCATED)
    script.run(flow.locate())
    assert (flow.has_url_list, flow.url_count) == (True, 2)
    with pytest.raises(ResultError, match=r"\{link\}: there were 2 URLs, and there are 1 now"):
        script.run(flow.fetch_value(MIB))


def test_a_value_in_a_gzip_file_is_read():
    assert value(answer(gzip.compress(b'{"a": 1}')), result_path="a")[0] == 1
    with pytest.raises(RefusedContentError, match=r"answered 200: the body is gzip that unpacks to more than"):
        value(answer(gzip.compress(bytes(2 * MIB))))


def test_a_status_that_is_no_success_may_come_with_the_file():
    rules = [{"selector": "status_code", "in": 404, "outcome": "success"}]
    assert files(answer(b"abc", 404), rules=rules)[0] == [b"abc"]
