"""What the registries of selectors add to their kinds; what the kinds find is in test_selection.py."""

from __future__ import annotations

import pytest

from airflow_provider_asyncapi.core.errors import SelectorError
from airflow_provider_asyncapi.core.http.messages import Headers, Response
from airflow_provider_asyncapi.core.selectors.elements import read_text
from airflow_provider_asyncapi.core.selectors.registry import SELECTOR_KINDS, SELECTOR_SUFFIXES, split_selector
from airflow_provider_asyncapi.core.selectors.selector import Selector, SelectorChain
from airflow_provider_asyncapi.core.selectors.syntax import SelectorKind, SelectorSuffix, Source
from tests.unit.installed_kinds import register_kind

ANSWER = Response(202, Headers([("x-steps", "queued,running")]), b'{"id": 7}')


class Words(SelectorKind):
    name, summary, examples = "words", "the words of a header", ("words:X-Steps",)
    source = Source.HEADERS

    def find(self, path, response, read_element):
        return response.headers[path].split(",")


class Length(SelectorSuffix):
    name, summary, examples = "length", "the length of a text", ("status length:",)

    def find(self, path, value, max_values):
        return [len(value)]


def test_a_kind_is_known_from_its_registration_until_it_is_removed():
    with pytest.raises(SelectorError, match="no kind of selector begins with 'words:'"):
        Selector.parse("words:x-steps", "status")
    with register_kind(SELECTOR_KINDS, Words()):
        selection = SelectorChain.parse("words:x-steps", "status")
        assert selection.find_value(ANSWER, {}) == ["queued", "running"]
        assert (selection.reads_headers, selection.needs_body) == (True, False)
    assert not isinstance(split_selector("words:x-steps").kind, Words)


def test_a_suffix_is_known_from_its_registration():
    with register_kind(SELECTOR_SUFFIXES, Length()):
        assert Selector.parse("header:X-Steps length:", "status").find_value(ANSWER, {}) == 14
        assert Selector.parse("header:X-Steps regex:,(.*) length:", "status").find_value(ANSWER, {}) is None


@pytest.mark.parametrize("text", ["data.id", "status_code", "header:Location", "xpath://a"])
def test_a_kind_that_declares_no_more_finds_one_value_takes_words_and_is_never_empty(text):
    kind, suffix = Words(), Length()
    for syntax in (kind, suffix):
        syntax.check(text)
        assert syntax.sample_variable("", "") == "x"
        assert syntax.quote_variable("a.b", "", "") is None
        assert not syntax.finds_list(text)
    assert kind.split_at_array(text) is None
    assert not kind.finds_empty_list(text, ANSWER)
    assert not suffix.finds_empty_list(text, ANSWER, None)


def test_how_a_kind_finds_values_has_to_be_written():
    with pytest.raises(NotImplementedError):
        SelectorKind().find("", ANSWER, read_text)
    with pytest.raises(NotImplementedError):
        SelectorSuffix().find("", "", None)


def test_a_selector_that_begins_like_an_unknown_kind_is_told_which_kinds_there_are():
    known = "xpath:, header:, status_code, response_text, response_url, and JSONPath without a prefix"
    with pytest.raises(
        SelectorError, match=rf"'cookie:a': no kind of selector begins with 'cookie:'; known are {known}"
    ):
        Selector.parse("cookie:a", "identifier")


def test_each_kind_describes_itself():
    for kind in (*SELECTOR_KINDS.values(), *SELECTOR_SUFFIXES.values()):
        assert kind.summary
        for example in kind.examples:
            parts = split_selector(Selector.parse(example, "").text)
            assert kind in (parts.kind, *(suffix for suffix, _ in parts.suffixes))
