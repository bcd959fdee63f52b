from __future__ import annotations

import pytest

from airflow_provider_asyncapi.core.errors import MissingValueError, ResultError
from tests.unit.core.fetch.paged_fetches import NUMBERED, page, pages


def test_rows_that_are_arrays_become_objects_with_the_names_in_the_page():
    runner = pages(page([1, "Ann"], [2, None], names=["id", "name"]), pages=1, columns="names", **NUMBERED)
    assert runner.rows == [[{"id": 1, "name": "Ann"}, {"id": 2, "name": None}]]


def test_a_page_without_names_has_those_of_the_page_before():
    replies = (page([1], schema=[{"name": "id"}]), page([2]), page([3], schema=[{"name": "number"}]))
    runner = pages(*replies, pages=3, columns="schema[*].name", **NUMBERED)
    assert runner.rows == [[{"id": 1}], [{"id": 2}], [{"number": 3}]]


def test_the_values_may_be_below_the_row():
    rows = [{"f": [{"v": "1"}, {"v": None}]}]
    columns = {"names": "names", "values": "f[*].v"}
    runner = pages(page(*rows, names=["id", "name"]), pages=1, columns=columns, **NUMBERED)
    assert runner.rows == [[{"id": "1", "name": None}]]


def test_a_row_that_is_an_object_stays_as_it_is():
    assert pages(page({"id": 1}, names=["id"]), pages=1, columns="names", **NUMBERED).rows == [[{"id": 1}]]


def test_columns_of_the_same_name_are_numbered():
    runner = pages(page([1, 2, 3], names=["id", "id", " "]), pages=1, columns="names", **NUMBERED)
    assert runner.rows == [[{"id": 1, "id_2": 2, "column_3": 3}]]


def test_one_name_may_be_no_list():
    assert pages(page([1], name="id"), pages=1, columns="name", **NUMBERED).rows == [[{"id": 1}]]


def test_rows_for_which_there_are_no_names_are_an_error_that_names_what_is_near():
    with pytest.raises(
        MissingValueError, match=r"^page 1: columns: 'schema.name' found nothing; there is \$.schema.names"
    ):
        pages(page([1], schema={"names": ["id"]}), pages=1, columns="schema.name", **NUMBERED)


def test_a_row_with_another_number_of_values_is_an_error():
    with pytest.raises(ResultError, match=r"^page 2: columns: a row has 1 values, and 'names' finds 2 names"):
        pages(page([1, 2], names=["a", "b"]), page([3]), pages=2, columns="names", **NUMBERED)
