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
)
from airflow_provider_asyncapi.core.fetch.flow import NoDataError, ResultFetcher
from airflow_provider_asyncapi.core.fetch.plan import FetchPlan
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from tests.unit.core.fetch.paged_fetches import NUMBERED, Rows, page, pages
from tests.unit.core.flow_runner import START, make_api, make_lost_error, make_response

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
    with pytest.raises(MissingValueError, match=r"^page 2: .*found nothing; the JSON has the keys error; the body"):
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
