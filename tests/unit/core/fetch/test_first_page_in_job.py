from __future__ import annotations

from airflow_provider_asyncapi.core.fetch.flow import ResultFetcher
from airflow_provider_asyncapi.core.fetch.plan import FetchPlan
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from tests.unit.core.fetch.paged_fetches import NUMBERED, Rows, page, pages
from tests.unit.core.flow_runner import make_api

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
