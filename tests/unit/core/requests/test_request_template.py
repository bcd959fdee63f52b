import datetime as dt

import pytest

from airflow_provider_asyncapi.core.errors import ConfigurationError, UnknownVariableError, UnsafeValueError
from airflow_provider_asyncapi.core.requests.request_template import (
    SUBREQUESTS,
    RequestTemplate,
    find_secret,
    refuse_secrets,
)

BASE = "https://api.example.com/v1"
ACCEPT = ("Accept", "application/json, */*;q=0.8")


def render(variables=None, **given):
    return RequestTemplate.parse(given, "status request").render(variables or {}, BASE).with_default_headers()


def test_nothing_given_is_a_get_of_the_connections_url():
    request = render()
    assert (request.method, request.url, request.headers, request.body) == ("GET", BASE, (ACCEPT,), None)


@pytest.mark.parametrize(
    ("given", "default", "method"),
    [({}, None, "GET"), ({"data": "x"}, None, "POST"), ({"method": "put"}, "POST", "PUT"), ({}, "POST", "POST")],
)
def test_the_method_is_the_given_one_or_the_default_or_follows_from_the_body(given, default, method):
    assert RequestTemplate.parse(given, "", method=default).method == method


def test_parameters_extend_the_query():
    query_params = {"a": "{x}", "b": [1, True], "none": None, "d": dt.date(2026, 1, 2), "ü": "&"}
    assert render({"x": "y z"}, query_params=query_params).url == BASE + "?a=y+z&b=1&b=true&d=2026-01-02&%C3%BC=%26"
    assert render(endpoint="/j?q=1", query_params={"a": 1}).url == BASE + "/j?q=1&a=1"
    assert render(endpoint="/j?q=1", query_params={}).url == BASE + "/j?q=1"


def test_headers_are_rendered_and_an_accept_of_the_author_counts():
    request = render({"id": 7}, headers={"X-Id": "{id}", "accept": "text/csv", "X-None": None, "X-N": 1})
    assert request.headers == (("X-Id", "7"), ("accept", "text/csv"), ("X-N", "1"))


@pytest.mark.parametrize("name", ["Content-Length", "transfer-encoding"])
def test_headers_that_say_how_long_a_body_is_are_refused(name):
    with pytest.raises(ConfigurationError, match=f"the header '{name}' is set by the HTTP client"):
        render(headers={name: "7"})


def test_a_content_type_that_cannot_be_that_of_files_is_refused():
    refused = r"headers\['Content-Type'\]: 'application/json' can't be the Content-Type of files"
    with pytest.raises(ConfigurationError, match=refused):
        render(files={"a": "b"}, headers={"content-type": "application/json"})


def test_a_content_type_of_the_author_counts_except_for_multipart():
    assert dict(render(json={}, headers={"content-type": "application/ld+json"}).headers) == {
        "content-type": "application/ld+json",
        "Accept": ACCEPT[1],
    }
    assert dict(render(json={}).headers)["Content-Type"] == "application/json"
    headers = dict(render(files={"a": "b"}, headers={"content-type": "multipart/form-data"}).headers)
    assert headers["Content-Type"].startswith("multipart/form-data; boundary=")
    assert "content-type" not in headers


def test_all_names_are_known_before_anything_is_sent():
    template = RequestTemplate.parse(
        {"endpoint": "/{a}/{+b}", "query_params": {"p": ["{c}"]}, "headers": {"h": "{d}"}, "json": {"k": {"x": "{e}"}}},
        "",
    )
    assert template.find_variables() == {"a", "b", "c", "d", "e"}
    assert RequestTemplate.parse({"files": {"f": "{a}"}, "data": {"x": "{b}"}}, "").find_variables() == {"a", "b"}
    assert RequestTemplate().find_variables() == set()


@pytest.mark.parametrize(
    "given", [{"endpoint": "/{nope}"}, {"query_params": {"p": "{nope}"}}, {"headers": {"h": "{nope}"}}]
)
def test_an_unknown_name_is_an_error_outside_of_the_body(given):
    with pytest.raises(UnknownVariableError, match=r"the variable \{nope\} isn't set; known: \{identifier\}"):
        render({"identifier": 1}, **given)


def test_a_value_with_a_line_break_cannot_add_a_header():
    with pytest.raises(UnsafeValueError, match=r"headers\['X'\]: the variable \{x\} holds a line break"):
        render({"x": "a\r\nY: b"}, headers={"X": "{x}"})
    with pytest.raises(ConfigurationError, match="the header 'X' holds a line break"):
        render(headers={"X": "a\nb"})
    with pytest.raises(ConfigurationError, match="headers: 'X Y' can't be the name of a header"):
        render(headers={"X Y": "a"})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"url": "/x"}, "cancel: unknown key 'url'; a request has method, endpoint, .*, files, rules"),
        ({1: 2, "b": 3}, "cancel: unknown key 1"),
        ({"method": "FETCH"}, "cancel: method 'FETCH' isn't one of GET, POST"),
        ({"method": 7}, "cancel: method 7 isn't"),
        ({"endpoint": 7}, "cancel: endpoint has to be a string, not int"),
        ({"query_params": "a=1"}, "cancel: query_params has to be a mapping, not str"),
        ({"headers": []}, "cancel: headers has to be a mapping, not list"),
        ({"json": {}, "data": ""}, "cancel: only one body is possible"),
    ],
)
def test_a_wrong_request_is_an_error_that_names_the_key(given, message):
    with pytest.raises(ConfigurationError, match=message):
        RequestTemplate.parse(given, "cancel", also=("rules",))


def test_keys_that_the_caller_reads_itself_are_allowed():
    assert RequestTemplate.parse({"endpoint": "/x", "rules": []}, "", also=("rules",)).endpoint == "/x"


def test_query_parameters_have_the_name_that_operators_give_them_too():
    assert RequestTemplate.parse({"query_params": {"a": 1}}, "cancel").query_params == {"a": 1}
    with pytest.raises(ConfigurationError, match="cancel: params: is called query_params here"):
        RequestTemplate.parse({"params": {"b": 2}}, "cancel")
    with pytest.raises(ConfigurationError, match=r"query_params\['a'\]: the variable \{x\} isn't set"):
        RequestTemplate.parse({"query_params": {"a": "{x}"}}, "cancel").render({}, "https://api.example.com")


@pytest.mark.parametrize(
    ("request_", "found"),
    [
        ({"headers": {"X-API-Key": "abc"}}, "headers: 'X-API-Key'"),
        ({"query_params": {"token": "abc"}}, "query_params: 'token'"),
        ({"json": [{"deep": {"password": "abc"}}]}, "json: 'password'"),
        ({"headers": {"X-API-Key": "{connection.key}"}, "json": {"token": "{{ jinja }}", "tokens": 5}}, None),
        ({"endpoint": "/token/abc", "headers": "X"}, None),
    ],
)
def test_a_text_under_a_telling_name_looks_like_a_secret(request_, found):
    assert find_secret(request_) == found


def test_a_wait_with_what_looks_like_a_secret_is_refused_with_where_it_belongs():
    refuse_secrets({"headers": {"Accept": "text/csv"}, "cancel": "{{ made }}"})
    with pytest.raises(ConfigurationError, match=r"^cancel\.headers: 'Authorization' looks like a secret.*connection"):
        refuse_secrets({"cancel": {"headers": {"Authorization": "Bearer abc"}}})


@pytest.mark.parametrize("name", SUBREQUESTS)
def test_a_secret_is_found_in_each_further_request(name: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"{name}\.headers: 'Authorization' looks like a secret"):
        refuse_secrets({name: [{"headers": {"Authorization": "Bearer abc"}}]})
