import contextlib

import pytest

from airflow_provider_asyncapi.core.errors import SelectorError
from airflow_provider_asyncapi.core.selectors import jsonpath
from airflow_provider_asyncapi.core.selectors.plain_paths import parse_plain_path
from tests.unit.core.selectors.documents import DOCUMENT


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
