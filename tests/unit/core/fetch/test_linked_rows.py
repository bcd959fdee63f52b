from __future__ import annotations

import pytest

from airflow_provider_asyncapi.core.errors import (
    AuthenticationError,
    ConfigurationError,
    MissingValueError,
    RequestRejectedError,
    ResultError,
    UnsafeValueError,
)
from airflow_provider_asyncapi.core.fetch.plan import FetchPlan
from tests.unit.core.fetch.paged_fetches import NUMBERED, page, pages
from tests.unit.core.flow_runner import BASE, make_response

STORE = "https://store.example.net"


def linked(*replies, **given):
    return pages(*replies, **{"rows_url": "link", "next_page": "next", "result_path": "$", **given})


def test_the_rows_of_each_page_are_fetched_from_the_url_in_it():
    runner = linked(
        make_response({"link": f"{STORE}/1?sig=a", "next": "rows/2", "names": ["id"]}),
        make_response([[1], [2]]),
        make_response({"link": f"{STORE}/2?sig=b"}),
        make_response([[3]]),
        columns="names",
        headers={"X-Own": "1"},
    )
    assert runner.rows == [[{"id": 1}, {"id": 2}], [{"id": 3}]]
    assert [request.url for request in runner.requests] == [
        f"{BASE}/rows",
        f"{STORE}/1?sig=a",
        f"{BASE}/rows/2",
        f"{STORE}/2?sig=b",
    ]
    assert [dict(request.headers).get("X-Own") for request in runner.requests] == ["1", None, "1", None]


def test_the_url_may_be_relative_to_the_page():
    assert linked(make_response({"link": "files/1"}), make_response([1])).requests[1].url == f"{BASE}/files/1"


def test_the_url_gets_the_headers_that_the_page_states():
    runner = linked(
        make_response({"link": f"{STORE}/1", "headers": {"X-Key": "{a}", "X-Number": 1}}),
        make_response([1]),
        rows_url={"url": "link", "headers": "headers"},
    )
    headers = dict(runner.requests[1].headers)
    assert (headers["X-Key"], headers["X-Number"]) == ("{a}", "1")


def test_headers_that_are_no_object_are_an_error():
    with pytest.raises(ResultError, match=r"^page 1: .*rows_url.headers: found no object of header fields"):
        linked(
            make_response({"link": f"{STORE}/1", "headers": "X-Key: 1"}),
            rows_url={"url": "link", "headers": "headers"},
        )


@pytest.mark.parametrize("link", [{}, {"link": None}, {"link": ""}])
def test_a_page_without_a_url_contains_its_rows(link):
    rows_url = {"url": "link", "headers": "headers"}
    assert linked(page(1, 2, **link), result_path="rows", rows_url=rows_url).rows == [[1, 2]]


def test_a_page_without_a_url_and_without_rows_is_an_error_that_names_both_selectors():
    with pytest.raises(MissingValueError, match=r"page 1: .*result_path: 'rows' .*; rows_url: 'link' found no URL"):
        linked(make_response({"lnk": f"{STORE}/1"}), result_path="rows")


def test_what_is_no_url_is_an_error():
    with pytest.raises(UnsafeValueError, match=r"page 1: .*rows_url: 'https://\[' is no URL"):
        linked(make_response({"link": "https://["}))


def test_a_url_that_has_expired_is_replaced_by_fetching_its_page_again():
    runner = linked(
        make_response({"link": f"{STORE}/1?sig=a"}),
        make_response("<Error/>", 403),
        make_response({"link": f"{STORE}/1?sig=b"}),
        make_response([1]),
    )
    assert runner.rows == [[1]]
    assert "fetching page 1 again for another URL of its rows" in runner.log_text
    assert "sig=" not in runner.log_text


def test_a_url_that_is_refused_twice_is_an_error():
    refused = make_response("<Error/>", 403)
    with pytest.raises(AuthenticationError, match=r"page 1: .* answered 403"):
        linked(make_response({"link": f"{STORE}/1"}), refused, make_response({"link": f"{STORE}/1"}), refused)


def test_another_error_is_no_reason_to_fetch_the_page_again():
    with pytest.raises(RequestRejectedError, match=r"page 1: .* answered 422"):
        linked(make_response({"link": f"{STORE}/1"}), make_response({}, 422))


def test_the_rules_are_about_the_pages():
    rules = [{"selector": "status", "in": "empty", "outcome": "no_data"}]
    runner = linked(
        make_response({"link": f"{STORE}/1"}), make_response([{"status": "empty"}]), rules=rules, result_path="$"
    )
    assert runner.rows == [[{"status": "empty"}]]


def test_counted_pages_may_link_to_their_rows_too():
    replies = [make_response({"link": f"{STORE}/{number}"}) for number in (1, 2)]
    rows = [make_response([number]) for number in (1, 2)]
    runner = pages(replies[0], rows[0], replies[1], rows[1], pages=2, rows_url="link", result_path="$", **NUMBERED)
    assert runner.rows == [[1], [2]]


def test_an_unknown_key_is_named():
    with pytest.raises(ConfigurationError, match=r"rows_url: has the keys 'url' .* and 'headers' .*, not 'link'"):
        FetchPlan.parse({"output_type": "pages", "endpoint": "/x", "next_page": "n", "rows_url": {"link": "a"}})


def test_it_is_for_pages_only():
    with pytest.raises(ConfigurationError, match="rows_url: is for rows of pages; set output_type='pages'"):
        FetchPlan.parse({"endpoint": "/x", "rows_url": "link"})
