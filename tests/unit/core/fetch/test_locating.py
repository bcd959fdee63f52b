from __future__ import annotations

import json

import pytest

from airflow_provider_asyncapi.core.errors import (
    AuthenticationError,
    ContentError,
    MissingValueError,
    RedirectError,
    ResultError,
    ResultExpiredError,
    UnavailableError,
)
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from tests.unit.core.fetch.fetches import MIB, StreamingRunner, broken, fetching, files, value
from tests.unit.core.flow_runner import BASE, START, FlowRunner, make_api, make_response
from tests.unit.fake_files import MemoryDraft

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
        match=r"GET https://api.example.com/v1/jobs/7 answered 200: locate: 'b' found nothing for 'other';"
        r" the JSON has the keys a, link; the body",
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


SAYS_NO = [{"selector": "error", "exists": True, "outcome": "failure"}]


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
