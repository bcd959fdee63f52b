"""
Credentials: how each kind of authentication changes a request.

To add a kind, write a function that reads it from the connection's fields, and name it in :data:`AUTH_KINDS`.
"""

from __future__ import annotations

import base64
import dataclasses
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import urlencode

from airflow_provider_asyncapi.core.errors import (
    ConfigurationError,
    ContentError,
)
from airflow_provider_asyncapi.core.http.messages import Request, Response
from airflow_provider_asyncapi.core.json_values import JsonValue, as_list, as_number
from airflow_provider_asyncapi.core.requests.request_template import RequestTemplate
from airflow_provider_asyncapi.core.selectors.selection import Selection, parse_captures
from airflow_provider_asyncapi.core.status.rules import Condition
from airflow_provider_asyncapi.core.templates import Variables

_REFRESH_CODES = frozenset({401, 403})


@dataclass(frozen=True, slots=True)
class Token:
    """
    What a login gave.

    :param value: the token itself.
    :param renew_at: seconds since the epoch from which on it is renewed; None where it doesn't expire.
    :param variables: what else the login captured, a refresh token for one.
    :param was_found: whether another process has logged in for it, nobody knows when.
    """

    value: str = field(repr=False)
    renew_at: float | None = None
    variables: Mapping[str, JsonValue] = field(default_factory=dict, repr=False)
    was_found: bool = field(default=False, compare=False)

    def is_fresh(self, now: float) -> bool:
        """Whether it may still be used."""
        return self.renew_at is None or now < self.renew_at


class Lock(Protocol):
    """The right to log in, until it is closed."""

    def close(self) -> None:
        """Let the next one have it."""


class TokenStore(Protocol):
    """Where processes find each other's tokens. It has none of them rather than an error."""

    def lock(self) -> Lock | None:
        """Take the right to log in; None where another process has it."""

    def read(self) -> Token | None:
        """Give the token that was stored last."""

    def write(self, token: Token) -> None:
        """Store a token in place of the one before."""


@dataclass(frozen=True, slots=True)
class Login:
    """
    How a token is got.

    :param request: the login request.
    :param token: where the token is in the answer.
    :param refresh: the request that renews a token with what the last login captured; ``request`` where None.
    :param expiry: where the answer says when the token expires: seconds, a moment since the epoch, or an ISO date.
    :param lifetime: seconds that a token lives where the answer doesn't say; None for no end.
    :param captures: what else of the answer the refresh request needs.
    """

    request: RequestTemplate = field(repr=False)
    token: Selection
    refresh: RequestTemplate | None = field(default=None, repr=False)
    expiry: Selection | None = None
    lifetime: float | None = None
    captures: Mapping[str, Selection] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Auth:
    """
    One way to authenticate.

    :param headers: header fields to set; ``{token}`` in one stands for the token of the login.
    :param params: query parameters to add.
    :param login: how to get the token, where one is needed.
    :param refresh_codes: status codes that mean that the token isn't valid any more.
    :param refresh_when: what an answer of another status code holds that means the same.
    """

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    params: Mapping[str, str] = field(default_factory=dict, repr=False)
    login: Login | None = None
    refresh_codes: frozenset[int] = _REFRESH_CODES
    refresh_when: Condition | None = None

    def refuses_token(self, response: Response, variables: Variables) -> bool:
        """Return whether an answer says by what it holds that the token isn't valid any more."""
        try:
            return self.refresh_when is not None and self.refresh_when.holds(response, variables)
        except ContentError:
            # An answer that can't be read says something else.
            return False

    def apply(self, request: Request, token: Token | None) -> Request:
        """Give the request with the credentials in it."""
        value = token.value if token else ""
        signed = request.with_headers((name, text.replace("{token}", value)) for name, text in self.headers.items())
        if not self.params:
            return signed
        query = urlencode({name: text.replace("{token}", value) for name, text in self.params.items()})
        separator = "&" if "?" in request.url else "?"
        return dataclasses.replace(signed, url=f"{signed.url}{separator}{query}")


def _need(fields: Mapping[str, Any], kind: str, **labels: str) -> None:
    """Check that the fields which a kind of authentication needs are there."""
    for name, label in labels.items():
        if not fields.get(name):
            raise ConfigurationError(f"connection: auth {kind!r} needs {name} ({label}), and it is empty")


def _none(_fields: Mapping[str, Any]) -> Auth:
    return Auth()


def _basic(fields: Mapping[str, Any]) -> Auth:
    """Read HTTP basic authentication (RFC 7617)."""
    _need(fields, "basic", login="the user name")
    if ":" in fields["login"]:
        raise ConfigurationError("connection: the login of auth 'basic' can't hold a colon")
    pair = f"{fields['login']}:{fields.get('password') or ''}"
    return Auth({"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"})


def _bearer(fields: Mapping[str, Any]) -> Auth:
    """Read a bearer token (RFC 6750)."""
    _need(fields, "bearer", password="the token")  # noqa: S106 - the label of a field
    return Auth({"Authorization": f"Bearer {fields['password']}"})


def _api_key(fields: Mapping[str, Any]) -> Auth:
    """Read an API key in a header or a query parameter."""
    _need(fields, "api_key", password="the key")  # noqa: S106 - the label of a field
    name = fields.get("key_name") or "X-API-Key"
    place = fields.get("key_in") or "header"
    if place not in ("header", "query"):
        raise ConfigurationError(f"connection: key_in has to be 'header' or 'query', not {place!r}")
    return Auth({name: fields["password"]}) if place == "header" else Auth(params={name: fields["password"]})


def _oauth2(fields: Mapping[str, Any]) -> Auth:
    """Read OAuth 2 client credentials (RFC 6749, section 4.4)."""
    _need(fields, "oauth2", login="the client id", password="the client secret", oauth2_url="the token endpoint")  # noqa: S106 - what it is called
    form: dict[str, Any] = {"grant_type": "client_credentials"}
    if fields.get("scope"):
        form["scope"] = fields["scope"]
    form |= mapping(fields, "oauth2_params")
    # Both as RFC 6749 says, whatever the connection's headers are for all other requests.
    headers = {"Accept": "application/json"}
    method = (fields.get("oauth2_method") or "POST").upper()
    if method not in ("POST", "GET"):
        raise ConfigurationError(f"connection: oauth2_method has to be 'POST' or 'GET', not {method!r}")
    style = fields.get("client_auth") or "basic"
    if style == "body":
        form |= {"client_id": fields["login"], "client_secret": fields["password"]}
    elif style == "basic":
        headers |= _basic({"login": fields["login"].replace(":", "%3A"), "password": fields["password"]}).headers
    else:
        raise ConfigurationError(f"connection: client_auth has to be 'basic' or 'body', not {style!r}")
    described: dict[str, Any] = {"endpoint": fields["oauth2_url"], "method": method, "headers": headers}
    if method == "GET":
        described["query_params"] = form
    else:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        described["data"] = form
    request = RequestTemplate.parse(described, "connection: token request")
    login = Login(request, Selection.parse("access_token", "token"), expiry=Selection.parse("expires_in", "expiry"))
    return Auth({"Authorization": "Bearer {token}"}, login=login, refresh_when=_refresh_when(fields))


def _login(fields: Mapping[str, Any]) -> Auth:
    """Read a login request: any request whose answer holds a token."""
    _need(fields, "login", login_request="the request as JSON", login_selector="the selector of the token")
    given = fields.get("login_lifetime")
    lifetime = None if given in (None, "") else as_number(given)
    if given not in (None, "") and (lifetime is None or lifetime <= 0):
        raise ConfigurationError(f"connection: login_lifetime has to be a number of seconds above 0, not {given!r}")
    login = Login(
        request=_request(fields, "login_request"),
        token=Selection.parse(fields["login_selector"], "connection: login_selector"),
        refresh=_request(fields, "refresh_request") if fields.get("refresh_request") else None,
        expiry=Selection.parse_optional(fields.get("login_expiry") or None, "connection: login_expiry"),
        lifetime=lifetime,
        captures=parse_captures(mapping(fields, "login_capture"), "connection: login_capture"),
    )
    codes = [as_number(code) for code in items(fields, "refresh_codes")] or list(_REFRESH_CODES)
    if not all(code in range(400, 500) for code in codes):
        raise ConfigurationError(
            "connection: refresh_codes has to be a list of status codes from 400 to 499,"
            f" not {fields['refresh_codes']!r}"
        )
    template = fields.get("login_format") or ("Bearer {token}" if not fields.get("login_header") else "{token}")
    if "{token}" not in template:
        raise ConfigurationError(f"connection: login_format has to hold {{token}}; it is {template!r}")
    headers = {fields.get("login_header") or "Authorization": template}
    refresh_codes = frozenset(int(code) for code in codes if code)
    return Auth(headers, login=login, refresh_codes=refresh_codes, refresh_when=_refresh_when(fields))


def _refresh_when(fields: Mapping[str, Any]) -> Condition | None:
    given = mapping(fields, "refresh_when")
    return Condition.parse(given, "connection: refresh_when") if given else None


def _request(fields: Mapping[str, Any], name: str) -> RequestTemplate:
    given = mapping(fields, name)
    if not given.get("endpoint"):
        raise ConfigurationError(
            f"connection: {name} needs an endpoint, beside method, headers and a body as the API asks"
        )
    how = given.pop("auth", None)
    if how not in (None, "basic"):
        raise ConfigurationError(f"connection: {name}: auth can only be 'basic', not {how!r}")
    if how == "basic":
        _need(fields, "basic", login=f"the user name that the {name} sends")
        given["headers"] = {**(given.get("headers") or {}), **_basic(fields).headers}
    return RequestTemplate.parse(given, f"connection: {name}")


def mapping(fields: Mapping[str, Any], name: str) -> dict[str, Any]:
    """
    Read a field that holds a JSON object, as an object or as its text.

    :raises ConfigurationError: on anything else; the text isn't shown, for it may hold a secret.
    """
    value = fields.get(name)
    if value in (None, ""):
        return {}
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except json.JSONDecodeError as error:
            raise ConfigurationError(
                f"connection: {name} isn't JSON: {error.msg} at line {error.lineno}, column {error.colno}"
            ) from None
        except (ValueError, RecursionError):
            raise ConfigurationError(
                f"connection: {name} is JSON that can't be read: too deep, or too long a number"
            ) from None
    if not isinstance(value, Mapping):
        raise ConfigurationError(f"connection: {name} has to be a JSON object, not {type(value).__name__}")
    return dict(value)


def items(fields: Mapping[str, Any], name: str) -> list[Any]:
    """Read a field that holds a list, as a list or as text with commas or line breaks between the items."""
    value = fields.get(name)
    if isinstance(value, str):
        return [item.strip() for item in value.replace("\n", ",").split(",") if item.strip()]
    return as_list(value)


#: The name of each kind, as it stands in the connection, and what reads it.
AUTH_KINDS: Mapping[str, Callable[[Mapping[str, Any]], Auth]] = {
    "none": _none,
    "basic": _basic,
    "bearer": _bearer,
    "api_key": _api_key,
    "oauth2": _oauth2,
    "login": _login,
}

#: The fields of a connection that one kind reads and no other, with this kind.
AUTH_FIELDS: Mapping[str, str] = {
    **dict.fromkeys(("key_name", "key_in"), "api_key"),
    **dict.fromkeys(("oauth2_url", "oauth2_method", "scope", "oauth2_params", "client_auth"), "oauth2"),
    **dict.fromkeys(
        (
            *("login_request", "login_selector", "login_header", "login_format", "login_expiry", "login_lifetime"),
            *("login_capture", "refresh_request", "refresh_codes"),
        ),
        "login",
    ),
}
