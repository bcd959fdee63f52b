import contextlib
import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonpath_ng.exceptions import JSONPathError
from jsonpath_ng.ext import parse
from jsonpath_ng.ext.filter import Filter

from airflow_provider_asyncapi.core.errors import ContentError, SelectorError
from airflow_provider_asyncapi.core.selectors import general_paths, jsonpath
from airflow_provider_asyncapi.core.selectors.plain_paths import parse_plain_path
from tests.unit.recorded_calls import recorded

try:
    parse("$[?(@.a == $.b)]")
    COMPARES_PATHS = True
except JSONPathError:
    COMPARES_PATHS = False
DOCUMENT = {
    "data": {"task": {"id": 7}, "task-id": "u-1", "a.b": 1, "null": None},
    "jobs": [{"id": "7", "state": "done"}, {"id": "8", "state": "running"}],
    "@type": "Job",
    "größe": 5,
}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("$", [DOCUMENT]),
        (" data.task.id ", [7]),
        ("$.data.task.id", [7]),
        ('data."task-id"', ["u-1"]),
        ("data.'task-id'", ["u-1"]),
        ("data.task-id", ["u-1"]),
        ('data."a.b"', [1]),
        ("data.null", [None]),
        ("jobs[1].state", ["running"]),
        ("$.jobs[0]", [{"id": "7", "state": "done"}]),
        ("jobs[2]", []),
        ("jobs.id", []),
        ("data[0]", []),
        ("data.task.id.x", []),
        ("nothing", []),
        ("jobs[*]", DOCUMENT["jobs"]),
        # From here on it is jsonpath-ng that reads.
        ("$.jobs[*].state", ["done", "running"]),
        ('$.jobs[?(@.id == "8")].state', ["running"]),
        ("$..id", [7, "7", "8"]),
        ("$.jobs[-1].id", ["8"]),
        ("jobs.`len`", [2]),
        ("$.'@type'", ["Job"]),
        ("$['größe']", [5]),
    ],
)
def test_a_path_finds_values(path, found):
    assert sorted(map(str, jsonpath.find(path, DOCUMENT))) == sorted(map(str, found))


def test_whatever_the_grammar_raises_is_an_error_about_the_selector():
    with pytest.raises(SelectorError, match=r"missing \)"):
        jsonpath.find("a.`sub(/(/, x)`", {"a": "x"})


def test_a_step_without_arguments_is_accepted():
    jsonpath.check("jobs.`sorted`")
    assert jsonpath.find("jobs.`sorted`", {"jobs": [2, 1]}) == [[1, 2]]


@pytest.mark.parametrize("path", ["$.jobs[*][0]", "jobs[0].id[?(@.x > 1)]", "$.data.task.id[*][0]", "jobs.`sorted`"])
def test_a_path_that_does_not_fit_the_document_finds_nothing(path):
    """Older versions of jsonpath-ng raise KeyError and TypeError here."""
    assert jsonpath.find(path, {"jobs": [{"id": 7}, 5], "data": {"task": {"id": 7}}}) == []


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("", "end of string"),
        ("a b", "1:2 near token b"),
        ("a..", "end of string"),
        (".a", "1:0 near token"),
        ("$x", "1:1 near token x"),
        ("a[", "end of string"),
        ('"a', "Unexpected EOF"),
        ("a;b", "col 1: Unexpected character: ;"),
        ("größe", "col 2: Unexpected character: ö"),
        ("where", "where"),
        ("a[?(@.b == ", "end of string"),
        ("a.`klingon`", "klingon"),
        ("json:state", "1:4 near token :"),
        ("a.`sub(/x/, y)`", "'`sub\\(' uses Python's regular expressions.*add the suffix 'regex:'"),
        ('a[?(@.name =~ "x+")]', "'=~' uses Python's regular expressions"),
        ("@odata.nextLink", """write '"@odata.nextLink"' for @odata.nextLink"""),
        ("$.@odata.nextLink", """write '"@odata.nextLink"'"""),
        ("value@odata.count", """write '"value@odata.count"'"""),
        ("a.@microsoft.graph.downloadUrl", """write '"@microsoft.graph.downloadUrl"'"""),
        ("a[?(@.ok == True)].b", "JSON has true, false and null, unlike '== True'"),
        ("a[?(@.b == None)]", "JSON has true"),
        ('a[?("x" == @.b)].c', "in a filter the value has to be on the right"),
        ("a[?(7 == @.b)].c", "in a filter the value has to be on the right"),
        ("a.$.b", "the whole document, so it is allowed only at the beginning"),
        ("a & b", "'&' is allowed only between conditions of a filter"),
    ],
)
def test_a_malformed_path_is_an_error_that_says_where(path, message):
    with pytest.raises(SelectorError, match=message):
        jsonpath.check(path)


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ('"@odata.nextLink"', ["N"]),
        ('$."@odata.nextLink"', ["N"]),
        ("$['@odata.nextLink']", ["N"]),
        ('"@odata".nextLink', ["other"]),
        ("@id", [7]),
        ('rows[?(@."@odata.type" == "x")].a', [1]),
        ('rows[?(@.a == "True")].a', []),
        ("rows[?(a == 1)].a", [1]),
    ],
)
def test_a_key_with_an_at_sign_or_a_dot_is_found_where_it_stands_in_quotes(path, found):
    document = {
        "@odata.nextLink": "N",
        "@odata": {"nextLink": "other"},
        "@id": 7,
        "rows": [{"@odata.type": "x", "a": 1}],
    }
    jsonpath.check(path)
    assert jsonpath.find(path, document) == found


@pytest.mark.parametrize(
    ("path", "many"),
    [
        ("a.b", False),
        ("a[0]", False),
        ("a[-1]", False),
        ("$", False),
        ("a.`this`", False),
        ("a.`sorted`", False),
        ("a.`len`", False),
        ("a.`split(-, 0, -1)`", False),
        ("a where b", False),
        ("a[*] where b", True),
        ("$.a[-1:].b", False),
        ("$.a[2:3]", False),
        ("$.a[-2:-1]", False),
        ("$.a[:1]", True),
        ("$.a[-2:]", True),
        ("$.a[0:2]", True),
        ("a[*]", True),
        ("a[*].b", True),
        ("$.a.*.b", True),
        ("a,b", True),
        ("$..b", True),
        ("a[?(@.b == 1)].c", True),
        ("a[?(@.b == 1)].c[*].d", True),
    ],
)
def test_it_is_known_by_its_grammar_whether_a_path_may_find_many(path, many):
    assert jsonpath.finds_list(path) is many


def test_a_path_with_several_indexes_may_find_many_if_the_release_of_jsonpath_ng_reads_it():
    with contextlib.suppress(SelectorError):
        jsonpath.check("a[0,1]")
        assert jsonpath.finds_list("a[0,1]")


@pytest.mark.parametrize(
    ("path", "document", "empty"),
    [
        ("a[*]", {"a": []}, True),
        ("a[*].b", {"a": []}, True),
        ("$[*]", [], True),
        ("a[*]", {"a": None}, False),
        ("a[*]", {}, False),
        ("a[*].b", {"a": [{"c": 1}]}, False),
        ("a[?(@.b == 1)]", {"a": [{"b": 2}]}, True),
        ("a[?(@.b == 1)]", {"a": {"b": 2}}, False),
        ("a[1:3]", {"a": [1]}, True),
        ("a[1:3]", {"a": 1}, False),
        ("a.b", {"a": []}, False),
    ],
)
def test_no_items_are_told_from_no_list(path, document, empty):
    assert jsonpath.finds_empty_list(path, document) is empty


def test_a_document_may_be_a_list():
    assert jsonpath.find("[1].id", [{"id": 7}, {"id": 8}]) == [8]


def test_a_plain_path_is_read_without_jsonpath_ng():
    assert parse_plain_path('$.a[0]."b c".d-e') == ("a", 0, "b c", "d-e")
    assert parse_plain_path("$.a[*]") == ("a", None)
    assert parse_plain_path("$.a[*].b[0]") == ("a", None, "b", 0)
    assert parse_plain_path("$.a[*].b[*]") is None


def test_the_items_of_a_list_are_found_in_a_list_of_their_own():
    document = {"jobs": [1, 2]}
    jsonpath.find("jobs[*]", document).append(3)
    assert document == {"jobs": [1, 2]}


NAMES = st.sampled_from(["a", "b", "a-b", "_x1", "where2", "Null"])
# "*" in quotes is every key to jsonpath-ng before 1.8, and the key "*" to us and to later ones.
QUOTED = (NAMES | st.text("ab .$[]*@{}'\"ü", min_size=1, max_size=4)).filter(lambda name: name != "*")
# Strings are left out, and errors count as nothing: jsonpath-ng before 1.8 indexes strings and can't index numbers.
DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES | QUOTED, inner, max_size=4),
)


@st.composite
def paths(draw):
    steps = []
    for _ in range(draw(st.integers(0, 4))):
        kind = draw(st.sampled_from(["name", "index", "quoted"]))
        if kind == "name":
            steps.append("." + draw(NAMES))
        elif kind == "index":
            steps.append(f"[{draw(st.integers(0, 3))}]")
        else:
            name = draw(QUOTED)
            quote = '"' if '"' not in name else "'"
            steps.append("." + quote + name.replace(quote, "") + quote if name.replace(quote, "") else ".a")
    if draw(st.booleans()):
        # No index after it: before 1.8 jsonpath-ng finds nothing at all if one item has none.
        steps += ["[*]", *(f".{name}" for name in draw(st.lists(NAMES, max_size=2)))]
    path = "".join(steps)
    return path.removeprefix(".") if path and draw(st.booleans()) else "$" + path


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


@pytest.mark.parametrize(
    ("path", "prefix", "selected"),
    [
        ("rows", ("rows",), [{"id": 1, "no": None, "tags": [2, 3]}]),
        ("$", (), [{"id": 1, "no": None, "tags": [2, 3]}]),
        ("$.a.rows[*]", ("a", "rows"), [{"id": 1, "no": None, "tags": [2, 3]}]),
        ("rows[*].id", ("rows",), [1]),
        ("rows[*].no", ("rows",), []),
        ("rows[?(@.id == 1)].tags[*]", ("rows",), [2, 3]),
        ("rows[?(@.id == 2)]", ("rows",), []),
    ],
)
def test_a_path_into_an_array_is_applied_to_its_items(path, prefix, selected):
    item = {"id": 1, "no": None, "tags": [2, 3]}
    found = jsonpath.split_at_array(path)
    assert found is not None
    assert (found.prefix, found.select(item)) == (prefix, selected)


@pytest.mark.parametrize("path", ["rows[0]", "rows[1:]", "$..id", "rows.`len`", "a|b", '$."a.b"'])
def test_other_paths_are_not_taken_apart(path):
    assert jsonpath.split_at_array(path) is None


def nested(depth, leaf=1):
    for _ in range(depth):
        leaf = {"a": leaf}
    return leaf


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
