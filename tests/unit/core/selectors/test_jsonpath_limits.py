import contextlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonpath_ng.exceptions import JSONPathError
from jsonpath_ng.ext import parse

from airflow_provider_asyncapi.core.errors import ContentError, SelectorError
from airflow_provider_asyncapi.core.selectors import jsonpath
from tests.unit.core.selectors.documents import nested

try:
    parse("$[?(@.a == $.b)]")
    COMPARES_PATHS = True
except JSONPathError:
    COMPARES_PATHS = False


@pytest.mark.parametrize("path", ["$..a..a", "$..*..*", "a..a..a", "$..a where $..b"])
@pytest.mark.parametrize("document", [nested(400), [nested(100)] * 100])
def test_a_path_that_descends_twice_is_refused_in_a_document_that_is_nested_for_it(path, document):
    with pytest.raises(ContentError, match=r"nested too deeply for a selector with \d times"):
        jsonpath.find(path, document)


def test_a_path_that_descends_twice_finds_what_it_looks_for_in_any_usual_document():
    rows = [{"jobs": {"list": [{"state": {"code": number}}]}} for number in range(500)]
    assert jsonpath.find("$..jobs..code", {"data": rows}) == list(range(500))
    assert len(jsonpath.find("$..a..a", nested(50))) > 50


SEARCHES = {
    1: ["$..a", "$.*.a", "$[*][*]", "$..*", "$.rows[?(@.a == 1)]..a"],
    8: [
        "$.rows[?(@.a == 1)].a",
        "$.rows[0:1000000].a",
        "$.rows[:]",
        "$.rows[-1000:]",
        "$.rows.`sorted`",
        "$.rows[\\a]",
        "$.rows | $.rows",
        "$.rows where a",
    ],
}


@pytest.mark.parametrize(("times", "path"), [(times, path) for times, paths in SEARCHES.items() for path in paths])
@pytest.mark.parametrize("document", [[1] * 801, {"rows": [{"a": 1}] * 400}])
def test_a_path_that_searches_values_is_refused_in_a_document_of_too_many(times, path, document):
    with pytest.raises(ContentError, match=f"the JSON holds more than {800 // times * times} values, too many for a"):
        jsonpath.find(path, document, 800 // times)
    jsonpath.find(path, document)
    jsonpath.find(path, document, 1000 // times)


@pytest.mark.parametrize("path", ["$.rows[*].a", "rows[0].a", "$.rows[-1].a", "$.rows[-1:].a", "$['größe']"])
def test_a_path_that_names_its_way_is_not(path):
    assert jsonpath.find(path, {"rows": [{"a": 1}] * 600, "größe": 1}, 10)[0] == 1


def test_a_union_of_two_names_reads_any_document():
    assert jsonpath.find("id|rows", {"id": 7, "rows": [1] * 600}, 6400)[0] == 7


def test_a_path_that_counts_items_or_splits_a_text_is_not():
    document = {"rows": [{"a": 1}] * 600, "href": "/jobs/7"}
    assert jsonpath.find("$.rows.`len`", document, 10) == [600]
    assert jsonpath.find("$.href.`split(/, -1, -1)`", document, 10) == ["7"]


@pytest.mark.parametrize("condition", ["$.ids[*] == 1", "$..id == 1", "$.ids[0:9]", "$.rows[?(@.a == 1)].a == 1"])
def test_a_filter_that_searches_the_document_for_each_item_is_refused_in_one_of_too_many_values(condition):
    document = {"rows": [{"a": 1}] * 100, "ids": [1], "one": {"id": 1}}
    with pytest.raises(
        ContentError, match=r"more than 100 values, too many for a selector with a filter that searches"
    ):
        jsonpath.find(f"$.rows[?({condition})].a", document, 6400)
    jsonpath.find(f"$.rows[?({condition})].a", document, 20_000)


@pytest.mark.skipif(not COMPARES_PATHS, reason="older releases of jsonpath-ng compare with values only")
def test_a_filter_that_looks_at_one_value_of_the_document_is_not():
    document = {"rows": [{"a": 1}, {"a": 2, "b": 2}] * 100, "one": [{"id": 1}]}
    assert jsonpath.find("$.rows[?(@.a == $.one[0].id)].a", document, 800) == [1] * 100
    assert jsonpath.find("$.rows[?(@.a == @.b)].a", document, 800) == [2] * 100
    assert len(jsonpath.find("$.rows[?($.one[0].id == 1)].a", document, 800)) == 200


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ('$[?(@["\\""] =~ "x")]', "=~"),
        ('$[?(@.b == 1)].a[?(@.c =~ "x")]', "=~"),
        ('$["\\""].`sub(/a/, b)`', "`sub("),
        ("$[?(@.`sub(/a/, b)` == 1)]", "`sub("),
        ('$.x[?(@.a == "\\"" & @.c =~ "x")]', "=~"),
    ],
)
def test_pythons_regular_expressions_are_refused_wherever_they_stand(path, named):
    with pytest.raises(SelectorError, match=rf"^'{re.escape(named)}' uses Python's regular expressions"):
        jsonpath.check(path)


def test_what_looks_like_one_in_quotes_is_a_key():
    jsonpath.check('$["=~"][?(@["`sub(/a/, b)`"] == "=~")]')


def test_a_path_that_descends_once_may_go_deep():
    assert len(jsonpath.find("$..a", nested(300))) == 300


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("$.done * 100", "arithmetic isn't supported"),
        ("$.a + $.b", "arithmetic isn't supported"),
        ("rows[?(@.a == 1)].x * 2", "arithmetic isn't supported"),
        ("rows[*].`parent`", "once for each of its children"),
        ("$.rows[?(@.x == 1)].`parent`[?(@.x == 1)].x", "once for each of its children"),
    ],
)
def test_what_may_grow_beyond_the_document_is_refused(path, message):
    with pytest.raises(SelectorError, match=message):
        jsonpath.check(path)


@given(
    st.lists(
        st.sampled_from(
            [".a", ".b", "[0]", "[-1:]", "[1:2]", "[0:2]", ".`this`", ".`sorted`", "[*]", ".*", "[?(@.a)]", "..a"]
        ),
        max_size=4,
    ),
    st.recursive(
        st.integers(0, 2),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
        max_leaves=10,
    ),
)
def test_what_may_find_one_value_only_finds_no_more_in_any_document(steps, document):
    path = f"${''.join(steps)}"
    if not jsonpath.finds_list(path):
        assert len(jsonpath.find(path, document)) <= 1


@pytest.mark.parametrize("path", ["$[?($..a == 1)]", "$[?($[*] == 1)]", "$..a|$..b", "$[?(@.a == 1)].a|$.b[*]"])
def test_what_takes_time_that_grows_with_the_square_of_the_values_reads_few_of_them(path):
    with contextlib.suppress(SelectorError):
        jsonpath.check(path)
        assert jsonpath.find(path, [0] * 512, max_values=32_768) == []
        with pytest.raises(
            ContentError, match=r"holds more than 512 values, too many for a selector with (a filter|'\|')"
        ):
            jsonpath.find(path, [0] * 513, max_values=32_768)
