from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from airflow_provider_asyncapi.core.errors import SelectorError
from airflow_provider_asyncapi.core.http.xml_documents import parse_xml
from airflow_provider_asyncapi.core.selectors import xpath

JOB = etree.fromstring(b"""<uws:job xmlns:uws="urn:uws" xmlns:xlink="urn:xlink" version="1.1">
  <uws:jobId> j-1 </uws:jobId><uws:phase>COMPLETED</uws:phase><uws:empty/>
  <?pi some?>
  <uws:results><uws:result id="a" xlink:href="http://h/a"/><uws:result id="b" xlink:href="http://h/b"/></uws:results>
  <info xmlns="urn:info" xmlns:deep="urn:deep"><n>7</n><deep:m>a<deep:i>b</deep:i> c</deep:m></info>
</uws:job>""")


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("//uws:phase", ["COMPLETED"]),
        ("uws:jobId", ["j-1"]),
        ("/uws:job/@version", ["1.1"]),
        ("//uws:result/@xlink:href", ["http://h/a", "http://h/b"]),
        ("//uws:result[@id='b']/@xlink:href", ["http://h/b"]),
        ("//uws:phase/text()", ["COMPLETED"]),
        ("//deep:m", ["ab c"]),
        ("//default:n", ["7"]),
        ("//*[local-name()='n']", ["7"]),
        ("//uws:empty", [""]),
        ("child::uws:phase", ["COMPLETED"]),
        ("name(/*)", ["uws:job"]),
        ("string(//uws:nothing)", []),
        ("string(//uws:phase)", ["COMPLETED"]),
        ("count(//uws:result)", [2]),
        ("count(//uws:result) div 4", [0.5]),
        ("number(//uws:phase)", []),
        ("1 div 0", []),
        ("boolean(//uws:phase)", [True]),
        ("//uws:phase = 'QUEUED'", [False]),
        ("concat('a:b', \"c:d\")", ["a:bc:d"]),
        ("//uws:nothing", []),
        ("//wps:Status", []),
        ("//@xml:lang", []),
    ],
)
def test_a_path_finds_values_with_the_prefixes_of_the_document(path, found):
    xpath.check(path)
    assert xpath.find(path, JOB) == found


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("", "Invalid expression at character 0"),
        ("//a[", "Invalid expression at character 4 after 'xpath:'"),
        ("//a[1", "Invalid predicate at character 5"),
        ("//a['b]", "Unfinished literal at character 7"),
        ("a b", "Invalid expression at character 2"),
        ("upper-case(//a)", "XPath: Unregistered function"),
        ("$v", "XPath: Undefined variable"),
        ("count(1)", "XPath: Invalid type"),
        ("//a\x00", "XPath: "),
    ],
)
def test_a_malformed_path_is_an_error_that_says_where(path, message):
    with pytest.raises(SelectorError, match=message):
        xpath.check(path)


def test_a_mistake_that_only_a_document_shows_is_a_selector_error_too():
    with pytest.raises(SelectorError, match="Unregistered function"):
        xpath.find("//uws:phase[lower-case(.) = 'completed']", JOB)


@given(st.text(max_size=20) | st.text("ab:/[]()@*'\"=1.|$ ", max_size=15))
def test_any_text_is_a_path_or_a_selector_error(path):
    try:
        xpath.check(path)
        assert isinstance(xpath.find(path, JOB), list)
    except SelectorError:
        pass


def test_the_local_name_is_found_whatever_the_namespace():
    path = "local-name(//*[local-name()='Status']/*)"
    for text in (
        "<r><Status><ProcessSucceeded/></Status></r>",
        "<r xmlns='urn:wps'><Status><ProcessSucceeded/></Status></r>",
        "<w:r xmlns:w='urn:wps'><w:Status><w:ProcessSucceeded/></w:Status></w:r>",
    ):
        assert xpath.find(path, etree.fromstring(text)) == ["ProcessSucceeded"]


def test_an_element_that_is_declared_as_nil_is_null():
    root = etree.fromstring("<r xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance'><a xsi:nil='1'/><b/></r>")
    assert xpath.find("//a", root) == [None]
    assert xpath.find("//b", root) == [""]


def test_each_declaration_of_a_namespace_is_looked_at_once(monkeypatch):
    """An element's ``nsmap`` has all that hold there: 1,000 declarations above 20,000 elements are 20 million."""
    declarations = " ".join(f'xmlns:p{number}="urn:{number}"' for number in range(1000))
    root = parse_xml(f"<r {declarations}>{'<p7:a>x</p7:a>' * 1000}<b/></r>".encode(), "")
    looked_at: list[Any] = []
    walk = etree.iterwalk

    def walking(*args: Any, **given: Any) -> Iterator[Any]:
        for each in walk(*args, **given):
            looked_at.append(each)
            yield each

    monkeypatch.setattr("airflow_provider_asyncapi.core.selectors.xpath.etree.iterwalk", walking)
    assert xpath.find("//p7:a", root) == ["x"] * 1000
    assert xpath.find("//nowhere:a", root) == []
    assert 0 < len(looked_at) <= 2000


def test_processing_instructions_are_not_passed_over_one_by_one():
    root = parse_xml(b"<r>" + b"<?a b?>" * 1000 + b"<x>1</x></r>", "")
    assert len(root) == 1
    assert xpath.find("//x", root) == ["1"]


@pytest.mark.parametrize("path", ["//namespace::*", "count(//a/namespace :: *)", "//a[namespace::b]"])
def test_the_axis_of_namespaces_is_refused_for_its_work_grows_with_their_product(path):
    with pytest.raises(SelectorError, match="namespace::"):
        xpath.check(path)


@pytest.mark.parametrize("path", ["//a[.='namespace::']", "namespace-uri(//a)", "//namespace", "//namespace/child::b"])
def test_a_namespace_elsewhere_in_a_path_is_none_of_that_axis(path):
    xpath.check(path)


def test_no_function_of_exslt_searches_with_pythons_regular_expressions():
    root = parse_xml(b'<r xmlns:re="http://exslt.org/regular-expressions"><a>aaaa!</a></r>', "application/xml")
    with pytest.raises(SelectorError, match="XPath"):
        xpath.find("//a[re:test(., '(a+)+$')]", root)
