"""Divide cURL commands into a connection, which gets the secrets, and the parameters of requests, which get none."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from airflow_provider_asyncapi.core.http.redaction import Redactor, find_masked_texts, is_sensitive_name
from airflow_provider_asyncapi.core.templates import find_variables
from airflow_provider_asyncapi.importing.curl.request import CurlRequest
from airflow_provider_asyncapi.importing.exploring.request_places import unquote_braces

#: Headers that can't be the key of an API.
_NOT_KEYS = frozenset({"authorization", "cookie", "proxy-authorization"})
#: Parameters of a query that are keys, as those of Google and Azure; in a body, they are usually something else.
_QUERY_KEYS = frozenset({"key", "sig"})
_SECRET_FIELDS = ("secret_headers", "secrets")


class SecretSplitter:
    """
    Collects the connection of several requests.

    :param origin: scheme, host and port of the first request, the host of the connection.
    :ivar notices: sentences about what people should look at.
    """

    def __init__(self, origin: str) -> None:
        self.notices: list[str] = []
        self._origin = origin
        self._login: dict[str, str] = {}
        self._extra: dict[str, Any] = {}

    def split(self, request: CurlRequest) -> dict[str, Any]:
        """Return the parameters of a request without secrets, and put the secrets into the connection."""
        self._take_credentials(request)
        self._extra = {**request.settings, **self._extra}
        is_own = request.origin == self._origin
        path = unquote_braces(request.path)
        parameters: dict[str, Any] = {"endpoint": path if is_own else f"{request.origin}{path}"}
        if request.method != ("POST" if request.body else "GET"):
            parameters["method"] = request.method
        if query := self._split_query(request.query):
            parameters["query_params"] = query
        if headers := self._split_headers(request.headers):
            parameters["headers"] = headers
        for kind, content in request.body.items():
            parameters[kind] = self._split_body(content) if kind in {"json", "data"} else content
        if not is_own and (request.credentials or parameters.get("headers") != dict(request.headers)):
            host = urlsplit(request.origin).netloc
            trusted = self._extra.setdefault("trusted_hosts", [])
            if host not in trusted:
                trusted.append(host)
                self.notices.append(f"the connection's credentials are sent to {host} too (trusted_hosts)")
        self.notices += [each for each in request.notices if each not in self.notices]
        return parameters

    @property
    def connection(self) -> dict[str, Any]:
        """The fields of the connection, with its secrets."""
        return {
            "conn_type": "asyncapi",
            "host": self._origin,
            **self._login,
            **({"extra": self._extra} if self._extra else {}),
        }

    @property
    def shown_connection(self) -> dict[str, Any]:
        """The fields of the connection, with a placeholder for each secret."""
        shown = self.connection
        if "password" in shown:
            shown["password"] = "<password>"  # noqa: S105 - a placeholder
        if self._extra:
            shown["extra"] = {
                name: {key: f"<{key}>" for key in value} if name in _SECRET_FIELDS else value
                for name, value in self._extra.items()
            }
            if "@" in shown["extra"].get("proxy", ""):
                shown["extra"]["proxy"] = "<proxy>"
        return shown

    def _take_credentials(self, request: CurlRequest) -> None:
        credentials = request.credentials
        if credentials is None:
            return
        own = {"login": credentials.login, "password": credentials.password}
        given = {name: value for name, value in own.items() if value}
        if not self._login:
            self._login = given
            self._extra = {"auth": credentials.kind, **self._extra}
        elif given != self._login:
            self.notices.append("the commands have different credentials; the credentials of the first one are used")

    def _split_query(self, query: Sequence[tuple[str, str]]) -> dict[str, Any]:
        kept: dict[str, Any] = {}
        for name, value in query:
            is_secret = is_sensitive_name(name) or name.lower() in _QUERY_KEYS
            if is_secret and self._take_key(name, value, "query"):
                continue
            safe = self._replace_secret(name, value) if is_secret else value
            kept[name] = (
                [*kept[name], safe]
                if isinstance(kept.get(name), list)
                else safe
                if name not in kept
                else [kept[name], safe]
            )
        return kept

    def _split_headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        kept = {}
        for name, value in headers.items():
            if not is_sensitive_name(name) and name.lower() not in _NOT_KEYS:
                kept[name] = value
            elif name.lower() in _NOT_KEYS or not self._take_key(name, value, "header"):
                secrets = self._extra.setdefault("secret_headers", {})
                if secrets.setdefault(name, value) != value:
                    self.notices.append(f"the commands have different values of the header {name}; the first is used")
        return kept

    def _take_key(self, name: str, value: str, place: str) -> bool:
        """Make a header or a parameter the API key of the connection; return whether that was possible."""
        chosen = {"auth": "api_key", "key_name": name, "key_in": place}
        if self._login:
            return self._login == {"password": value} and chosen.items() <= self._extra.items()
        self._login = {"password": value}
        self._extra = {**chosen, **self._extra}
        return True

    def _split_body(self, body: Any) -> Any:
        """Return the body with variables of the connection in place of its secrets."""
        if not isinstance(body, str):
            return self._split_fields(body)
        # A text that a request can't hold as values, such as JSON with null, or XML.
        secrets = find_masked_texts(body, Redactor()(body))
        for secret in sorted({each.strip("\"'") for each in secrets}, key=len, reverse=True):
            body = body.replace(secret, self._replace_secret("secret", secret))
        return body

    def _split_fields(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            return {
                name: self._replace_secret(name, each)
                if isinstance(each, str) and is_sensitive_name(name)
                else self._split_fields(each)
                for name, each in value.items()
            }
        return [self._split_fields(each) for each in value] if isinstance(value, list) else value

    def _replace_secret(self, name: str, value: str) -> str:
        if not value or find_variables(value):
            return value
        secrets, variable = self._extra.setdefault("secrets", {}), re.sub(r"\W", "_", name)
        while secrets.setdefault(variable, value) != value:
            variable += "_"
        return f"{{connection.{variable}}}"
