"""
Read a cURL command as a request.

There is no kept library for it: those on the package index know a fraction of the options, and leave out bodies or
credentials without a word. Here an option is carried over, known to make no difference, or an error.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from airflow_provider_asyncapi.core.errors import ConfigurationError
from airflow_provider_asyncapi.core.http.messages import validate_header
from airflow_provider_asyncapi.core.requests.request_template import METHODS
from airflow_provider_asyncapi.importing.curl.bodies import CurlBody
from airflow_provider_asyncapi.importing.curl.options import Option, read_options
from airflow_provider_asyncapi.importing.curl.shell_words import Word, split_commands

_JSON = "application/json"
#: Headers that a browser adds to what the page has set, and those that the provider's client sets.
_UNNEEDED_HEADERS = frozenset(
    {
        "accept-encoding",
        "accept-language",
        "cache-control",
        "connection",
        "content-length",
        "dnt",
        "expect",
        "host",
        "pragma",
        "priority",
        "te",
        "upgrade-insecure-requests",
        "user-agent",
    }
)
_PROGRAMS = ("curl", "curl.exe")
#: Options that become settings of the connection.
_TLS_SETTINGS = {"cacert": "ca_cert", "cert": "client_cert", "key": "client_key"}
_FLAGS = ("get", "head", "digest", "insecure")
_TIME_SETTINGS = {"max-time": "read_timeout", "connect-timeout": "connect_timeout"}


@dataclass(frozen=True, slots=True)
class Credentials:
    """
    Credentials of a request.

    :param kind: the kind of authentication: ``basic``, ``digest`` or ``bearer``.
    """

    kind: str
    login: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class CurlRequest:
    """
    The request of a cURL command.

    :param method: the method, upper case.
    :param origin: scheme, host and port of the URL.
    :param path: the path of the URL, without its query.
    :param query: the parameters of the query.
    :param headers: the headers, without credentials in ``Authorization``.
    :param body: the body, as one of the parameters of a request.
    :param credentials: the credentials, if there are any.
    :param settings: settings for the connection, such as ``verify``.
    :param files: the files that the body names; they aren't read here.
    :param notices: sentences about what was left out or changed.
    """

    method: str
    origin: str
    path: str
    query: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: Mapping[str, Any] = field(default_factory=dict, repr=False)
    credentials: Credentials | None = None
    settings: Mapping[str, Any] = field(default_factory=dict, repr=False)
    files: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()


def read_curl_commands(text: str, values: Mapping[str, str] | None = None) -> list[CurlRequest]:
    """
    Return the requests of the cURL commands in a text.

    :param values: the values of variables, which replace ``$NAME``, ``{NAME}`` and ``<NAME>``.
    :raises ConfigurationError: if a command can't be carried over; the message has the line and the column.
    """
    commands = split_commands(text)
    if not commands:
        raise ConfigurationError("cURL command: is empty")
    return [_Reader(values or {}).read(command) for command in commands]


class _Reader:
    """Reads one command."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values
        self._headers: dict[str, str] = {}
        self._body = CurlBody()
        self._settings: dict[str, Any] = {}
        self._credentials: Credentials | None = None
        self._method: str | None = None
        self._url: Word | None = None
        self._query: list[tuple[str, str]] = []
        self._flags: set[str] = set()
        self._notices: list[str] = []
        self._appliers: dict[str, Callable[[str, Word], None]] = {
            "url": self._set_url,
            "request": self._set_method,
            "header": self._add_header,
            "user": self._set_user,
            "oauth2-bearer": self._set_bearer,
            "cookie": self._set_cookie,
            "referer": self._set_referer,
            "user-agent": self._set_agent,
            "url-query": self._add_query,
            "proxy": self._set_proxy,
        }

    def read(self, words: Sequence[Word]) -> CurlRequest:
        """Return the request of a command."""
        if words[0].text.lower() not in _PROGRAMS:
            raise ConfigurationError(
                f"cURL command: {words[0].place}: begins with {words[0].text[:40]!r}, not with curl; if it continues"
                " the line before it, that line has to end with a backslash"
            )
        for option in read_options([self._substitute(word) for word in words[1:]]):
            self._apply(option)
        if self._url is None:
            raise ConfigurationError(f"cURL command: {words[0].place}: has no URL")
        origin, path = self._read_url(self._url)
        body = self._make_body()
        method = self._choose_method(body)
        return CurlRequest(
            method=method,
            origin=origin,
            path=path,
            query=tuple(self._query),
            headers=self._headers,
            body=body,
            credentials=self._credentials,
            settings=self._settings,
            files=tuple(self._body.files),
            notices=tuple(self._notices),
        )

    def _substitute(self, word: Word) -> Word:
        text = word.text
        for name, value in self._values.items():
            text = text.replace(f"{{{name}}}", value)
        return Word(text, word.place, word.variables - self._values.keys())

    def _apply(self, option: Option) -> None:
        name, value = option.name, option.value
        if name in _FLAGS:
            self._flags.add(name)
        elif name in _TLS_SETTINGS:
            self._settings[_TLS_SETTINGS[name]] = value
        elif name in _TIME_SETTINGS:
            self._settings[_TIME_SETTINGS[name]] = _read_seconds(option)
        elif apply := self._appliers.get(name):
            apply(value, option.word)
        else:
            self._body.add(option)

    def _set_url(self, value: str, word: Word) -> None:
        if self._url is not None:
            raise ConfigurationError(f"cURL command: {word.place}: is a second URL; write one request for each command")
        self._url = Word(value, word.place)

    def _set_method(self, value: str, word: Word) -> None:
        self._method = value.upper()
        if self._method not in METHODS:
            raise ConfigurationError(f"cURL command: {word.place}: {value[:40]!r} isn't a method")

    def _set_user(self, value: str, _word: Word) -> None:
        login, _, password = value.partition(":")
        self._credentials = Credentials("basic", login, password)

    def _set_bearer(self, value: str, _word: Word) -> None:
        self._credentials = Credentials("bearer", password=value)

    def _set_cookie(self, value: str, word: Word) -> None:
        if "=" not in value:
            raise ConfigurationError(
                f"cURL command: {word.place}: names a file of cookies, which isn't read; write the cookies into the"
                " command, as -b 'name=value'"
            )
        self._headers["Cookie"] = value

    def _set_referer(self, value: str, _word: Word) -> None:
        self._headers["Referer"] = value

    def _set_agent(self, _value: str, _word: Word) -> None:
        self._notices.append("the header User-Agent is left out")

    def _add_query(self, value: str, _word: Word) -> None:
        self._query += parse_qsl(value, keep_blank_values=True)

    def _set_proxy(self, value: str, _word: Word) -> None:
        self._settings["proxy"] = value if "://" in value else f"http://{value}"

    def _add_header(self, text: str, word: Word) -> None:
        name, colon, value = text.partition(":")
        if not colon:
            # "Name;" sends an empty header; "Name" alone is nothing.
            return
        name, value = (
            validate_header(name.strip(), value, f"cURL command: {word.place}")
            if (name.strip().lower() != "content-length")
            else (name.strip(), "")
        )
        lower = name.lower()
        if lower in _UNNEEDED_HEADERS or lower.startswith("sec-"):
            self._notices.append(f"the header {name} is left out")
        elif lower == "accept" and value.split(",")[0].strip() in {"*/*", _JSON}:
            # As the provider sends it.
            return
        elif lower == "authorization" and (credentials := _read_authorization(value)):
            self._credentials = credentials
        elif value:
            self._headers[name] = value

    def _read_url(self, word: Word) -> tuple[str, str]:
        text = word.text
        if "://" not in text:
            # As cURL does.
            text = f"http://{text}"
        try:
            parts = urlsplit(text)
            _ = parts.port
        except ValueError:
            raise ConfigurationError(f"cURL command: {word.place}: the URL isn't one") from None
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ConfigurationError(f"cURL command: {word.place}: isn't the URL of a host, with http or https")
        if parts.username is not None and self._credentials is None:
            self._credentials = Credentials("basic", parts.username, parts.password or "")
        self._query = [*parse_qsl(parts.query, keep_blank_values=True), *self._query]
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}", parts.path or "/"

    def _make_body(self) -> Mapping[str, Any]:
        if "digest" in self._flags and self._credentials is not None:
            self._credentials = Credentials("digest", self._credentials.login, self._credentials.password)
        if "insecure" in self._flags:
            self._settings["verify"] = False
            self._notices.append("-k: the connection doesn't verify the server's certificate; remove it if you can")
        if "get" in self._flags:
            self._query += parse_qsl(self._body.take_text(), keep_blank_values=True)
        content_types = [name for name in self._headers if name.lower() == "content-type"]
        content_type = self._headers.pop(content_types[0]) if content_types else None
        body, kept_type = self._body.make(content_type, self._notices)
        if kept_type is not None and body:
            self._headers["Content-Type"] = kept_type
        return body

    def _choose_method(self, body: Mapping[str, Any]) -> str:
        if self._method is not None:
            return self._method
        if "head" in self._flags:
            return "HEAD"
        if "get" in self._flags:
            return "GET"
        return self._body.method or ("POST" if body else "GET")


def _read_seconds(option: Option) -> float:
    try:
        seconds = float(option.value)
    except ValueError:
        raise ConfigurationError(f"cURL command: {option.word.place}: --{option.name} isn't a number") from None
    return int(seconds) if seconds.is_integer() else seconds


def _read_authorization(value: str) -> Credentials | None:
    """Return the credentials of an ``Authorization`` header; None if they are of another scheme."""
    scheme, _, rest = value.partition(" ")
    if scheme.lower() == "bearer" and rest.strip():
        return Credentials("bearer", password=rest.strip())
    if scheme.lower() != "basic":
        return None
    try:
        login, colon, password = base64.b64decode(rest.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return Credentials("basic", login, password) if colon else None
