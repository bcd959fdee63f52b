from __future__ import annotations

import pytest

from airflow_provider_asyncapi.core.errors import UnsafeValueError
from airflow_provider_asyncapi.transports.fast_path.head import encode_head

OWN = b"User-Agent: airflow-provider-asyncapi\r\nAccept-Encoding: gzip, deflate\r\n"


@pytest.mark.parametrize(
    ("url", "line", "host"),
    [
        ("https://api.example.com/a?b=c", b"GET /a?b=c", b"api.example.com"),
        ("https://api.example.com:443/", b"GET /", b"api.example.com"),
        ("https://api.example.com:80/", b"GET /", b"api.example.com:80"),
        ("http://[::1]:8080//a", b"GET //a", b"[::1]:8080"),
    ],
)
def test_the_first_lines_say_what_is_asked_of_whom(url, line, host):
    assert encode_head("GET", url, (), None) == line + b" HTTP/1.1\r\n" + OWN + b"Host: " + host + b"\r\n\r\n"


def test_a_proxy_is_told_the_whole_url():
    assert encode_head("GET", "http://a/b", (), None, to_proxy=True).startswith(b"GET http://a/b HTTP/1.1\r\n")


@pytest.mark.parametrize(
    ("method", "body", "length"),
    [("POST", b"abc", b"3"), ("POST", None, b"0"), ("GET", b"ab", b"2"), ("GET", None, None)],
)
def test_the_length_of_the_body_is_said_where_one_is_expected(method, body, length):
    head = encode_head(method, "http://a/", (), body)
    assert (b"Content-Length: " + length in head) if length else (b"Content-Length" not in head)


def test_the_callers_headers_go_before_ours_each_once():
    head = encode_head(
        "GET", "http://a/", (("Accept", "x"), ("accept", "y"), ("USER-AGENT", "own"), ("host", "b")), None
    )
    assert head.splitlines()[1:-1] == [b"USER-AGENT: own", b"Accept-Encoding: gzip, deflate", b"host: b", b"accept: y"]


@pytest.mark.parametrize("text", ["a\r\nInjected: 1", "a\nb", "a\rb"])
def test_a_header_can_not_begin_another(text):
    with pytest.raises(UnsafeValueError, match="line break"):
        encode_head("GET", "http://a/", (("X-A", text),), None)
