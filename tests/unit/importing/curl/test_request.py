"""A cURL command is read as the request that cURL would send, without sending it, and without reading a file."""

import pytest

from airflow_provider_asyncapi.core.errors import ConfigurationError
from airflow_provider_asyncapi.importing.curl.request import Credentials, read_curl_commands


def read(text, **values):
    (request,) = read_curl_commands(text, values)
    return request


def test_a_json_request_with_a_token():
    request = read(
        """curl --location -sS -XPOST 'https://api.example.com:8443/v1/exports?dry=1&dry=2#top' \\
          -H 'Content-Type: application/json' --header "Authorization: Bearer $TOKEN" -H 'X-Org: 7' -H 'Accept: */*' \\
          -d '{"table": "orders", "n": [1, {"x": true}]}' --compressed -o out.json""",
        TOKEN="t-1",
    )
    assert (request.method, request.origin, request.path) == ("POST", "https://api.example.com:8443", "/v1/exports")
    assert request.query == (("dry", "1"), ("dry", "2"))
    assert request.headers == {"X-Org": "7"}
    assert request.body == {"json": {"table": "orders", "n": [1, {"x": True}]}}
    assert request.credentials == Credentials("bearer", password="t-1")
    assert request.notices == ()
    assert "t-1" not in repr(request)


@pytest.mark.parametrize(
    ("options", "body", "headers"),
    [
        ("-d a=1 -d 'b=x+y%26' -d b=2", {"data": {"a": "1", "b": ["x y&", "2"]}}, {}),
        (
            "--data-urlencode 'q=a&b c' --data-urlencode x",
            {"data": "q=a%26b%20c&x"},
            {"Content-Type": "application/x-www-form-urlencoded"},
        ),
        ("--data-urlencode 'q=a&b c'", {"data": {"q": "a&b c"}}, {}),
        ("--json '{\"a\":' --json '1}'", {"json": {"a": 1}}, {}),
        ("-d '{\"a\": 1}'", {"json": {"a": 1}}, {}),
        (
            "-d '{\"a\": null}' -H 'content-type: application/json'",
            {"data": '{"a": null}'},
            {"Content-Type": "application/json"},
        ),
        (
            "-d '{\"a\": 1}' -H 'content-type: application/vnd.x+json'",
            {"json": {"a": 1}},
            {"Content-Type": "application/vnd.x+json"},
        ),
        ("-d '<a/>' -H 'content-type: text/xml'", {"data": "<a/>"}, {"Content-Type": "text/xml"}),
        ("--data-raw @here -H 'content-type: text/plain'", {"data": "@here"}, {"Content-Type": "text/plain"}),
        ("-d @rows.csv -H 'content-type: text/csv'", {"body": {"path": "rows.csv", "content_type": "text/csv"}}, {}),
        ("--json @q.json", {"body": {"path": "q.json", "content_type": "application/json"}}, {}),
        (
            "-F kind=csv -F 'file=@\"a b.csv\";type=text/csv;filename=x.csv' -F n=1 -F n=2",
            {
                "files": {"file": {"path": "a b.csv", "content_type": "text/csv", "filename": "x.csv"}},
                "data": {"kind": "csv", "n": ["1", "2"]},
            },
            {},
        ),
        ("--form-string 'a=@b;type=c'", {"files": {}, "data": {"a": "@b;type=c"}}, {}),
    ],
)
def test_bodies(options, body, headers):
    request = read(f"curl {options} https://h/x")
    assert (request.method, request.body, request.headers) == ("POST", body, headers)


@pytest.mark.parametrize(
    ("options", "method"),
    [("", "GET"), ("-I", "HEAD"), ("-X delete", "DELETE"), ("-T f", "PUT"), ("-d ''", "POST"), ("-G -d a=1", "GET")],
)
def test_methods(options, method):
    assert read(f"curl {options} https://h/x").method == method


def test_data_becomes_the_query_with_get():
    request = read("curl -G https://h/x?z=0 -d a=1 --data-urlencode 'b=c d' --url-query e=2")
    assert sorted(request.query) == [("a", "1"), ("b", "c d"), ("e", "2"), ("z", "0")]
    assert request.body == {}


@pytest.mark.parametrize(
    ("options", "credentials"),
    [
        ("-u me:pass:word https://h", Credentials("basic", "me", "pass:word")),
        ("--digest -u me:word https://h", Credentials("digest", "me", "word")),
        ("https://me:word@h", Credentials("basic", "me", "word")),
        ("-H 'authorization: basic bWU6d29yZA==' https://h", Credentials("basic", "me", "word")),
        ("--oauth2-bearer t https://h", Credentials("bearer", None, "t")),
        ("-H 'Authorization: Basic not/base' https://h", None),
    ],
)
def test_credentials(options, credentials):
    assert read(f"curl {options}").credentials == credentials


def test_another_scheme_stays_a_header_and_cookies_become_one():
    request = read("curl -H 'Authorization: Token abc' -b 'sid=1; a=2' https://h")
    assert request.headers == {"Authorization": "Token abc", "Cookie": "sid=1; a=2"}


def test_settings_of_the_connection():
    request = read("curl -k --cacert ca.pem -E me.pem --key k.pem -x proxy:3128 -m 30 --connect-timeout 2.5 h/x")
    assert request.settings == {
        "verify": False,
        "ca_cert": "ca.pem",
        "client_cert": "me.pem",
        "client_key": "k.pem",
        "proxy": "http://proxy:3128",
        "read_timeout": 30,
        "connect_timeout": 2.5,
    }
    assert (request.origin, request.path) == ("http://h", "/x")


def test_headers_of_a_browser_are_left_out_and_named():
    request = read(
        "curl https://h -A x -H 'sec-fetch-mode: cors' -H 'Accept-Language: de' -H 'Referer: https://h/page'"
        " -H 'Empty;'"
    )
    assert request.headers == {"Referer": "https://h/page"}
    assert request.notices == (
        "the header User-Agent is left out",
        "the header sec-fetch-mode is left out",
        "the header Accept-Language is left out",
    )


def test_values_replace_variables_however_they_are_written():
    request = read("curl \"https://h/$A\"'/{B}'/<c d>", A="1", B="2", c_d="3")
    assert request.path == "/1/2/3"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("wget https://h", "line 1, column 1: begins with 'wget', not with curl"),
        ("curl -s", "line 1, column 1: has no URL"),
        ("curl https://h https://i", "line 1, column 16: is a second URL"),
        ("curl ftp://h", "line 1, column 6: isn't the URL of a host"),
        ("curl 'https://[h'", "line 1, column 6: the URL isn't one"),
        ("curl https://h -X FLY", "line 1, column 19: 'FLY' isn't a method"),
        ("curl https://h --dta x", "line 1, column 16: unknown option --dta; did you mean --data?"),
        ("curl https://h -y", "line 1, column 16: unknown option -y"),
        ("curl https://h -H", "line 1, column 16: --header lacks its value"),
        ("curl https://h --aws-sigv4 x", "line 1, column 16: --aws-sigv4 can't be carried over; sign requests with"),
        ("curl https://h -K x", "line 1, column 16: --config can't be carried over"),
        ("curl https://h -b jar.txt", "line 1, column 19: names a file of cookies"),
        ("curl https://h -d @a -d b=1", "line 1, column 25: a body is either a file or text"),
        ("curl https://h -d @a -d @b", "line 1, column 25: only one file"),
        ("curl https://h -d @-", "line 1, column 19: the standard input isn't sent"),
        ("curl https://h --data-urlencode a@f", "line 1, column 33: a file in --data-urlencode"),
        ("curl https://h -F x", "line 1, column 19: -F has to be name=value"),
        ("curl https://h -F 'x=<f'", "line 1, column 19: a field with the text of a file"),
        ("curl https://h -m soon", "line 1, column 19: --max-time isn't a number"),
        ("curl https://h -H 'a b: c'", "line 1, column 19: 'a b' can't be the name of a header"),
    ],
)
def test_what_cannot_be_carried_over_is_an_error_with_its_place(text, message):
    with pytest.raises(ConfigurationError) as raised:
        read_curl_commands(text)
    assert str(raised.value).startswith(f"cURL command: {message}")
