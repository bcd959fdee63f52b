from __future__ import annotations

import pytest

from airflow_provider_asyncapi.core.errors import (
    AsyncApiError,
    ContentError,
    MissingValueError,
    ResultError,
    UnknownVariableError,
)
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from tests.unit.core.fetch.paged_fetches import NUMBERED, page, pages
from tests.unit.core.flow_runner import BASE, make_api, make_response

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


# What the log says


def test_a_selector_that_finds_no_next_page_is_named_for_it_may_be_misspelt():
    assert (
        "Fetched 1 page with 2 rows; 'nxt' found no next page" in pages(page(1, 2, next="/2"), next_page="nxt").log_text
    )
    assert pages(page(1, next="/2"), page(2), next_page="next").log_text == "Fetched 2 pages with 2 rows"
    assert pages(page(1), pages=1, **NUMBERED).log_text == "Fetched 1 page with 1 rows"
