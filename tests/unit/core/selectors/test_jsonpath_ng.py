import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonpath_ng.ext import parse
from jsonpath_ng.ext.filter import Filter

from airflow_provider_asyncapi.core.errors import SelectorError
from airflow_provider_asyncapi.core.selectors import general_paths, jsonpath
from airflow_provider_asyncapi.core.selectors.plain_paths import parse_plain_path
from tests.unit.core.selectors.documents import DOCUMENT, NAMES, QUOTED, paths
from tests.unit.recorded_calls import recorded

# Strings are left out, and errors count as nothing: jsonpath-ng before 1.8 indexes strings and can't index numbers.
DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES | QUOTED, inner, max_size=4),
)


def by_jsonpath_ng(path, document):
    try:
        return [match.value for match in parse(path).find(document)]
    except (KeyError, TypeError):
        return []


@given(paths(), DOCUMENTS)
def test_plain_paths_find_what_jsonpath_ng_finds(path, document):
    assert parse_plain_path(path) is not None
    assert jsonpath.find(path, document) == by_jsonpath_ng(path, document)


@given(st.text("abz_ .$[]\"'0129-*@\\\n\tü", max_size=10))
def test_whatever_is_read_here_jsonpath_ng_reads_too(path):
    steps = parse_plain_path(path)
    if steps is not None and "true" not in path and "*" not in steps:
        document: Any = [7]
        for step in reversed(steps):
            document = {step: document} if isinstance(step, str) else [None] * (step or 0) + [document]
        assert by_jsonpath_ng(path, document) == jsonpath.find(path, document) == [[7]]


@given(st.text(max_size=20) | st.text("ab.$[]()?@*\"'`|&,:<>=!~ 01-+/\\", max_size=15))
def test_any_text_is_a_path_or_a_selector_error(path):
    try:
        jsonpath.check(path)
    except SelectorError as error:
        assert "\n" not in str(error)  # noqa: PT017 - either way is right
        return
    assert isinstance(jsonpath.find(path, DOCUMENT), list)


def test_a_filter_may_have_two_conditions_on_every_version():
    found = jsonpath.find(
        '$.jobs[?(@.id == "7" & @.state == "done")].n', {"jobs": [{"id": "7", "state": "done", "n": 1}]}
    )
    assert found == [1]


ROWS = st.lists(
    st.integers(0, 2)
    | st.text(max_size=1)
    | st.fixed_dictionaries({}, optional={"a": st.integers(0, 2), "b": st.lists(st.integers(0, 2))}),
    max_size=9,
)


@settings(deadline=None)
@given(
    ROWS | st.dictionaries(st.sampled_from("ab"), ROWS),
    st.sampled_from(
        [
            "$[?(@.a == 1)]",
            "$[?(@.a > 0 & @.b)].b[?(@ == 1)]",
            "$.a[?(@.a == 0)].b[0:2]",
            "$[1:]",
            "$[::2].a",
            "$[-3:-1].b[-1:]",
            "$[::-1][?(@.a)].a",
            "$[::0]",
            "$[?(@.b[0] == 1)].*",
        ]
    ),
)
def test_of_long_lists_a_filter_or_a_slice_finds_what_jsonpath_ng_finds(document, path):
    try:
        expected = [match.value for match in general_paths._compile(path).find(document)]
    except (KeyError, TypeError, ValueError):
        expected = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(general_paths, "_FILTER_BATCH", 2)
        assert jsonpath.find(path, document) == expected


def test_of_a_long_list_no_more_than_some_items_are_filtered_together(monkeypatch):
    sizes: list[int] = []
    monkeypatch.setattr(Filter, "find", recorded(Filter.find, sizes, lambda _, items: len(items)))
    assert len(jsonpath.find("$[?(@.a == 1)].a", [{"a": 1}] * 10_000)) == 10_000
    assert sizes == [4096, 4096, 1808]


def test_of_each_item_the_rest_of_the_path_is_found_where_it_is():
    rows = [{"a": [1, 2]}, {"a": []}, {"b": 1}, 3, None, {"a": [None]}]
    assert jsonpath.find("$.rows[*].a[0]", {"rows": rows}) == [1, None]


# No index: before 1.8 jsonpath-ng finds nothing at all if one value has none.
@settings(max_examples=200)
@given(document=DOCUMENTS, path=st.sampled_from(["$..a", "a..b", "$..a.b", '$.a.."b"', "$.a.b..a-b", "$..where2"]))
def test_a_search_below_a_place_finds_what_jsonpath_ng_finds_in_its_order(document, path):
    assert jsonpath.find(path, document) == by_jsonpath_ng(path, document)


def test_a_search_below_a_place_takes_each_value_once_however_deeply_it_is_nested():
    document = json.loads('{"state":' * 900 + "1" + "}" * 900)
    assert len(jsonpath.find("$..state", document)) == 900
    taken = []

    class Counted(dict[str, Any]):
        def values(self):
            taken.append(self)
            return super().values()

    nested: Any = 1
    for _ in range(900):
        nested = Counted(state=nested)
    assert len(jsonpath.find("$..state", nested)) == 900
    assert len(taken) == 900
