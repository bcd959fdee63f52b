"""Requests as an author writes them, and how they become real ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from airflow_provider_asyncapi.core import templates
from airflow_provider_asyncapi.core.bodies import BODY_PARAMETERS, Body
from airflow_provider_asyncapi.core.errors import ConfigurationError
from airflow_provider_asyncapi.core.messages import Request, header_field
from airflow_provider_asyncapi.core.templates import Variables

#: The parameters that describe a request, on an operator or in a mapping such as ``cancel``.
REQUEST_PARAMETERS = ("method", "endpoint", "params", "headers", *BODY_PARAMETERS)
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
#: JSON is what most APIs speak; whoever serves only something else is asked for it by the author.
_DEFAULT_ACCEPT = "application/json, */*;q=0.8"


@dataclass(frozen=True, slots=True)
class RequestTemplate:
    """
    A request with its variables still in it.

    :param endpoint: a path below the connection's URL, or an absolute URL.
    :param method: an HTTP method, upper case.
    :param params: query parameters; a list repeats one, None leaves it out.
    :param headers: header fields.
    :param body: the body, if any.
    """

    endpoint: str = ""
    method: str = "GET"
    params: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, Any] = field(default_factory=dict)
    body: Body | None = None

    @classmethod
    def parse(
        cls, given: Mapping[str, Any], where: str, *, method: str | None = None, also: tuple[str, ...] = ()
    ) -> RequestTemplate:
        """
        Read a request from plain data.

        :param given: the mapping; keys as in :data:`REQUEST_PARAMETERS`.
        :param where: what the mapping is called, for messages.
        :param method: the method where none is given; by default POST with a body and GET without.
        :param also: further keys that the caller reads itself.
        :raises ConfigurationError: on unknown keys, a bad method, two bodies, values of the wrong type.
        """
        unknown = [name for name in given if name not in REQUEST_PARAMETERS and name not in also]
        if unknown:
            raise ConfigurationError(
                f"{where}: unknown key {unknown[0]!r}; a request has {', '.join((*REQUEST_PARAMETERS, *also))}"
            )
        body = Body.parse(given, where)
        chosen = given.get("method") or method or ("POST" if body else "GET")
        if not isinstance(chosen, str) or chosen.upper() not in METHODS:
            raise ConfigurationError(f"{where}: method {chosen!r} isn't one of {', '.join(METHODS)}")
        endpoint = given.get("endpoint") or ""
        if not isinstance(endpoint, str):
            raise ConfigurationError(f"{where}: endpoint has to be a string, not {type(endpoint).__name__}")
        for name in ("params", "headers"):
            if given.get(name) is not None and not isinstance(given[name], Mapping):
                raise ConfigurationError(f"{where}: {name} has to be a mapping, not {type(given[name]).__name__}")
        return cls(endpoint, chosen.upper(), given.get("params") or {}, given.get("headers") or {}, body)

    def names(self) -> set[str]:
        """Give all variables that the request names, those in its body included."""
        body = (self.body.content, self.body.fields) if self.body else ()
        strings = templates.strings_in([self.endpoint, self.params, self.headers, body])
        return {name.removeprefix("+") for text in strings for name in templates.variable_names(text)}

    def render(self, variables: Variables, base_url: str, *, reference_base: str | None = None) -> Request:
        """
        Make the request.

        :param base_url: the connection's URL.
        :param reference_base: the URL against which a relative reference from the API is resolved.
        :raises UnknownVariableError: on a name that isn't known in endpoint, params or headers.
        :raises UnsafeValueError: on a value that can't stand where it is put.
        """
        url = templates.render_url(self.endpoint, variables, base_url, reference_base=reference_base)
        query = [
            (name, text)
            for name, value in self.params.items()
            for text in templates.render_param(value, variables, f"params[{name!r}]")
        ]
        if query:
            url += ("&" if "?" in url else "?") + urlencode(query, errors="replace")
        headers = dict(
            header_field(name, templates.render_text(str(value), variables, f"headers[{name!r}]"), "headers")
            for name, value in self.headers.items()
            if value is not None
        )
        lower = {name.lower() for name in headers}
        content = None
        if self.body is not None:
            content, content_type = self.body.render(variables)
            # Only we know a multipart body's boundary, so the author's content type can't stand there.
            if "content-type" not in lower or self.body.kind == "files":
                headers = {n: v for n, v in headers.items() if n.lower() != "content-type"}
                headers["Content-Type"] = content_type
        if "accept" not in lower:
            headers["Accept"] = _DEFAULT_ACCEPT
        return Request(self.method, url, tuple(headers.items()), content)
