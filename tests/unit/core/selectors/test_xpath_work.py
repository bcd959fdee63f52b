from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from airflow_provider_asyncapi.core.errors import ContentError, SelectorError
from airflow_provider_asyncapi.core.selectors import xpath
from airflow_provider_asyncapi.core.selectors.xpath_work import estimate_work, keep_outermost
from tests.unit.recorded_calls import recorded


@pytest.mark.parametrize(
    ("path", "segments"),
    [
        ("/r/job[@id='7']/state", ["/r/job[@id='7']/state"]),
        ("//job", ["//job"]),
        ("//job[state='done' and not(@old)][last()]/@id", ["//job[state='done' and not(@old)][last()]/@id"]),
        ("string(//job)", ["string(//job)"]),
        ("substring-after(//href, '//')", ["substring-after(//href, '//')"]),
        ("count(//done) div count(//task)", ["count(//done) div count(//task)"]),
        ("//a * //b", ["//a * //b"]),
        ("count(//a) > 3", ["count(//a) > 3"]),
        ("3 < count(//a)", ["3 < count(//a)"]),
        ("/r/child::a/attribute::id", ["/r/child::a/attribute::id"]),
        ("//jobs//job", ["//jobs", "//job"]),
        ("//*//b", ["//*", "//b"]),
        ("//div//and", ["//div", "//and"]),
        (".//a//b", [".", "//a", "//b"]),
        ("(//a)[1]//b", ["(//a)[1]", "//b"]),
        ("//a[b='//']//c[d]/e//@f", ["//a[b='//']", "//c[d]/e", "//@f"]),
    ],
)
def test_a_path_of_linear_time_is_read_in_any_document_part_by_part(path, segments):
    work = estimate_work(path)
    assert (list(work.segments), work.power) == (segments, 1)


@pytest.mark.parametrize(
    ("path", "power"),
    [
        ("//a | //b", 2),
        ("/r/a | /r/b", 2),
        ("//a = //b", 2),
        ("count(//a//b)", 2),
        ("//a/..", 2),
        ("../a", 2),
        ("//a/ancestor::b", 2),
        ("//a//b + //c", 2),
        ("//a//b/..", 2),
        ("//a[../b]", 2),
        ("//a[../b][../c]", 2),
        ("//a[.//b]", 2),
        ("//a[//b]", 2),
        ("//a[/r/b = 1]", 2),
        ("//a[b = c]", 2),
        ("//a[following::b]", 2),
        ("//a[.//b//c]", 3),
        ("//a[b[.//c]]", 3),
        ("//a[b[../c]]", 3),
        ("//a[b[.//c//d]]", 4),
        ("//a | //b[c[.//d]]", 3),
    ],
)
def test_of_other_paths_it_is_known_how_their_time_grows_with_the_document(path, power):
    assert estimate_work(path).power == power


def document(markup):
    return etree.fromstring(markup)


FLAT = document("<r>" + "<a i='1'/>" * 100 + "</r>")
DEEP = document("<a>" * 100 + "</a>" * 100)


@pytest.mark.parametrize(
    ("root", "path", "enough"),
    # Elements and attributes, to the power less one, times their depths, by eight (by 128 for cubes); the square root.
    [(FLAT, "//a | //b", 803), (FLAT, "//a[b[../c]]", 45_538), (DEEP, "//a | //b", 2010), (DEEP, "//a/..", 2010)],
)
def test_a_document_that_is_too_large_for_a_path_is_refused(root, path, enough):
    xpath.find(path, root, max_values=enough)
    xpath.find(path, root)
    with pytest.raises(
        ContentError, match=r"the XML has too many elements and attributes .* for a selector that visits"
    ):
        xpath.find(path, root, max_values=enough - 2)


def test_no_more_elements_are_counted_than_it_takes_to_refuse_the_document():
    with pytest.raises(ContentError, match=r"\(the first 9 are too many\)"):
        xpath.find("//a | //b", FLAT, max_values=32)


@pytest.mark.parametrize("path", ["//a", "//a//a//b", "/r/a[last()]", "count(//a)"])
def test_a_path_of_linear_time_is_not_refused(path):
    xpath.find(path, FLAT, max_values=10)


def test_to_go_on_from_many_elements_is_left_to_libxml2_for_each_of_the_outermost(monkeypatch):
    asked: list[Any] = []
    compiled = etree.XPath

    def compile_path(*given: Any, **more: Any) -> Any:
        return recorded(compiled(*given, **more), asked, lambda node: node.tag)

    monkeypatch.setattr("airflow_provider_asyncapi.core.selectors.xpath.etree.XPath", compile_path)
    assert (
        len(xpath.find("//outer//inner", document("<r>" + "<outer><outer><inner/></outer></outer>" * 50 + "</r>")))
        == 50
    )
    assert asked == ["r"] + ["outer"] * 50


def test_the_outermost_of_some_elements_are_those_that_are_in_no_other():
    root = document("<r><a i='1'><b><a i='2'/></b></a><b><a i='3'><a i='4'/></a></b></r>")
    assert [element.get("i") for element in keep_outermost(list(root.iter("a")))] == ["1", "3"]


@pytest.mark.parametrize(
    ("root", "enough"),
    [
        # Of each tag four characters, and the text, once for each element around it.
        (document("<a>" * 10 + "x" * 100 + "</a>" * 10), (4 * 55 + 10 * 100) // 256),
        (document("<a>" * 60 + "</a>" * 60), 4 * 60 * 61 // 2 // 256),
        (document("<r>" + "<a>x</a>" * 200 + "</r>"), 5 * 200 // 256),
    ],
)
def test_elements_are_read_as_often_as_they_are_found_in_others_only_up_to_a_limit(root, enough):
    xpath.find("//a", root, max_values=enough + 1)
    with pytest.raises(ContentError, match="too many nested elements for a selector that finds all of them"):
        xpath.find("//a", root, max_values=enough)


def test_as_many_attributes_and_texts_are_read_as_there_are():
    assert xpath.find("//@i", FLAT, max_values=1) == ["1"] * 100


TREES = st.recursive(
    st.sampled_from(["<a/>", "<b/>", "<c>1</c>", "<a i='1'>x</a>"]),
    lambda inner: st.tuples(st.sampled_from("abc"), st.lists(inner, max_size=4)).map(
        lambda parts: f"<{parts[0]}>{''.join(parts[1])}</{parts[0]}>"
    ),
    max_leaves=20,
)


@settings(deadline=None)
@given(
    TREES,
    st.sampled_from(
        [
            "//a//b",
            "//a//a//a",
            "//a//b[1]",
            "//a//b[last()]/c",
            "//*//*[c]//c",
            "//a/b//c/text()",
            "//b//@i",
            ".//a//b",
            "(//a)[2]//b",
            "/r//a//c",
            "//@i//a",
            "//text()//a",
            "//a//b//..",
            "//a//b/../..//c",
            "//b//c/ancestor::a",
            "//a//.",
        ]
    ),
)
def test_part_by_part_a_path_finds_what_libxml2_finds(tree, path):
    root = document(f"<r>{tree}</r>")

    def key(node):
        return node if isinstance(node, etree._Element) else str(node)

    found = xpath._evaluate_segments(estimate_work(path).segments, (), root)
    assert [key(node) for node in found] == [key(node) for node in etree.XPath(path)(root)]


@given(st.text(st.sampled_from("ab/.[]()|=@:* '1,<-$"), max_size=12))
def test_any_path_that_libxml2_takes_has_parts_that_it_takes(path):
    try:
        xpath.check(path)
    except SelectorError:
        return
    xpath.find(path, FLAT)
