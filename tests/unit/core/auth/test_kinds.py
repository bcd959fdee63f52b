import base64
from urllib.parse import parse_qsl

import pytest

from airflow_provider_asyncapi.core.auth.bearer import BearerAuth
from airflow_provider_asyncapi.core.auth.registry import AUTH_KINDS
from airflow_provider_asyncapi.core.auth.tokens import Token
from airflow_provider_asyncapi.core.errors import ConfigurationError, SelectorError
from airflow_provider_asyncapi.core.http.messages import Request

REQUEST = Request("GET", "https://h/jobs", (("Accept", "a"), ("authorization", "of the task")), b"x")
SECRET = "geheimnis"
LOGIN = {
    "login_request": '{"endpoint": "/login", "json": {"user": "{connection.login}"}}',
    "login_selector": "data.token",
}


def auth(kind, **fields):
    return AUTH_KINDS[kind].parse(fields)


def test_no_authentication_leaves_the_request_alone():
    assert auth("none").apply(REQUEST, None) == REQUEST


def test_basic_credentials_replace_a_header_of_the_same_name():
    signed = auth("basic", login="üser", password="p:w").apply(REQUEST, None)
    expected = "Basic " + base64.b64encode("üser:p:w".encode()).decode()
    assert signed.headers == (("Accept", "a"), ("Authorization", expected))
    assert (signed.method, signed.url, signed.body) == ("GET", "https://h/jobs", b"x")


def test_a_basic_password_may_be_empty():
    assert auth("basic", login="u").headers == {"Authorization": "Basic dTo="}


def test_a_bearer_token_is_sent_as_it_is():
    assert auth("bearer", password=SECRET).headers == {"Authorization": f"Bearer {SECRET}"}


def test_an_api_key_is_sent_in_a_header_or_the_query():
    assert auth("api_key", password=SECRET).headers == {"X-API-Key": SECRET}
    assert auth("api_key", password=SECRET, key_name="X-K", key_in="header").headers == {"X-K": SECRET}
    in_query = auth("api_key", password="a&b", key_name="key", key_in="query")
    assert in_query.apply(REQUEST, None).url == "https://h/jobs?key=a%26b"
    assert in_query.apply(Request("GET", "https://h/?a=1"), None).url == "https://h/?a=1&key=a%26b"
    assert in_query.apply(REQUEST, None).headers == REQUEST.headers
    assert list(in_query.query_names) == ["key"]
    assert not auth("digest", login="u").query_names


def test_a_token_request_may_be_a_get_with_its_parameters_in_the_query():
    fields = {"login": "id", "password": SECRET, "oauth2_url": "/token", "oauth2_method": "get", "scope": "jobs"}
    request = auth("oauth2", **fields).token_source.request.render({}, "https://h")
    assert (request.method, request.url, request.body) == (
        "GET",
        "https://h/token?grant_type=client_credentials&scope=jobs",
        None,
    )
    assert "Content-Type" not in dict(request.headers)
    variables = {"connection.login": "id", "connection.password": SECRET}
    in_query = auth("oauth2", **fields, client_auth="body").token_source.request.render(variables, "https://h")
    assert in_query.url.endswith(f"&client_id=id&client_secret={SECRET}")
    assert SECRET not in str(in_query)


@pytest.mark.parametrize("name", ["login_request", "refresh_request"])
def test_a_login_request_may_be_authenticated_with_basic(name):
    fields = {"login_request": {"endpoint": "/login"}, "login_selector": "token", "login": "ann", "password": SECRET}
    asked = {"endpoint": "/t", "method": "POST", "auth": "basic", "headers": {"X": "1"}}
    made = auth("login", **{**fields, name: asked})
    request = made.token_source.request if name == "login_request" else made.token_source.refresh
    pair = base64.b64encode(f"ann:{SECRET}".encode()).decode()
    assert request.headers == {"X": "1", "Authorization": f"Basic {pair}"}
    assert SECRET not in repr(made)
    with pytest.raises(ConfigurationError, match="auth can only be 'basic', not 'bearer'"):
        auth("login", **{**fields, name: {"endpoint": "/t", "auth": "bearer"}})
    with pytest.raises(ConfigurationError, match=rf"needs login \(the user name that the {name} sends\)"):
        auth("login", **{**fields, "login": "", name: {"endpoint": "/t", "auth": "basic"}})


def test_client_credentials_are_sent_in_a_header_or_the_body():
    fields = {
        "login": "id",
        "password": "se cret",
        "oauth2_url": "https://id/token",
        "scope": "jobs",
        "oauth2_params": '{"audience": "x"}',
    }
    made = auth("oauth2", **fields)
    request = made.token_source.request.render({}, "https://h")
    assert (request.method, request.url) == ("POST", "https://id/token")
    assert request.body == b"grant_type=client_credentials&scope=jobs&audience=x"
    assert made.token_source.headers == {"Authorization": "Basic " + base64.b64encode(b"id:se+cret").decode()}
    in_body = auth("oauth2", **fields, client_auth="body")
    variables = {"connection.login": "id", "connection.password": "se {cret}"}
    body = in_body.token_source.request.render(variables, "https://h")
    assert body.body.endswith(b"&client_id=id&client_secret=se+%7Bcret%7D")
    assert in_body.token_source.headers == {}
    assert made.apply(REQUEST, Token("tok")).headers[-1] == ("Authorization", "Bearer tok")


@pytest.mark.parametrize(
    ("login", "password", "pair"),
    [("a:b", "c", "a%3Ab:c"), ("my client", "1+1=2/%", "my+client:1%2B1%3D2%2F%25"), ("ü", "~-._", "%C3%BC:~-._")],
)
def test_id_and_secret_of_a_client_are_encoded_as_in_a_form(login, password, pair):
    # https://www.rfc-editor.org/rfc/rfc6749#section-2.3.1
    made = auth("oauth2", login=login, password=password, oauth2_url="/t")
    encoded = base64.b64encode(pair.encode()).decode()
    assert made.token_source.headers == {"Authorization": f"Basic {encoded}"}
    assert set(made.secrets()) == {encoded, f"Basic {encoded}"}


PASSWORD_GRANT = {"login": "ann", "password": "pw", "oauth2_url": "/t"}


@pytest.mark.parametrize(
    ("fields", "sent", "pair"),
    [
        ({}, {}, None),
        ({"client_id": "app"}, {"client_id": "app"}, None),
        ({"client_id": "app", "client_secret": SECRET}, {}, f"app:{SECRET}"),
        (
            {"client_id": "app", "client_secret": SECRET, "client_auth": "body"},
            {"client_id": "app", "client_secret": SECRET},
            None,
        ),
        ({"scope": "jobs", "oauth2_params": {"audience": "x"}}, {"scope": "jobs", "audience": "x"}, None),
    ],
)
def test_a_password_grant_sends_the_user_and_the_client(fields, sent, pair):
    source = auth("oauth2_password", **PASSWORD_GRANT, **fields).token_source
    variables = {"connection.login": "ann", "connection.password": "pw", **source.variables}
    request = source.request.render(variables, "https://h")
    user = {"grant_type": "password", "username": "ann", "password": "pw"}
    assert dict(parse_qsl(request.body.decode())) == {**user, **sent}
    header = {} if pair is None else {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
    assert source.headers == header
    assert SECRET not in repr(source)


def test_a_login_request_puts_its_token_where_the_connection_says():
    made = auth("login", **LOGIN)
    assert made.headers == {"Authorization": "Bearer {token}"}
    assert made.refresh_codes == {401, 403}
    assert (
        made.token_source.lifetime,
        made.token_source.expiry,
        made.token_source.refresh,
        made.token_source.captures,
    ) == (None, None, None, {})
    assert made.token_source.request.render({"connection.login": "u"}, "https://h").body == b'{"user":"u"}'
    assert auth("login", **LOGIN, login_header="X-T").headers == {"X-T": "{token}"}
    assert auth("login", **LOGIN, login_header="X-T", login_format="User {token}").headers == {"X-T": "User {token}"}


def test_a_login_may_expire_and_be_refreshed():
    made = auth(
        "login",
        **LOGIN,
        login_expiry="data.expiry",
        login_lifetime="360",
        refresh_codes="401, 419\n403",
        refresh_request={"endpoint": "/refresh", "json": {"r": "{refresh}"}},
        login_capture={"refresh": "data.refresh"},
    )
    assert made.refresh_codes == {401, 403, 419}
    assert made.token_source.lifetime == 360.0
    assert made.token_source.refresh.endpoint == "/refresh"
    assert str(made.token_source.expiry) == "'data.expiry'"
    assert set(made.token_source.captures) == {"refresh"}
    assert auth("login", **LOGIN, refresh_codes=419).refresh_codes == {419}


@pytest.mark.parametrize(
    ("kind", "fields", "message"),
    [
        ("basic", {"password": SECRET}, r"auth 'basic' needs login \(the user name\), and it is empty"),
        ("basic", {"login": "a:b", "password": SECRET}, "the login of auth 'basic' can't hold a colon"),
        ("bearer", {}, r"auth 'bearer' needs password \(the token\)"),
        ("api_key", {"password": ""}, r"auth 'api_key' needs password \(the key\)"),
        (
            "api_key",
            {"password": SECRET, "key_in": "cookie"},
            "key_in has to be 'header' or 'query', not 'cookie'",
        ),
        ("oauth2", {"login": "x", "password": SECRET}, r"auth 'oauth2' needs oauth2_url \(the token endpoint\)"),
        ("oauth2", {"login": "x", "oauth2_url": "/t"}, "auth 'oauth2' needs password"),
        (
            "oauth2",
            {"login": "x", "password": SECRET, "oauth2_url": "/t", "oauth2_method": "PUT"},
            "oauth2_method has to be 'POST' or 'GET', not 'PUT'",
        ),
        (
            "oauth2",
            {"login": "x", "password": SECRET, "oauth2_url": "/t", "refresh_when": {"selector": "a"}},
            "refresh_when: has to have a selector and one of",
        ),
        (
            "oauth2",
            {"login": "x", "password": SECRET, "oauth2_url": "/t", "client_auth": "jwt"},
            "client_auth has to be 'basic' or 'body' or .* not 'jwt'",
        ),
        ("oauth2_password", {"login": "x", "oauth2_url": "/t"}, r"auth 'oauth2_password' needs password"),
        (
            "oauth2_password",
            {**PASSWORD_GRANT, "client_auth": "basic"},
            r"auth 'oauth2_password' needs client_id \(the client id\)",
        ),
        ("oauth2_password", {**PASSWORD_GRANT, "oauth2_url": ""}, "auth 'oauth2_password' needs oauth2_url"),
        ("oauth2_refresh", {"login": "x", "oauth2_url": "/t"}, r"auth 'oauth2_refresh' needs refresh_token"),
        ("oauth2_refresh", {"refresh_token": SECRET}, r"auth 'oauth2_refresh' needs login \(the client id\)"),
        ("login", {"login_selector": "t"}, r"auth 'login' needs login_request \(the request as JSON\)"),
        ("login", {**LOGIN, "login_selector": ""}, r"auth 'login' needs login_selector \(the selector of the token\)"),
        ("login", {**LOGIN, "login_request": "{}"}, "login_request needs an endpoint"),
        (
            "login",
            {**LOGIN, "login_request": '{"endpoint": "/x", "bodi": 1}'},
            "login_request: unknown key 'bodi'",
        ),
        ("login", {**LOGIN, "refresh_request": {"json": {}}}, "refresh_request needs an endpoint"),
        (
            "login",
            {**LOGIN, "login_lifetime": "long"},
            "login_lifetime has to be a number of seconds above 0, not 'long'",
        ),
        ("login", {**LOGIN, "login_lifetime": 0}, "login_lifetime has to be a number of seconds above 0, not 0"),
        (
            "login",
            {**LOGIN, "refresh_codes": [True]},
            r"refresh_codes has to be a list of status codes from 400 to 499, not \[True\]",
        ),
        ("login", {**LOGIN, "refresh_codes": "401;403"}, "refresh_codes has to be a list .* not '401;403'"),
        ("login", {**LOGIN, "refresh_codes": [500]}, "refresh_codes has to be"),
        ("login", {**LOGIN, "login_format": "Bearer"}, r"login_format has to contain \{token\}; it is 'Bearer'"),
    ],
)
def test_half_filled_credentials_are_an_error_that_names_the_field_and_shows_no_secret(kind, fields, message):
    with pytest.raises(ConfigurationError, match=message) as caught:
        AUTH_KINDS[kind].parse(fields)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("name", ["login_selector", "login_expiry"])
def test_a_malformed_selector_in_a_connection_is_an_error(name):
    with pytest.raises(SelectorError, match=f"{name}: malformed selector"):
        auth("login", **{**LOGIN, name: "a["})


def test_a_token_is_fresh_until_it_has_to_be_renewed():
    assert Token("x").is_fresh(1e12)
    assert Token("x", renew_at=100.0).is_fresh(99.9)
    assert not Token("x", renew_at=100.0).is_fresh(100.0)


def test_no_repr_shows_a_secret():
    assert SECRET not in repr(Token(SECRET, variables={"refresh": SECRET}))
    assert SECRET not in repr(BearerAuth({"X": SECRET}, {"key": SECRET}))
    assert SECRET not in repr(auth("oauth2", login="id", password=SECRET, oauth2_url="/t", client_auth="body"))
    assert SECRET not in repr(
        auth("login", login_request={"endpoint": "/l", "json": {"p": SECRET}}, login_selector="t")
    )
