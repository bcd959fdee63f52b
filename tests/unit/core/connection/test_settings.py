import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_asyncapi.core.auth.registry import collect_extra_keys
from airflow_provider_asyncapi.core.connection.api import Api
from airflow_provider_asyncapi.core.connection.settings import ConnectionSettings
from airflow_provider_asyncapi.core.errors import ConfigurationError, UnsafeValueError
from airflow_provider_asyncapi.core.http.messages import Request

SECRET = "geheimnis"
LOGIN = {"auth": "login", "login_request": {"endpoint": "/login"}, "login_selector": "token"}


def parse(**fields):
    return ConnectionSettings.parse({"host": "api.example.com", **fields})


@pytest.mark.parametrize(
    ("fields", "url"),
    [
        ({"host": "api.example.com"}, "https://api.example.com"),
        ({"host": " api.example.com/v1 "}, "https://api.example.com/v1"),
        ({"host": "api.example.com/v1//"}, "https://api.example.com/v1/"),
        ({"host": "api.example.com/"}, "https://api.example.com"),
        ({"host": "api.example.com", "schema": "http", "port": 8080}, "http://api.example.com:8080"),
        ({"host": "http://api.example.com:8080/v1", "schema": "https"}, "http://api.example.com:8080/v1"),
        ({"host": "http://api.example.com:8080/v1", "port": 8080}, "http://api.example.com:8080/v1"),
        ({"host": "http://api.example.com:8080/v1", "port": 0}, "http://api.example.com:8080/v1"),
        ({"host": "HTTPS://API.example.com"}, "https://api.example.com"),
        ({"host": "https://[::1]:8443/x"}, "https://[::1]:8443/x"),
        ({"host": "h", "port": 0}, "https://h"),
        ({"host": "h", "port": "443"}, "https://h:443"),
    ],
)
def test_the_base_url_is_made_of_host_schema_and_port(fields, url):
    assert ConnectionSettings.parse(fields).base_url == url


def test_what_is_left_out_takes_its_default():
    settings = parse(verify="", connect_timeout=None, headers="", trusted_hosts="", proxy="", profile="")
    assert settings == ConnectionSettings("https://api.example.com")
    assert settings.auth.apply is not None
    assert settings.requests_per_second is None


def test_every_field_is_read():
    settings = parse(
        login="u",
        password=SECRET,
        headers='{"X-Org": 7, "X-On": true}',
        variables={"org": "o-1"},
        verify="False",
        ca_cert="/ca.pem",
        client_cert="/c.pem",
        client_key="/k.pem",
        proxy="http://u:pw@proxy:3128",
        connect_timeout="2.5",
        read_timeout=30,
        connections_per_host=5,
        requests_per_second=1.5,
        trusted_hosts="CDN.example.com, h:8443\n[::1]:9",
        profile="celigo",
        test_endpoint="/ping",
    )
    assert settings.auth.headers["Authorization"].startswith("Basic ")
    assert settings.headers == {"X-Org": "7", "X-On": "true"}
    assert settings.variables == {"connection.login": "u", "connection.password": SECRET, "connection.org": "o-1"}
    assert (settings.verify, settings.ca_cert, settings.client_cert, settings.client_key) == (
        False,
        "/ca.pem",
        "/c.pem",
        "/k.pem",
    )
    assert (settings.connect_timeout, settings.read_timeout) == (2.5, 30.0)
    assert (settings.connections_per_host, settings.requests_per_second) == (5, 1.5)
    assert settings.trusted_hosts == {"cdn.example.com", "h:8443", "[::1]:9"}
    assert (settings.proxy, settings.profile, settings.test_endpoint) == ("http://u:pw@proxy:3128", "celigo", "/ping")
    assert SECRET not in repr(settings)
    assert "pw@" not in repr(settings)


@pytest.mark.parametrize(
    ("given_", "verify"), [(True, True), (False, False), ("true", True), ("FALSE", False), (None, True)]
)
def test_certificates_are_checked_unless_it_says_false(given_, verify):
    assert parse(verify=given_).verify is verify


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"host": ""}, "host is empty; set it to the API's address"),
        ({"host": None}, "host is empty"),
        ({"host": "ftp://h"}, "host has to be an http or https address, not ftp://…"),
        ({"host": "https://"}, "host has to be an http or https address"),
        ({"host": "my host"}, "host has to be an http or https address"),
        ({"host": "https://[::1"}, "host isn't the address of a server, such as https://"),
        ({"host": f"https://u:{SECRET}"}, "host isn't the address of a server"),
        ({"host": "h:99999"}, "host isn't the address of a server"),
        ({"host": f"https://u:{SECRET}@h"}, "host may hold a path, but no user, password, query or fragment"),
        ({"host": f"https://h?key={SECRET}"}, "host may hold a path"),
        ({"host": 7}, "host has to be text, not int"),
        ({"port": "web"}, "port has to be a number from 1 to 65535, not 'web'"),
        ({"port": 70000}, "port has to be a number from 1 to 65535, not 70000"),
        ({**LOGIN, "login_cache": "disk"}, "login_cache has to be 'host' or 'process', not 'disk'"),
        ({"host": "h:8080", "port": 9}, "host has the port 8080, and the field port has 9; leave one out, or make"),
        (
            {"auth": "bearer", "password": SECRET, "headers": {"authorization": "x"}},
            "the header 'authorization' is in headers or secret_headers, and auth 'bearer' sends it too",
        ),
        (
            {"auth": "api_key", "password": SECRET, "secret_headers": {"x-api-key": SECRET}},
            "the header 'x-api-key' is in headers or secret_headers, and auth 'api_key' sends it too",
        ),
        (
            {"headers": {"Content-Length": 7}},
            "headers: the header 'Content-Length' is set by the HTTP client",
        ),
        (
            {"oauth2_url": "/token"},
            "oauth2_url is for auth 'oauth2' or 'oauth2_password' or .*, and auth is 'none'; set auth",
        ),
        (
            {"refresh_when": {"selector": "a", "in": 1}},
            "refresh_when is for auth 'oauth2' or 'oauth2_password' or .* or 'login', and auth is",
        ),
        ({"login": "u", "login_request": {"endpoint": "/x"}}, "login_request is for auth 'login', and auth is 'basic'"),
        ({"headers": {"X-K": "a"}, "secret_headers": {"x-k": SECRET}}, "'x-k' is in both headers and secret_headers"),
        ({"variables": {"k": "a"}, "secrets": {"k": SECRET}}, "'k' is in both variables and secrets"),
        (
            {"api_key": SECRET},
            "unknown key 'api_key' in extra; known are allowed_hosts, auth, .* Put headers into 'headers'",
        ),
        ({7: SECRET, "b": 1}, "unknown key 7 in extra"),
        (
            {"auth": "kerberos"},
            "auth: 'kerberos' isn't one of none, basic, bearer, api_key, digest, oauth2, oauth2_password,",
        ),
        ({"auth": ["basic"]}, "auth has to be text, not list"),
        (
            {"password": SECRET},
            "there is a password, but no authentication that uses it; set auth to one of basic, bearer",
        ),
        ({"auth": "none", "password": SECRET}, "there is a password, but no auth"),
        ({"auth": "basic", "password": SECRET}, "auth 'basic' needs login"),
        (
            {"auth": "bearer", "password": f"{SECRET}\nX: y"},
            "auth: the header 'Authorization' holds a line break",
        ),
        ({"auth": "api_key", "password": SECRET, "key_name": "a b"}, "auth: 'a b' can't be the name"),
        ({"headers": {"X": f"{SECRET}\r\nY: z"}}, "headers: the header 'X' holds a line break"),
        ({"headers": [SECRET]}, "headers has to be a JSON object, not list"),
        ({"headers": f'{{"X": {SECRET}}}'}, "headers isn't JSON"),
        ({"variables": SECRET}, "variables isn't JSON"),
        ({"client_key": "/k.pem"}, "client_key needs client_cert"),
        ({"verify": "maybe"}, "verify has to be true or false, not 'maybe'"),
        ({"verify": 1}, "verify has to be true or false, not 1"),
        ({"proxy": f"socks5://u:{SECRET}@p"}, "proxy has to be the http or https URL of a proxy"),
        ({"proxy": f"http://u:{SECRET}@[p"}, "proxy has to be the http or https URL"),
        ({"proxy": "http://"}, "proxy has to be"),
        ({"connect_timeout": 0}, "connect_timeout has to be a number above 0, not 0"),
        ({"read_timeout": "long"}, "read_timeout has to be a number above 0, not 'long'"),
        ({"connections_per_host": 0.5}, "connections_per_host has to be a number of at least 1, not 0.5"),
        ({"requests_per_second": -1}, "requests_per_second has to be a number above 0, not -1"),
        (
            {"trusted_hosts": "https://cdn.example.com/"},
            "trusted_hosts has to be a list of host names, .* 'https://cdn.example.com/' isn't one",
        ),
        ({"trusted_hosts": ["*.example.com"]}, "trusted_hosts has to be"),
        ({"trusted_hosts": [7]}, "trusted_hosts has to be"),
        ({"allowed_hosts": ["*"]}, "allowed_hosts has to be"),
        ({"allowed_hosts": ["a.*.example.com"]}, "allowed_hosts has to be"),
        ({"other_hosts": "few"}, "other_hosts has to be one of any, listed, none, not 'few'"),
        ({"other_hosts": "none", "allowed_hosts": "h"}, "other_hosts is 'none', but trusted_hosts or allowed_hosts"),
    ],
)
def test_a_wrong_connection_is_an_error_that_names_the_field_and_shows_no_secret(fields, message):
    with pytest.raises(ConfigurationError, match=message) as caught:
        ConnectionSettings.parse({"host": "api.example.com", **fields})
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "trusted"),
    [
        ("https://api.example.com/x", True),
        ("https://API.example.com:443/x", True),
        ("http://api.example.com/x", False),
        ("https://api.example.com:8443/x", False),
        ("https://example.com/x", False),
        ("https://api.example.com.evil.com/", False),
        ("https://api.example.com@evil.com/", False),
        ("https://cdn.example.com/x", True),
        ("https://cdn.example.com:443/x", True),
        ("https://cdn.example.com:444/x", False),
        ("https://[::1]/x", True),
        ("https://[::1]:444/x", False),
        ("https://[::2]:444/x", True),
        ("http://cdn.example.com/x", False),
        ("https://other.example.com:8443/x", True),
        ("https://other.example.com/x", False),
    ],
)
def test_only_the_own_origin_and_trusted_hosts_may_see_the_credentials(url, trusted):
    assert parse(trusted_hosts="cdn.example.com, other.example.com:8443, [::1], [::2]:444").trusts(url) is trusted


def test_a_trusted_host_may_have_the_connections_own_port():
    settings = parse(port=8443, trusted_hosts="cdn.example.com")
    assert [settings.trusts(f"https://cdn.example.com{port}/") for port in ("", ":8443", ":8444")] == [
        True,
        True,
        False,
    ]


@pytest.mark.parametrize("other_hosts", ["none", "listed", "any"])
def test_what_the_connection_names_may_always_be_asked(other_hosts):
    listed = {"trusted_hosts": "cdn.example.com", "allowed_hosts": "*.s3.example.com, h:8443"}
    settings = parse(
        auth="oauth2",
        login="u",
        password=SECRET,
        oauth2_url="https://{connection.tenant}.login.example.com:99/token",
        variables={"tenant": "acme"},
        other_hosts=other_hosts,
        **({} if other_hosts == "none" else listed),
    )
    named = ["https://api.example.com/x", "http://api.example.com/x", "https://acme.login.example.com:99/"]
    if other_hosts != "none":
        named += [
            "https://cdn.example.com/",
            "https://a.s3.example.com/",
            "https://a.b.s3.example.com/",
            "https://h:8443",
        ]
    for url in named:
        settings.check_host(Request("GET", url))


@pytest.mark.parametrize(
    "url",
    [
        "https://other.example.com/",
        "https://api.example.com:8443/",
        "https://api.example.com.evil.com/",
        "https://s3.example.com/",
        "https://as3.example.com/",
        "https://a.s3.example.com:8443/",
        "https://h/",
    ],
)
def test_other_hosts_can_be_forbidden(url):
    request = Request("GET", url)
    with pytest.raises(UnsafeValueError, match=r"other_hosts is 'listed'; list the host in allowed_hosts if"):
        parse(other_hosts="listed", allowed_hosts="*.s3.example.com, h:8443").check_host(request)
    with pytest.raises(UnsafeValueError, match=r"other_hosts is 'none'; change that if requests may go there"):
        parse(other_hosts="none").check_host(request)
    parse().check_host(request)


@pytest.mark.parametrize(
    "url", ["http://169.254.169.254/latest/", "https://[fe80::1]/", "http://[::ffff:169.254.1.1]/"]
)
def test_link_local_addresses_are_refused_unless_the_connection_names_them(url):
    request = Request("GET", url)
    for fields in ({}, {"other_hosts": "listed"}, {"other_hosts": "none"}):
        with pytest.raises(UnsafeValueError, match=r"not sent, since"):
            parse(**fields).check_host(request)
    parse(allowed_hosts="169.254.169.254, [fe80::1], ::ffff:169.254.1.1").check_host(request)


def test_a_plain_http_api_may_trust_a_plain_http_host():
    settings = parse(schema="http", trusted_hosts="cdn.example.com")
    assert settings.trusts("http://cdn.example.com/x")
    with pytest.raises(UnsafeValueError):
        settings.trusts("http://[x/")


def test_everything_that_is_secret_is_known():
    settings = parse(
        auth="basic",
        login="user",
        password=SECRET,
        headers={"X-Org-Id": "org-id-1", "Accept": "application/json"},
        variables={"nested": {"a": ["deep-1"]}, "n": 7},
        proxy="http://u:p%40w@proxy",
    )
    pair = base64.b64encode(f"user:{SECRET}".encode()).decode()
    assert settings.secrets() == {SECRET, "org-id-1", "deep-1", "p%40w", "p@w", f"Basic {pair}", pair}
    assert parse(proxy="http://proxy").secrets() == set()


def test_what_stands_under_a_harmless_name_in_the_connection_is_shown_by_airflow():
    settings = parse(
        headers={"X-Org-Id": "org-1", "X-Api-Key": SECRET},
        secret_headers={"X-Org": "org-2"},
        variables={"nested": {"a": ["deep-1"]}, "token": SECRET},
        secrets={"own": "s-1"},
    )
    assert settings.visible_values == {"org-1", "deep-1"}
    assert settings.secrets() - settings.visible_values == {SECRET, "org-2", "s-1"}


def test_the_key_of_an_api_key_is_secret_and_the_template_of_a_token_is_not():
    assert SECRET in parse(auth="api_key", password=SECRET, key_in="query").secrets()
    login = parse(auth="login", login_request={"endpoint": "/l"}, login_selector="t")
    assert login.secrets() == set()


def test_an_api_is_a_connection_with_a_clock_and_dice():
    api = Api.from_settings(
        parse(auth="bearer", password=SECRET), clock=lambda: 5.0, rng=lambda: 0.5, make_nonce=lambda: "n"
    )
    assert api.redact(f"Bearer {SECRET}!") == "***!"
    assert (api.clock(), api.rng()) == (5.0, 0.5)
    assert api.scope == {"connection.password": SECRET}


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["basic", "oauth2", "login", "{}", "http://h"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=5,
)
NAMES = st.sampled_from([*sorted(collect_extra_keys()), "host", "port", "schema", "login", "password"])


@given(st.dictionaries(NAMES, VALUES, max_size=8))
def test_any_rubbish_is_a_connection_or_a_configuration_error(fields):
    try:
        settings = ConnectionSettings.parse(fields)
    except ConfigurationError:
        return
    assert settings.base_url.startswith(("http://", "https://"))
    assert isinstance(settings.secrets(), set)


def test_secret_headers_and_secrets_are_used_as_the_others_are():
    settings = parse(headers={"X-A": "1"}, secret_headers={"X-B": SECRET}, variables={"c": "d"}, secrets={"k": SECRET})
    assert settings.headers == {"X-A": "1", "X-B": SECRET}
    assert settings.variables == {"connection.c": "d", "connection.k": SECRET}


def test_what_is_said_of_callbacks_is_read_and_their_keys_are_secret():
    described = '{"signature": {"header": "X-Signature"}, "identifier": "id"}'
    settings = parse(callback=described, callback_secret=f'["next-key", "{SECRET}"]')
    assert settings.callback.signature.header == "X-Signature"
    assert settings.secrets() == {"next-key", SECRET}
    assert SECRET not in repr(settings)
