import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from airflow_provider_asyncapi.core.errors import SelectorError
from airflow_provider_asyncapi.core.selectors import xpath
from airflow_provider_asyncapi.core.selectors.xpath_results import finds_list


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/job",
        "/*",
        "/child::job/@id",
        "/job/attribute::x:id",
        "/job/..",
        "/job/parent::node()/self::job",
        "@id",
        ".",
        "job[1]/phase[last()]",
        "job[position() = 2]",
        "job[last() - 1]/@id",
        "job[@id = '7'][1]",
        "ancestor::job[1]",
        "(//job)[1]",
        "(//job)[1]/phase[1]",
        "(/job)",
        "string(//job)",
        "count(//job[a or b])",
        "local-name(//*[local-name() = 'Status']/*)",
        "substring-after(//href, '/jobs/')",
        "count(//a) div 2",
        "count(//a) * 2",
        "//a = '7'",
        "//a | //b = '7'",
        "1",
        "'text'",
    ],
)
def test_a_path_that_may_find_one_value_only_is_known(path):
    xpath.check(path)
    assert not finds_list(path)


@pytest.mark.parametrize(
    "path",
    [
        "//job",
        "job",
        "*",
        "/job/phase",
        "/job/text()",
        "/node()",
        "/descendant::job",
        "/job/@*",
        "/job/@x:*",
        "/job/@node()",
        "//job[1]",
        "//job[@id = '7']",
        "job[count(//a) = 1]",
        "job['1']",
        "(//job)",
        "(//job)[@id]",
        "(//job)[1]//phase",
        "(//job)[1]/phase",
        "/job | /job",
        "id('a')",
        "text()",
        "processing-instruction('a')",
    ],
)
def test_a_path_that_may_find_several_values_is_known(path):
    xpath.check(path)
    assert finds_list(path)


STEPS = st.builds(
    "{}{}{}".format,
    st.sampled_from(
        ["a", "b", "*", "@a", "@*", ".", "..", "text()", "node()", "self::a", "descendant::b", "ancestor::a"]
    ),
    st.sampled_from(["", "", "[1]", "[last()]", "[a]", "[position()=1]", "[a or 1]", "[@a='1']", "[2 > 1]"]),
    st.sampled_from(["", "", "[1]"]),
)
PATHS = st.builds(
    "{}{}{}".format,
    st.sampled_from(["", "/", "//", "(//a)/", "(//a)[1]/", "(//a | //b)[1]/"]),
    st.lists(STEPS, min_size=1, max_size=3).map("/".join),
    st.sampled_from(["", "", " | //a", " = 1", " + 1", "//b", " * 2"]),
)
ELEMENTS = st.recursive(
    st.just("<b/>"),
    lambda inner: st.builds(
        "<{0} a='1' b='2'>x{1}y</{0}>".format, st.sampled_from("ab"), st.lists(inner, max_size=3).map("".join)
    ),
    max_leaves=8,
)


@given(PATHS, ELEMENTS)
def test_what_may_find_one_value_only_finds_no_more_in_any_document(path, document):
    try:
        xpath.check(path)
    except SelectorError:
        return
    if not finds_list(path):
        assert len(xpath.find(path, etree.fromstring(document))) <= 1
