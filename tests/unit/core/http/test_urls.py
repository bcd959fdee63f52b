from __future__ import annotations

import json
import re
from urllib.parse import urljoin, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_asyncapi.core.errors import UnsafeValueError
from airflow_provider_asyncapi.core.fetch.paging.next_link import NextLink
from airflow_provider_asyncapi.core.http.messages import Response
from airflow_provider_asyncapi.core.http.urls import AmbiguousUrlError, resolve
from airflow_provider_asyncapi.core.templates import render_url

BASE = "http://api.example.com/v1/jobs"
#: Browsers are led to evil.example by each, and urljoin, or RFC 3986, somewhere else.
AMBIGUOUS = {
    "http:\\\\evil.example/x": "has a backslash where a host would begin",
    "HTTP:\\/evil.example/x": "has a backslash where a host would begin",
    "http:/\\evil.example/x": "has a backslash where a host would begin",
    "\\\\evil.example/x": "has a backslash where a host would begin",
    "/\\evil.example/x": "has a backslash where a host would begin",
    "//evil.example\\@api.example.com/": "has a backslash where a host would begin",
    "https://evil.example\\.api.example.com/": "has a backslash where a host would begin",
    "http:/evil.example/x": "has not two slashes where a host would begin",
    "https:evil.example/x": "has not two slashes where a host would begin",
    "http:///evil.example/x": "has not two slashes where a host would begin",
    "///evil.example/x": "has not two slashes where a host would begin",
    "/\t/evil.example/x": "holds a control character",
    "ht\ntp://evil.example/x": "holds a control character",
    "\0//evil.example/x": "holds a control character",
    "https://evil.example\x7f/x": "holds a control character",
}


@pytest.mark.parametrize(("reference", "why"), AMBIGUOUS.items())
def test_a_reference_in_which_readers_find_different_hosts_is_refused(reference, why):
    with pytest.raises(AmbiguousUrlError, match=f"^{why}$"):
        resolve(BASE, reference)


@pytest.mark.parametrize(("reference", "why"), AMBIGUOUS.items())
def test_the_error_says_where_the_reference_stands_and_what_is_wrong(reference, why):
    body = json.dumps({"next": reference}).encode()
    with pytest.raises(UnsafeValueError, match=rf"^next_page: '.*' is no URL: it {why}$"):
        NextLink.parse({"next_page": "next"}, None).next_pointer(Response(200, body=body, url=BASE), {})
    if why != "holds a control character":
        with pytest.raises(UnsafeValueError, match=rf"^endpoint .*: isn't a valid URL: it {why}; \{{url\}} holds '"):
            render_url("{url}", {"url": reference}, BASE)


def test_a_reference_that_an_endpoint_continues_is_no_path_segment():
    with pytest.raises(UnsafeValueError, match="has a backslash where a host would begin"):
        render_url("{url}/rows", {"url": "http:\\\\evil.example"}, BASE)


@pytest.mark.parametrize(
    ("reference", "url"),
    [
        ("https://other.example/a\\b?c=\\d", "https://other.example/a\\b?c=\\d"),
        ("/a\\b", "http://api.example.com/a\\b"),
        ("a//b", "http://api.example.com/v1/a//b"),
        ("/a//b?", "http://api.example.com/a//b?"),
        ("//other.example//a/../b", "http://other.example//b"),
        ("7:8", "http://api.example.com/v1/7:8"),
        ("ftp://a/b", "ftp://a/b"),
        (" /a b\r\n", "http://api.example.com/a%20b"),
        ("//other.example/x", "http://other.example/x"),
        ("https://other.example//x///y", "https://other.example//x///y"),
        ("?x=http:/y\\", f"{BASE}?x=http:/y\\"),
        ("", BASE),
    ],
)
def test_a_backslash_or_slashes_elsewhere_stay_as_they_are(reference, url):
    assert resolve(BASE, reference) == url


@pytest.mark.parametrize(
    ("reference", "url"),
    [
        # RFC 3986, sections 5.4.1 and 5.4.2; without fragments, which aren't sent.
        ("g:h", "g:h"),
        ("g", "http://a/b/c/g"),
        ("./g", "http://a/b/c/g"),
        ("g/", "http://a/b/c/g/"),
        ("/g", "http://a/g"),
        ("//g", "http://g"),
        ("?y", "http://a/b/c/d;p?y"),
        ("g?y", "http://a/b/c/g?y"),
        ("#s", "http://a/b/c/d;p?q"),
        ("g#s", "http://a/b/c/g"),
        ("g?y#s", "http://a/b/c/g?y"),
        (";x", "http://a/b/c/;x"),
        ("g;x", "http://a/b/c/g;x"),
        ("", "http://a/b/c/d;p?q"),
        (".", "http://a/b/c/"),
        ("./", "http://a/b/c/"),
        ("..", "http://a/b/"),
        ("../", "http://a/b/"),
        ("../g", "http://a/b/g"),
        ("../..", "http://a/"),
        ("../../", "http://a/"),
        ("../../g", "http://a/g"),
        ("../../../g", "http://a/g"),
        ("/./g", "http://a/g"),
        ("/../g", "http://a/g"),
        ("g.", "http://a/b/c/g."),
        ("..g", "http://a/b/c/..g"),
        ("./../g", "http://a/b/g"),
        ("./g/.", "http://a/b/c/g/"),
        ("g/./h", "http://a/b/c/g/h"),
        ("g/../h", "http://a/b/c/h"),
        ("g;x=1/../y", "http://a/b/c/y"),
        ("g?y/../x", "http://a/b/c/g?y/../x"),
    ],
)
def test_the_examples_of_the_rfc_are_resolved_as_it_says(reference, url):
    assert resolve("http://a/b/c/d;p?q", reference) == url


@given(st.text("ab./?=%:", max_size=12))
def test_a_relative_reference_is_resolved_as_urljoin_does_if_it_has_no_empty_part(reference):
    empty = "//" in reference or reference.endswith("?") or reference.startswith(":")
    if not empty and not re.match("[ab.]*:", reference):
        assert resolve(BASE, reference) == urljoin(BASE, reference)


def test_a_reference_is_resolved_against_a_server_without_a_path():
    assert resolve("http://h", "a/../b") == "http://h/b"
    assert resolve("http://h?x", "?y") == "http://h?y"


@given(st.text("htps:/\\@.?#x \t\n\0", max_size=12))
def test_no_reference_without_a_host_of_its_own_leads_to_another_host(reference):
    try:
        url = resolve(BASE, reference)
    except ValueError:
        return
    if not reference.strip().lower().startswith(("http://", "https://", "//")) and url.startswith("http"):
        assert urlsplit(url).netloc == "api.example.com"
