import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_asyncapi.core.errors import ConfigurationError, ContentError, SelectorError, UnsafeValueError
from airflow_provider_asyncapi.core.fetch.paging.cursor import Cursor
from airflow_provider_asyncapi.core.fetch.paging.next_link import NextLink, find_next_link
from airflow_provider_asyncapi.core.fetch.paging.numbered import Numbered
from airflow_provider_asyncapi.core.fetch.paging.registry import (
    assumed_page_variables,
    choose_paging,
    explain_page_variable,
    text_parameters,
)
from airflow_provider_asyncapi.core.http.messages import Headers, Response

URL = "https://api.example.com/v1/rows?page=1"


def page(body=b"{}", **headers):
    return Response(200, Headers(headers.items()), body, url=URL)


def parse(given, names=None):
    return choose_paging(given).parse(given, names)


def pointer(response, **given):
    return parse(given).next_pointer(response, {"id": "7"})


def numbers(variables, **given):
    paging = parse(given)
    count = paging.count_pages(variables)
    return None if count is None else [paging.make_position(index).number for index in range(count)]


@pytest.mark.parametrize(
    ("given", "names", "way"),
    [
        ({}, {"page"}, Numbered),
        ({"pages": 3}, {"page", "limit"}, Numbered),
        ({"page_size": 10}, {"offset"}, Numbered),
        ({"pages": "{pages}", "page_size": 10}, {"offset"}, Numbered),
        ({"next_page": "links.next"}, set(), NextLink),
        ({"cursor": "next", "page_size": 10}, {"cursor"}, Cursor),
        ({}, None, Numbered),
    ],
)
def test_what_is_given_says_how_the_pages_are_found(given, names, way):
    assert type(parse(given, names)) is way


@pytest.mark.parametrize(
    ("given", "names", "message"),
    [
        ({}, {"identifier"}, r"has to name \{page\} or \{offset\} .* for numbered pages"),
        ({"cursor": "next"}, {"page"}, r"has to name \{cursor\} .* for cursor pages"),
        ({"pages": 2}, {"offset"}, r"page_size: is missing; if the pages are counted, \{offset\} is computed from it"),
        ({"pages": 2, "last_page": 2}, None, "pages and last_page: are different ways of paging; set only one"),
        ({"next_page": "n", "cursor": "c"}, None, "next_page and cursor: are different ways"),
        ({"first_page": -1}, None, "first_page: has to be a whole number of at least 0, not -1"),
        ({"page_step": 0}, None, "page_step: has to be a whole number of at least 1"),
        ({"page_size": True}, None, "page_size: has to be a whole number"),
        ({"max_pages": "9"}, None, "max_pages: has to be a whole number"),
    ],
)
def test_what_can_not_be_meant_is_an_error(given, names, message):
    with pytest.raises(ConfigurationError, match=message):
        parse(given, names)


def test_a_malformed_pointer_is_an_error_that_names_the_parameter():
    with pytest.raises(SelectorError, match="next_page: malformed selector"):
        parse({"next_page": "a[["})


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"pages": 3}, [1, 2, 3]),
        ({"pages": "{pages}"}, [1, 2, 3, 4]),
        ({"pages": "{text}", "first_page": 0}, [0, 1]),
        ({"pages": 3, "first_page": 0, "page_step": 50}, [0, 50, 100]),
        ({"pages": 0}, []),
        ({"pages": 2.0}, [1, 2]),
        ({"last_page": "{pages}"}, [1, 2, 3, 4]),
        ({"last_page": 3, "first_page": 0}, [0, 1, 2, 3]),
        ({"last_page": 10, "first_page": 0, "page_step": 4}, [0, 4, 8]),
        ({"last_page": 0}, []),
        ({"last_page": 0, "first_page": 9, "page_step": 2}, []),
        ({}, None),
    ],
)
def test_known_pages_have_numbers(given, expected):
    assert numbers({"pages": 4, "text": "2"}, **given) == expected


@pytest.mark.parametrize(
    ("pages", "shown"),
    [
        ("{nothing}", r"'\{nothing\}' can't be a number of pages; known variables: \{list\}, \{null\}"),
        ("{null}", "'null'"),
        ("{list}", r"'\[1,2\]'"),
        ("many", "'many'"),
        (2.5, r"'2\.5'"),
        (-1, "'-1'"),
        (True, "'true'"),
        (float("inf"), "'Infinity'"),
    ],
)
def test_a_number_of_pages_has_to_be_one(pages, shown):
    with pytest.raises(ConfigurationError, match=f"pages: {shown}"):
        numbers({"null": None, "list": [1, 2]}, pages=pages)


@pytest.mark.parametrize("given", [{"pages": 11}, {"last_page": 10, "first_page": 0}, {"pages": 10**30}])
def test_too_many_pages_are_an_error(given):
    with pytest.raises(ConfigurationError, match=r"pages: \d+ pages are more than max_pages \(10\)"):
        numbers({}, **given, max_pages=10)


@pytest.mark.parametrize(
    ("link", "found"),
    [
        ('<https://x/2>; rel="next"', "https://x/2"),
        ("</rows?page=2>; rel=next", "https://api.example.com/rows?page=2"),
        ("<?page=2>;rel=next", "https://api.example.com/v1/rows?page=2"),
        ('<https://x/1>; rel="prev", <https://x/3>; rel="next", <https://x/9>; rel="last"', "https://x/3"),
        ('<https://x/1>; title="a, <b>; rel=next"; rel=prev, <https://x/3>; rel="NEXT last"', "https://x/3"),
        (r'<https://x/1>; title="\"; rel=next"; rel=prev, <https://x/3>; REL = next', "https://x/3"),
        ("<https://x/a,b>; rel=next", "https://x/a,b"),
        ('<https://x/1>; rel="next-archive"', None),
        ("<https://x/1>; anchor; rel=prev", None),
        ("<https://x/1>", None),
        ("", None),
    ],
)
def test_the_next_link_is_found_in_a_link_header(link, found):
    assert pointer(page(link=link), next_page="header:Link") == found


def test_a_page_without_a_link_header_is_the_last():
    assert pointer(page(), next_page="header: link") is None


@given(st.text(alphabet='<>;,="\\ relnxt', max_size=60))
def test_no_link_header_is_too_odd(header):
    assert find_next_link(header) is None or "<" in header


def test_a_quote_that_is_not_closed_takes_the_rest_of_a_link_header():
    assert find_next_link('<a>; rel=next; title="b') == "a"
    assert find_next_link('<a>; title="b, <c>; rel=next') is None
    # Looking at the rest once for each quote would take minutes.
    assert find_next_link('<>"' + '<>\\"' * 100_000) is None


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b'{"links": {"next": "https://x/2"}}', "https://x/2"),
        (b'{"links": {"next": "/rows/2"}}', "https://api.example.com/rows/2"),
        (b'{"links": {"next": "rows?after=a%20b"}}', "https://api.example.com/v1/rows?after=a%20b"),
        (b'{"links": {"next": null}}', None),
        (b'{"links": {"next": ""}}', None),
        (b'{"links": {"next": false}}', None),
        (b'{"links": {}}', None),
    ],
)
def test_a_body_may_hold_the_next_link(body, found):
    assert pointer(page(body), next_page="links.next") == found


@pytest.mark.parametrize(
    ("body", "found"),
    [(b'{"n": "a=="}', "a=="), (b'{"n": 7}', 7), (b'{"n": ""}', None), (b'{"n": false}', None), (b"{}", None)],
)
def test_a_cursor_keeps_its_type(body, found):
    assert pointer(page(body), cursor="n") == found


def test_a_header_that_holds_the_link_alone_is_taken_as_it_is():
    assert pointer(page(**{"X-Next": "/2"}), next_page="header:X-Next") == "https://api.example.com/2"


@pytest.mark.parametrize("link", ["https://h/a?", "https://h/a;?x=1", "HTTPS://h//x/./y?z=%3d", "https://h/a/../b?s=x"])
def test_a_next_page_is_asked_for_byte_by_byte(link):
    assert pointer(page(link=f'<{link}>; rel="next"'), next_page="header:Link") == link


def test_a_link_that_is_none_is_an_error():
    with pytest.raises(UnsafeValueError, match=r"next_page: 'https://\[x/' is no URL"):
        pointer(page(b'{"n": "https://[x/"}'), next_page="n")


def test_a_page_that_can_not_be_read_is_an_error():
    with pytest.raises(ContentError):
        pointer(page(b"<html>"), cursor="n")


def test_the_first_selector_that_finds_a_cursor_counts():
    assert pointer(page(b'{"n": 1}'), cursor=["a", "n"]) == 1


def test_the_lists_for_checks_before_rendering_come_from_all_ways_of_paging():
    assert text_parameters() == ("pages", "last_page")
    assert assumed_page_variables() == ("page", "cursor")


@pytest.mark.parametrize(
    ("variable", "explanation"),
    [
        ("offset", "only requests for numbered pages have it (output_type='pages')"),
        ("cursor", "only requests for cursor pages have it (set cursor)"),
        ("limit", "only requests for pages have it, if page_size is set"),
        ("identifier", None),
    ],
)
def test_a_message_can_explain_which_requests_have_a_variable_of_pages(variable, explanation):
    assert explain_page_variable(variable) == explanation
