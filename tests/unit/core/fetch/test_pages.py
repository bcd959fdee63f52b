from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_asyncapi.core.effects import RunConcurrently, Send
from airflow_provider_asyncapi.core.errors import (
    AsyncApiError,
    ContentError,
    MissingValueError,
    ResultError,
    ResultExpiredError,
    UnavailableError,
    UnknownVariableError,
)
from airflow_provider_asyncapi.core.fetch.flow import NoDataError, ResultFetcher
from airflow_provider_asyncapi.core.fetch.pages import fetch_pages
from airflow_provider_asyncapi.core.fetch.plan import FetchPlan
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from tests.unit.core.flow_runner import BASE, START, FlowRunner, make_api, make_lost_error, make_response


class Rows(FlowRunner):
    """Keeps the rows of each page."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.rows: list[list[Any]] = []
        self.count = 0

    def fetch(self, fetching: ResultFetcher, **inline: Any) -> None:
        paging = fetching.plan.paging
        assert paging is not None
        self.count = self.run(fetch_pages(fetching, paging, lambda rows, _: self.rows.append(rows), **inline))


def pages(*replies, handle=None, api=None, **given):
    runner = Rows(api or make_api(), *replies)
    plan = FetchPlan.parse({"output_type": "pages", "endpoint": "/rows", "result_path": "rows", **given})
    runner.fetch(ResultFetcher(runner.api, plan, handle or JobHandle("7", variables={"pages": 3})))
    return runner


def page(*rows, **more):
    return make_response({"rows": list(rows), **more})


NUMBERED = {"query_params": {"page": "{page}"}}


# Numbered pages, their number known


def test_known_pages_are_fetched_by_number_and_kept_in_order():
    runner = pages(page(1), page(2), page(), pages="{pages}", **NUMBERED)
    assert (runner.rows, runner.count) == ([[1], [2], []], 3)
    assert runner.paths == ["GET /rows?page=1", "GET /rows?page=2", "GET /rows?page=3"]


@pytest.mark.parametrize(
    ("given", "numbers"),
    [({"last_page": 3, "first_page": 2}, [2, 3]), ({"pages": 2, "first_page": 0, "page_step": 10}, [0, 10])],
)
def test_pages_may_begin_and_go_on_anywhere(given, numbers):
    runner = pages(page(1), page(2), **given, **NUMBERED)
    assert runner.paths == [f"GET /rows?page={number}" for number in numbers]


def test_no_pages_need_no_request():
    runner = pages(pages=0, **NUMBERED)
    assert (runner.requests, runner.count) == ([], 0)


def test_counted_pages_may_have_offsets():
    runner = pages(
        page(1),
        page(2),
        page(3),
        pages=3,
        page_size=50,
        query_params={"from": "{offset}", "size": "{limit}"},
        concurrency=2,
    )
    assert runner.paths == [f"GET /rows?from={offset}&size=50" for offset in (0, 50, 100)]


def test_pages_are_begun_one_after_the_other_and_collected_as_they_come():
    gathered: list[Any] = []

    class Counting(Rows):
        def perform(self, effect):
            if isinstance(effect, RunConcurrently):
                gathered.append(effect.concurrency)
                assert not hasattr(effect.flows, "__len__")
            elif isinstance(effect, Send):
                gathered.append(len(self.rows))
            return super().perform(effect)

    runner = Counting(make_api(), *[page(number) for number in range(5)])
    plan = FetchPlan.parse({"endpoint": "/rows", "result_path": "rows", "pages": 5, "concurrency": 2, **NUMBERED})
    runner.fetch(ResultFetcher(runner.api, plan, JobHandle("7")))
    assert runner.count == 5
    assert gathered == [2, 0, 1, 2, 3, 4]
    assert runner.rows == [[0], [1], [2], [3], [4]]


def test_a_page_that_is_gone_is_named():
    handle = JobHandle("7", submitted_at=START - 7200)
    with pytest.raises(ResultExpiredError, match=r"^page 2: the result doesn't exist .* 2.0 hours ago"):
        pages(page(1), make_response({}, 404), pages=2, handle=handle, **NUMBERED)


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (make_response({"error": "x"}), MissingValueError),
        (make_response(b"<html>"), ContentError),
        (make_response({}, 400), AsyncApiError),
    ],
)
def test_any_page_that_can_not_be_had_is_named(reply, error):
    with pytest.raises(error, match=r"^page 2: GET https://api.example.com/v1/rows\?… answered \d00"):
        pages(page(1), reply, pages=2, **NUMBERED)


def test_a_page_that_is_fetched_again_is_not_kept_twice():
    runner = pages(page(1), make_lost_error(), make_response({}, 503), page(2), pages=2, **NUMBERED)
    assert runner.rows == [[1], [2]]


def test_too_many_errors_on_a_page_end_the_fetch():
    with pytest.raises(UnavailableError, match=r"^page 1: .*\(2 errors in a row\)"):
        pages(make_lost_error(), make_lost_error(), pages=2, max_consecutive_errors=2, **NUMBERED)


# Numbered pages, their number unknown


@pytest.mark.parametrize(
    "end", [page(), make_response({"rows": None}), make_response({}, 404)], ids=["empty", "null", "404"]
)
def test_unknown_pages_end_with_an_empty_one_or_a_404(end):
    runner = pages(page(1, 2), page(3), end, **NUMBERED)
    assert (runner.rows, runner.count) == ([[1, 2], [3]], 2)


def test_unknown_pages_may_begin_with_zero():
    assert pages(page(1), page(), first_page=0, **NUMBERED).paths == ["GET /rows?page=0", "GET /rows?page=1"]


def test_the_first_page_may_be_empty_but_not_missing():
    assert pages(page(), **NUMBERED).count == 0
    with pytest.raises(ResultExpiredError, match=r"^page 1: "):
        pages(make_response({}, 404), **NUMBERED)


def test_a_410_is_no_end():
    with pytest.raises(ResultExpiredError, match=r"^page 2: "):
        pages(page(1), make_response({}, 410), **NUMBERED)


def test_an_error_inside_of_a_page_is_no_end():
    with pytest.raises(MissingValueError, match=r"^page 2: .*found nothing; the body begins: \{\"error\""):
        pages(page(1), make_response({"error": "x"}), **NUMBERED)


def test_an_api_that_takes_no_notice_of_the_number_is_found_out():
    with pytest.raises(ResultError, match=r"page 2: is the same as the page before, .* set pages or last_page"):
        pages(page(1), page(1), **NUMBERED)


def test_there_may_be_too_many_pages():
    assert pages(page(1), page(2), page(), max_pages=2, **NUMBERED).count == 2
    with pytest.raises(ResultError, match=r"there are more than 2 pages \(max_pages\)"):
        pages(page(1), page(2), page(3), max_pages=2, **NUMBERED)


def test_offsets_count_the_rows_that_came():
    runner = pages(page(1, 2), page(3, 4), page(5), page_size=2, query_params={"o": "{offset}", "n": "{limit}"})
    assert runner.rows == [[1, 2], [3, 4], [5]]
    assert runner.paths == ["GET /rows?o=0&n=2", "GET /rows?o=2&n=2", "GET /rows?o=4&n=2"]


def test_an_api_that_gives_fewer_rows_than_it_is_asked_for_loses_none():
    runner = pages(
        page(1, 2), page(3, 4), page(5), page(), page_size=100, query_params={"o": "{offset}", "n": "{limit}"}
    )
    assert runner.rows == [[1, 2], [3, 4], [5]]
    assert runner.paths[-1] == "GET /rows?o=5&n=100"


def test_a_rule_may_say_that_there_are_no_more_pages():
    rules = [{"selector": "status_code", "in": 416, "outcome": "no_data"}]
    runner = pages(page(1), make_response({}, 416), rules=rules, query_params={"o": "{offset}"})
    assert runner.rows == [[1]]
    with pytest.raises(NoDataError):
        pages(make_response({}, 416), rules=rules, **NUMBERED)


def test_a_rule_may_say_not_yet_about_a_page():
    rules = [{"selector": "state", "in": "busy", "outcome": "retry"}]
    runner = pages(page(1), make_response({"state": "busy"}), page(), rules=rules, **NUMBERED)
    assert (runner.rows, runner.sleeps) == ([[1]], [1.0])


# Next links


def test_links_lead_from_page_to_page():
    runner = pages(
        page(1, next="/v1/rows?after=a%20b"),
        page(2, next="https://api.example.com/v1/rows?after=c"),
        page(3, next=None),
        next_page="next",
        query_params={"size": 1},
    )
    assert runner.rows == [[1], [2], [3]]
    assert runner.paths == ["GET /rows?size=1", "GET /rows?after=a%20b", "GET /rows?after=c"]


def test_a_link_may_stand_in_a_header_and_be_relative():
    first = make_response([1], link='<?page=1>; rel="prev", <rows?page=2>; rel="next"')
    runner = pages(first, make_response([2]), next_page="header:Link", result_path=None)
    assert runner.rows == [[1], [2]]
    assert runner.paths[1] == "GET /rows?page=2"


@pytest.mark.parametrize("way", [{"next_page": "$.links[?(@.rel == 'next')].href"}, {"cursor": "links[*].href"}])
def test_the_only_link_that_a_filter_finds_is_followed_and_several_are_an_error(way):
    given = {**way, "query_params": {"c": "{cursor}"} if "cursor" in way else {}}
    one, two = [{"rel": "next", "href": "/2"}], [{"rel": "next", "href": "/3"}, {"rel": "next", "href": "/4"}]
    assert pages(page(1, links=one), page(2, links=[]), **given).rows == [[1], [2]]
    with pytest.raises(ContentError, match=r"^page 1: .* finds 2 values, and one is needed: .*'first': True"):
        pages(page(1, links=two), **given)


def test_several_totals_are_an_error():
    with pytest.raises(ContentError, match=r"^page 1: total_rows: 'n\[\*\]' finds 2 values, and one is needed"):
        pages(page(1, n=[1, 2]), pages=1, total_rows="n[*]", **NUMBERED)


def test_an_empty_page_may_have_a_next_one():
    assert pages(page(next="/2"), page(1), next_page="next").rows == [[], [1]]


def test_a_link_to_another_origin_gets_no_credentials():
    api = make_api(login="me", password="hunter22", auth="basic")
    runner = pages(page(1, next="https://evil.example.net/2"), page(2), next_page="next", api=api)
    assert runner.header("Authorization", 0)
    assert runner.header("Authorization", 1) is None


def test_pages_that_form_a_loop_are_an_error():
    with pytest.raises(ResultError, match="page 3: names a next page that was already fetched"):
        pages(page(1, next="/2"), page(2, next="/3"), page(3, next="/2"), next_page="next")


def test_a_link_that_is_none_names_the_page():
    with pytest.raises(AsyncApiError, match=r"^page 1: next_page: .* is no URL"):
        pages(page(1, next="https://[x"), next_page="next")


def test_there_may_be_too_many_links():
    with pytest.raises(ResultError, match="more than 1 pages"):
        pages(page(1, next="/2"), page(2), next_page="next", max_pages=1)


def test_a_first_page_without_rows_where_they_should_be_is_an_error():
    with pytest.raises(MissingValueError, match=r"^page 1: "):
        pages(make_response({"items": []}), next_page="next")


# Cursors


def test_the_first_page_has_no_cursor():
    runner = pages(
        page(1, next="a=="),
        page(2, next=None),
        cursor="next",
        page_size=1,
        query_params={"cursor": "{cursor}", "n": "{limit}"},
        headers={"X-Cursor": "{cursor}"},
    )
    assert runner.rows == [[1], [2]]
    assert runner.paths == ["GET /rows?n=1", "GET /rows?cursor=a%3D%3D&n=1"]
    assert [runner.header("X-Cursor", index) for index in (0, 1)] == [None, "a=="]


def test_a_cursor_keeps_its_type_in_json_and_is_null_at_first():
    runner = pages(page(1, next=17), page(2), cursor="next", json={"query": "q", "variables": {"after": "{cursor}"}})
    assert [request.body for request in runner.requests] == [
        b'{"query":"q","variables":{"after":null}}',
        b'{"query":"q","variables":{"after":17}}',
    ]


def test_a_cursor_is_empty_at_first_in_a_text():
    runner = pages(page(1, next=17), page(2), cursor="next", xml="<after>{cursor}</after>")
    assert [request.body for request in runner.requests] == [b"<after></after>", b"<after>17</after>"]


def test_a_variable_may_hold_the_first_cursor():
    handle = JobHandle("7", variables={"cursor": "*"})
    runner = pages(page(1, next="b"), page(2), cursor="next", query_params={"c": "{cursor}"}, handle=handle)
    assert runner.paths == ["GET /rows?c=%2A", "GET /rows?c=b"]


def test_a_cursor_in_the_endpoint_needs_a_first_one():
    with pytest.raises(UnknownVariableError, match=r"page 1: endpoint .*: the variable \{cursor\} is null"):
        pages(cursor="next", endpoint="/rows?c={cursor}")


def test_cursors_that_form_a_loop_are_an_error():
    with pytest.raises(ResultError, match="page 2: names a next page that was already fetched"):
        pages(page(1, next="a"), page(2, next="a"), cursor="next", query_params={"c": "{cursor}"})


def test_a_rule_may_say_that_a_later_page_has_no_rows():
    rules = [{"selector": "rows", "exists": False, "outcome": "no_data"}]
    runner = pages(
        page(1, next="a"),
        make_response({"next": "b"}),
        page(2),
        cursor="next",
        query_params={"c": "{cursor}"},
        rules=rules,
    )
    assert runner.rows == [[1], [], [2]]
    assert runner.requests[0].url == f"{BASE}/rows"


# What pages say of each other


def test_a_page_that_comes_back_empty_in_the_middle_is_named():
    with pytest.raises(ResultError, match=r"^page 2: is empty, and page 4 after it has 1 rows"):
        pages(page(1), page(), page(), page(4), pages=4, **NUMBERED)


def test_a_page_that_a_rule_takes_for_no_data_may_be_empty():
    rules = [{"selector": "rows", "exists": False, "outcome": "no_data"}]
    assert pages(page(1), make_response({}), page(3), pages=3, rules=rules, **NUMBERED).rows == [[1], [], [3]]


def test_pages_that_lead_on_may_be_empty():
    # https://google.aip.dev/158: an answer may have no rows, and a token.
    runner = pages(page(1, next="a"), page(next="b"), page(2), cursor="next", query_params={"c": "{cursor}"})
    assert runner.rows == [[1], [], [2]]


def test_a_page_that_changes_the_total_is_named():
    with pytest.raises(ResultError, match=r"^page 3: states a total of 4 rows, but the pages before stated 3"):
        pages(page(1, n=3), page(2, n="3"), page(3, n=4), pages=3, total_rows="n", **NUMBERED)


@pytest.mark.parametrize(("given", "count"), [({"pages": 2}, 2), ({}, 2)])
def test_a_total_has_to_be_right(given, count):
    assert pages(page(1, n=2), page(2, n=2), page(n=2), total_rows="n", **given, **NUMBERED).count == count
    with pytest.raises(ResultError, match="total_rows: the pages state a total of 5 rows, but contain 2"):
        pages(page(1, n=5), page(2), page(n=5), total_rows="n", **given, **NUMBERED)


def test_a_total_that_can_not_be_read_names_the_page():
    with pytest.raises(ContentError, match=r"^page 1: total_rows: expected XML"):
        pages(page(1), pages=1, total_rows="xpath:n", **NUMBERED)


# The first page in the job's answers


def first_inline(*replies, variables=None, **given):
    handle = JobHandle("7", variables={"rows": [1, 2], **(variables or {})})
    runner = Rows(make_api(), *replies)
    plan = FetchPlan.parse(
        {"output_type": "pages", "endpoint": "/rows", "result_path": "rows", "inline": "rows", **given}
    )
    fetching = ResultFetcher(runner.api, plan, handle)
    runner.fetch(fetching, inline=fetching.inline_value())
    return runner


def test_the_status_may_have_been_the_first_of_counted_pages():
    runner = first_inline(page(3), page(4), pages=3, first_page=0, **NUMBERED)
    assert (runner.rows, runner.count) == ([[1, 2], [3], [4]], 3)
    assert runner.paths == ["GET /rows?page=1", "GET /rows?page=2"]


def test_a_total_counts_the_page_in_the_status_too():
    assert first_inline(page(3, n=3), pages=2, total_rows="n", **NUMBERED).count == 2


def test_the_status_may_have_named_the_next_page():
    given = {"next_page": "next", "endpoint": "{more}"}
    runner = first_inline(page(3, next="/rows/3"), page(4), variables={"more": "/rows/2"}, **given)
    assert runner.rows == [[1, 2], [3], [4]]
    assert runner.paths == ["GET https://api.example.com/rows/2", "GET https://api.example.com/rows/3"]
    assert first_inline(page(3), variables={"more": ["/rows/2"]}, **given).rows == [[1, 2], [3]]
    assert first_inline(variables={"more": None}, **given).rows == [[1, 2]]
    assert first_inline(variables={"more": []}, **given).rows == [[1, 2]]
    assert first_inline(next_page="next").rows == [[1, 2]]


def test_the_status_may_have_named_the_next_cursor():
    given = {"cursor": "next", "query_params": {"c": "{cursor}"}}
    runner = first_inline(page(3), variables={"cursor": "b"}, **given)
    assert (runner.rows, runner.paths) == ([[1, 2], [3]], ["GET /rows?c=b"])
    assert first_inline(**given).rows == [[1, 2]]
    assert first_inline(variables={"cursor": []}, **given).rows == [[1, 2]]


def test_pages_that_nobody_has_counted_end_with_the_one_in_the_status():
    assert first_inline(**NUMBERED).rows == [[1, 2]]


def test_a_total_is_taken_of_the_pages_that_state_one():
    assert pages(page(1), page(2, n=2), page(n=None), pages=3, total_rows="n", **NUMBERED).count == 3


# What the log says


def test_a_selector_that_finds_no_next_page_is_named_for_it_may_be_misspelt():
    assert (
        "Fetched 1 page with 2 rows; 'nxt' found no next page" in pages(page(1, 2, next="/2"), next_page="nxt").log_text
    )
    assert pages(page(1, next="/2"), page(2), next_page="next").log_text == "Fetched 2 pages with 2 rows"
    assert pages(page(1), pages=1, **NUMBERED).log_text == "Fetched 1 page with 1 rows"
