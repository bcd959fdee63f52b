from __future__ import annotations

import pytest

from airflow_provider_asyncapi.core.errors import (
    ContentError,
    ResultError,
)
from tests.unit.core.fetch.paged_fetches import NUMBERED, page, pages
from tests.unit.core.flow_runner import make_response

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
