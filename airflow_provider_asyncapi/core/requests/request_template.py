"""Templates of requests: parse their parameters, and render them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from airflow_provider_asyncapi.core import templates
from airflow_provider_asyncapi.core.errors import ConfigurationError
from airflow_provider_asyncapi.core.foreign_names import describe_unknown_key, find_foreign_name
from airflow_provider_asyncapi.core.http.file_bodies import BODY_VARIABLES, RequestBody, describe_body
from airflow_provider_asyncapi.core.http.messages import Request, validate_header
from airflow_provider_asyncapi.core.http.redaction import is_sensitive_name
from airflow_provider_asyncapi.core.json_values import as_list
from airflow_provider_asyncapi.core.requests.bodies import (
    BODY_PARAMETERS,
    FILE_PARAMETER,
    Body,
    RenderedBody,
    check_multipart,
)
from airflow_provider_asyncapi.core.templates import Variables

#: The parameters that describe a request, on an operator or in a mapping such as ``cancel``.
REQUEST_PARAMETERS = ("method", "endpoint", "query_params", "headers", *BODY_PARAMETERS)
#: The parameters of a stage that contain further requests.
SUBREQUESTS = (
    "prepare",
    "start",
    "lookup",
    "cancel",
    "locate",
    "cleanup",
    "batch",
    "status_details",
    "failure_details",
    "logs",
    "repair",
)
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
#: Most APIs send JSON; for another format, the DAG author sets the header.
_DEFAULT_ACCEPT = "application/json, */*;q=0.8"
#: The reason why the request of a deferred task may contain no secret, and what to do instead; ends messages.
WHY_NO_SECRETS = (
    "a waiting task's request is stored in the metadata database in plain text. Put the secret into the connection"
    " (a header, or a value that the request names {connection.<name>})"
)


@dataclass(frozen=True, slots=True)
class RequestTemplate:
    """
    A request with its variables still in it.

    :param endpoint: a path below the connection's URL, or an absolute URL.
    :param method: an HTTP method, upper case.
    :param query_params: query parameters; a list repeats a parameter, None leaves it out.
    :param headers: header fields.
    :param body: the body, if any.
    """

    endpoint: str = ""
    method: str = "GET"
    query_params: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, Any] = field(default_factory=dict)
    body: Body | None = None

    @classmethod
    def parse(
        cls,
        given: Mapping[str, Any],
        where: str,
        *,
        method: str | None = None,
        also: tuple[str, ...] = (),
        complete: bool = False,
        sends_files: bool = False,
    ) -> RequestTemplate:
        """
        Read a request from plain data.

        :param given: the mapping; keys as in :data:`REQUEST_PARAMETERS`.
        :param where: the name of the mapping, for messages.
        :param method: the default method; if None, POST with a body and GET without.
        :param also: further keys that the caller reads itself.
        :param complete: whether a missing endpoint is an error; False if a profile may still add it.
        :param sends_files: whether the request can send files.
        :raises ConfigurationError: if there are unknown keys, an unknown method, two bodies, or values of the wrong
            type.
        """
        if problem := find_foreign_name(given, REQUEST_PARAMETERS):
            raise ConfigurationError(f"{where}: {problem}")
        known = (*REQUEST_PARAMETERS, *([FILE_PARAMETER] if sends_files else []), *also)
        unknown = [name for name in given if name not in (*known, FILE_PARAMETER)]
        if unknown:
            raise ConfigurationError(
                f"{where}: {describe_unknown_key(unknown[0], known)}; a request has {', '.join(known)}"
            )
        body = Body.parse(given, where, sends_files=sends_files)
        chosen = given.get("method") or method or ("POST" if body else "GET")
        if not isinstance(chosen, str) or chosen.upper() not in METHODS:
            raise ConfigurationError(f"{where}: method {chosen!r} isn't one of {', '.join(METHODS)}")
        endpoint = given.get("endpoint")
        if endpoint is None and complete:
            raise ConfigurationError(
                f"{where}: endpoint is missing; it is a path below the connection's address, or a URL ('/' asks for the"
                " address itself)"
            )
        if not isinstance(endpoint, str | None):
            raise ConfigurationError(f"{where}: endpoint has to be a string, not {type(endpoint).__name__}")
        query_params, headers = given.get("query_params"), given.get("headers")
        for name, value in (("query_params", query_params), ("headers", headers)):
            if not isinstance(value, Mapping | None):
                raise ConfigurationError(f"{where}: {name} has to be a mapping, not {type(value).__name__}")
        return cls(endpoint or "", chosen.upper(), query_params or {}, headers or {}, body)

    def find_variables(self) -> set[str]:
        """Return the names of all variables in the request, its body included."""
        body = (self.body.content, self.body.fields) if self.body else ()
        strings = templates.walk_strings([self.endpoint, self.query_params, self.headers, body])
        return {name.removeprefix("+") for text in strings for name in templates.find_variables(text)}

    def find_body_variables(self) -> frozenset[str]:
        """Return the variables of the request's own body (:data:`~.file_bodies.BODY_VARIABLES`) that it names."""
        texts = templates.walk_strings([self.query_params, self.headers])
        return BODY_VARIABLES.intersection(name for text in texts for name in templates.find_variables(text))

    def render_url(self, variables: Variables, base_url: str, *, reference_base: str | None = None) -> str:
        """Return the URL of the request without its query parameters; :meth:`render` describes the arguments."""
        return templates.render_url(self.endpoint, variables, base_url, reference_base=reference_base)

    def render(
        self,
        variables: Variables,
        base_url: str,
        *,
        reference_base: str | None = None,
        body: RenderedBody | None = None,
    ) -> Request:
        """
        Return the request.

        :param base_url: the connection's URL.
        :param reference_base: the URL against which a relative reference from the API is resolved.
        :param body: the rendered body; needed if it contains files.
        :raises UnknownVariableError: if endpoint, query_params or headers contain an unknown variable.
        :raises UnsafeValueError: if the value of a variable isn't allowed in its place.
        """
        url = self.render_url(variables, base_url, reference_base=reference_base)
        if self.body is not None:
            body = self.body.render(variables) if body is None else body
            named = self.find_body_variables() - variables.keys()
            variables = {**variables, **describe_body(body[0], named)} if named else variables
        query = [
            (name, text)
            for name, value in self.query_params.items()
            for text in templates.render_param(value, variables, f"query_params[{name!r}]")
        ]
        if query:
            url += ("&" if "?" in url else "?") + urlencode(query, errors="replace")
        headers = dict(
            validate_header(name, templates.render_text(str(value), variables, f"headers[{name!r}]"), "headers")
            for name, value in self.headers.items()
            if value is not None
        )
        content: RequestBody = None
        defaults = {"Accept": _DEFAULT_ACCEPT}
        if self.body is not None and body is not None:
            content, content_type = body
            defaults["Content-Type"] = content_type
            if self.body.kind == "files" and (own := _take_content_type(headers)) is not None:
                # Only we know a multipart body's boundary.
                check_multipart(own, "headers['Content-Type']")
                headers["Content-Type"] = content_type
        return Request(self.method, url, tuple(headers.items()), content, tuple(defaults.items()))


def _take_content_type(headers: dict[str, str]) -> str | None:
    """Remove the Content-Type, in any case, from header fields and return it; None if there is none."""
    names = [name for name in headers if name.lower() == "content-type"]
    return [headers.pop(name) for name in names][-1] if names else None


def iterate_strict_parts(request: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the parameters in which all variables have to be known; a body may contain other braces."""
    yield "endpoint", request.get("endpoint")
    yield "query_params", request.get("query_params")
    yield "headers", request.get("headers")


def find_secret(request: Mapping[str, Any]) -> str | None:
    """
    Return the first literal in a request that looks like a secret: a text under a sensitive name, without variables.

    :return: the parameter and the name, for messages; None if there is none.
    """
    for parameter, value in (
        *iterate_strict_parts(request),
        *((name, request.get(name)) for name in (*BODY_PARAMETERS, FILE_PARAMETER)),
    ):
        if name := _find_secret_field(value):
            return f"{parameter}: {name!r}"
    return None


def refuse_secrets(description: Mapping[str, Any]) -> None:
    """
    Check that the requests of a stage contain nothing that looks like a secret.

    :raises ConfigurationError: if they do; the message names the parameter, and where secrets belong.
    """
    requests: list[tuple[str, Any]] = [("", description)]
    for name in SUBREQUESTS:
        requests += [(f"{name}.", request) for request in as_list(description.get(name))]
    for where, request in requests:
        if isinstance(request, Mapping) and (found := find_secret(request)):
            raise ConfigurationError(f"{where}{found} looks like a secret, and {WHY_NO_SECRETS}")


def _find_secret_field(value: Any) -> str | None:
    if isinstance(value, list | tuple):
        return next(filter(None, map(_find_secret_field, value)), None)
    if not isinstance(value, Mapping):
        return None
    for name, content in value.items():
        if isinstance(content, str) and content and is_sensitive_name(name) and not templates.find_variables(content):
            return str(name)
        if found := _find_secret_field(content):
            return found
    return None
