from __future__ import annotations

import pytest
from lxml import etree

from airflow_provider_asyncapi.core.selectors import elements


def read(markup: str):
    return elements.read_object(etree.fromstring(markup))


@pytest.mark.parametrize(
    ("markup", "value"),
    [
        ("<a> some text\n</a>", "some text"),
        ("<a/>", ""),
        ("<a><b>1</b><c/></a>", {"b": "1", "c": ""}),
        ("<a>\n  <b>1</b>\n</a>", {"b": "1"}),
        ("<a><b>1</b><c>x</c><b>2</b><b>3</b></a>", {"b": ["1", "2", "3"], "c": "x"}),
        ("<a><b><c>1</c></b></a>", {"b": {"c": "1"}}),
        ('<a id="1" name=""/>', {"@id": "1", "@name": ""}),
        ('<a unit="EUR"> 5 </a>', {"@unit": "EUR", "#text": "5"}),
        ('<a b="1"><b>2</b></a>', {"@b": "1", "b": "2"}),
        ("<p>Go <b>on</b> and on</p>", {"b": "on", "#text": "Go  and on"}),
        ("<a><?pi some?><b>1</b><?pi more?> x</a>", {"b": "1", "#text": "x"}),
        ('<v:a xmlns:v="urn:v"><v:b>1</v:b><b>2</b></v:a>', {"v:b": "1", "b": "2"}),
        ('<a xmlns="urn:d"><b>1</b></a>', {"b": "1"}),
        ('<a xmlns:x="urn:x" xml:lang="de" x:href="h">t</a>', {"@xml:lang": "de", "@x:href": "h", "#text": "t"}),
        ('<a xmlns:x="urn:x" xmlns="urn:x" x:b="1"/>', {"@x:b": "1"}),
    ],
)
def test_an_element_is_its_text_or_an_object_of_what_it_has(markup, value):
    assert read(markup) == value


@pytest.mark.parametrize("nil", ["true", "1"])
def test_what_is_declared_as_nil_is_null(nil):
    schema = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
    assert read(f'<a {schema}><b xsi:nil="{nil}"/><b xsi:nil="false">1</b></a>') == {"b": [None, "1"]}


def test_a_declared_type_makes_no_object_of_a_text():
    schema = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
    assert read(f'<a {schema} xsi:type="xsd:string">1</a>') == "1"


def test_prefixes_of_attributes_are_read_without_all_declarations_of_each_element():
    class Element(etree.ElementBase):
        @property
        def nsmap(self):
            raise AssertionError("has all declarations that hold at the element")

    parser = etree.XMLParser()
    parser.set_element_class_lookup(etree.ElementDefaultClassLookup(element=Element))
    root = etree.fromstring('<r xmlns:a="u:a" xmlns:b="u:b"><x b:i="1" a:i="2" b:j="3" xml:lang="en"/></r>', parser)
    assert elements.read_object(root) == {"x": {"@b:i": "1", "@a:i": "2", "@b:j": "3", "@xml:lang": "en"}}


def test_each_of_many_attributes_has_its_prefix():
    attributes = " ".join(f'xmlns:n{number}="u:{number}" n{number}:a="1"' for number in range(40))
    found = elements.read_object(etree.fromstring(f'<x xml:lang="en" {attributes}/>'))
    assert found == {"@xml:lang": "en"} | {f"@n{number}:a": "1" for number in range(40)}


def test_markup_stands_on_its_own():
    root = etree.fromstring('<v:a xmlns:v="urn:v"><v:b x="1">t</v:b> tail</v:a>')
    assert elements.read_markup(root[0]) == '<v:b xmlns:v="urn:v" x="1">t</v:b>'
