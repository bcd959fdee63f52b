"""The public class of the response to a request of the hook."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_asyncapi.core.errors import ContentError
from airflow_provider_asyncapi.core.http.messages import Request
from airflow_provider_asyncapi.core.requests.response_errors import set_error_fields
from airflow_provider_asyncapi.exceptions import to_airflow

if TYPE_CHECKING:
    from lxml import etree

    from airflow_provider_asyncapi.core.http import messages


class AsyncApiResponse:
    """
    The response of an API.

    :ivar status_code: the status code.
    :ivar headers: the header fields; names in any case, repeated fields joined by a comma.
    :ivar content: the decompressed body.
    :ivar url: the URL of the response, after redirects.
    :ivar method: the method of the request, after redirects.
    """

    __slots__ = ("_response", "content", "headers", "method", "status_code", "url")

    def __init__(self, response: messages.Response) -> None:
        self._response = response
        self.status_code = response.status
        self.headers: Mapping[str, str] = response.headers
        self.content = response.body
        self.url = response.url
        self.method = response.method

    def __repr__(self) -> str:
        return repr(self._response)

    @property
    def ok(self) -> bool:
        """Whether the status code is 2xx."""
        return self._response.ok

    @property
    def text(self) -> str:
        """The body as text, in its declared charset; bytes that can't be decoded are replaced."""
        return self._response.text

    def json(self) -> Any:
        """
        Return the body, read as JSON.

        :raises AsyncApiRejected: if it isn't JSON.
        """
        return self._read("json")

    def xml(self) -> etree._Element:
        """
        Return the root element of the body, read as XML by lxml.

        :raises AsyncApiRejected: if it isn't XML, declares entities, or is nested too deeply.
        """
        element: etree._Element = self._read("xml")
        return element

    def _read(self, kind: str) -> Any:
        try:
            return getattr(self._response, kind)
        except ContentError as error:
            request = Request(self.method, self.url)
            text = f"{request} answered {self.status_code}: {error}"
            raise to_airflow(set_error_fields(error.with_message(text), request, self._response)) from error
