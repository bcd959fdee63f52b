import pytest

from airflow_provider_asyncapi.core.errors import (
    ContentError,
    SelectorError,
)
from airflow_provider_asyncapi.core.http.messages import Headers, Response
from airflow_provider_asyncapi.core.selectors.selector import SelectorChain
from tests.unit.core.selectors.responses import ANSWER


def test_the_first_of_several_selectors_that_finds_something_counts():
    selection = SelectorChain.parse(["nothing", "null", "header:Location", "id"], "identifier")
    found = selection.find_first(ANSWER, {})
    assert found is not None
    assert (found[0].text, found[1]) == ("header:Location", "/jobs/7")
    assert selection.find_value(ANSWER, {}) == "/jobs/7"
    assert str(selection) == "'nothing' or 'null' or 'header:Location' or 'id'"


def test_a_selection_that_finds_nothing_gives_nothing():
    selection = SelectorChain.parse(("nothing", "null"), "identifier")
    assert selection.find_first(ANSWER, {}) is None
    assert selection.find_value(ANSWER, {}) is None


def test_an_unreadable_body_matters_only_where_nothing_else_finds_something():
    html = Response(201, Headers([("Location", "/7")]), b"<html>")
    assert SelectorChain.parse(["id", "header:Location"], "").find_value(html, {}) == "/7"
    with pytest.raises(ContentError, match="HTML page"):
        SelectorChain.parse(["id", "xpath://a", "header:X-None"], "").find_first(html, {})


@pytest.mark.parametrize("given_", [[], None, ()])
def test_at_least_one_selector_is_needed(given_):
    with pytest.raises(SelectorError, match="identifier: at least one selector is needed"):
        SelectorChain.parse(given_, "identifier")


def test_an_optional_selection_may_be_missing_but_not_malformed():
    assert SelectorChain.parse_optional(None, "x") is None
    assert SelectorChain.parse_optional("id", "x") == SelectorChain.parse("id", "x")
    with pytest.raises(SelectorError):
        SelectorChain.parse_optional("", "x")
