"""Merge the connection's headers with the headers of a request and of its body."""

from __future__ import annotations

from airflow_provider_asyncapi.core.connection.settings import ConnectionSettings
from airflow_provider_asyncapi.core.errors import ConfigurationError
from airflow_provider_asyncapi.core.http.messages import Request, parse_media_type

_CONTENT_TYPE = "content-type"
#: A body is written as its media type says: under another one the server would read something else.
_FORMS = frozenset({"application/x-www-form-urlencoded", "multipart/form-data"})


def add_connection_headers(request: Request, settings: ConnectionSettings) -> Request:
    """
    Return the request with the connection's headers, and then with its default headers.

    A header of the task overrides one of the connection, which overrides a default header.

    :raises ConfigurationError: if the connection's Content-Type can't be that of the request's body.
    """
    own = [
        (name, value)
        for name, value in settings.headers.items()
        if name.lower() != _CONTENT_TYPE or request.has_header(name) or not _keeps_form_content_type(request, value)
    ]
    return request.with_missing_headers(own).with_default_headers()


def _keeps_form_content_type(request: Request, content_type: str) -> bool:
    """Return whether the body is a form, so that its own Content-Type is sent, which is equal to the connection's."""
    default = next((value for name, value in request.default_headers if name.lower() == _CONTENT_TYPE), "")
    kind = parse_media_type(default)
    if kind not in _FORMS:
        return False
    if parse_media_type(content_type) != kind:
        raise ConfigurationError(
            f"connection: headers: the Content-Type {content_type!r} can't be that of {request}, whose body is {kind};"
            f" give this request its own, headers={{'Content-Type': '{kind}'}}, or take it out of the connection"
        )
    return True
