import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_asyncapi.core.json_values import (
    as_list,
    as_number,
    as_text,
    freeze,
    is_scalar,
    thaw,
    to_comparable,
)
from airflow_provider_asyncapi.core.text import shorten

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@pytest.mark.parametrize(
    ("one", "other"),
    [(200, "200"), (200.0, "200"), (True, "true"), (None, "null"), (1.5, "1.5"), ({"b": 1, "a": 2}, {"a": 2, "b": 1})],
)
def test_values_compare_as_json(one, other):
    assert to_comparable(one) == to_comparable(other)


@pytest.mark.parametrize(("one", "other"), [("Done", "done"), (True, 1), (1, "1.0"), (True, "True"), ([1], 1)])
def test_values_that_differ_in_json_do_not_compare(one, other):
    assert to_comparable(one) != to_comparable(other)


def test_case_is_ignored_on_request_only():
    assert to_comparable("Straße", ignore_case=True) == to_comparable("STRASSE", ignore_case=True)
    assert to_comparable("Done") == "Done"


def test_one_value_several_and_none_become_a_list():
    assert as_list("ab") == ["ab"]
    assert as_list(("a", "b")) == ["a", "b"]
    assert as_list([]) == []
    assert as_list(None) == []
    assert as_list(0) == [0]
    assert as_list({"a": 1}) == [{"a": 1}]


@pytest.mark.parametrize(("value", "number"), [(3, 3.0), ("2.5", 2.5), (" 7 ", 7.0), ("-1e3", -1000.0)])
def test_numbers_are_read_from_strings_too(value, number):
    assert as_number(value) == number


@pytest.mark.parametrize("value", [True, None, "", "7 %", "nan", "inf", float("inf"), 10**400, "1" * 400, [1], {}])
def test_what_is_no_finite_number_is_none(value):
    assert as_number(value) is None


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a b", "a b"),
        (7, "7"),
        (True, "true"),
        (None, "null"),
        ([1, "ä"], '[1,"ä"]'),
        ({"a": {"b": 1}}, '{"a":{"b":1}}'),
    ],
)
def test_text_is_the_string_itself_and_json_of_the_rest(value, text):
    assert as_text(value) == text


def test_text_of_what_json_does_not_have_is_what_str_says():
    assert as_text([dt.date(2026, 1, 2)]) == '["2026-01-02"]'


@pytest.mark.parametrize(
    ("value", "scalar"), [("", True), (0, True), (False, True), (1.5, True), (None, False), ([], False), ({}, False)]
)
def test_scalars_are_strings_numbers_and_booleans(value, scalar):
    assert is_scalar(value) is scalar


@given(JSON)
def test_every_value_of_an_api_can_be_compared_shown_and_counted(value):
    assert isinstance(to_comparable(value, ignore_case=True), str)
    assert isinstance(shorten(as_text(value)), str)
    assert as_number(value) is None or isinstance(as_number(value), float)
    assert isinstance(as_list(value), list)


def test_plain_data_is_frozen_alike_where_it_is_equal_and_thaws_again():
    value = {"a": [1, "x", None, {"b": 0.5}], "c": True}
    copy = {"a": [1, "xyz"[:1], None, {"b": 0.5}], "c": True}
    assert freeze(value) == freeze(copy) != freeze({**value, "c": False})
    frozen = freeze(value)
    assert frozen is not None
    assert thaw(frozen) == value
    assert freeze({"when": dt.date(2026, 1, 31)}) is None
