"""Rows that a page only links to: where their URL is in the page, and the request for them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_asyncapi.core.errors import ResultError
from airflow_provider_asyncapi.core.fetch.paging.next_link import resolve_link
from airflow_provider_asyncapi.core.http.messages import Response
from airflow_provider_asyncapi.core.json_values import JsonValue, as_text
from airflow_provider_asyncapi.core.requests.request_step import RequestStep
from airflow_provider_asyncapi.core.requests.request_template import RequestTemplate
from airflow_provider_asyncapi.core.selectors.options import parse_selector_with_options
from airflow_provider_asyncapi.core.selectors.selector import SelectorChain
from airflow_provider_asyncapi.core.templates import Variables

_KEYS = {"url": "the selector of the URL in a page", "headers": "the selector of the headers for this URL"}
#: How the request names what the page has stated.
_URL, _HEADER = "rows_url", "rows_header_{}"


@dataclass(frozen=True, slots=True)
class RowsUrl:
    """
    Where a page states the URL of its rows.

    :param url: the selector of the URL in a page.
    :param headers: the selector of an object of header fields for the request to this URL; None if it needs none.
    """

    url: SelectorChain
    headers: SelectorChain | None = None

    @classmethod
    def parse_optional(cls, given: Any) -> RowsUrl | None:
        """
        Parse the parameter ``rows_url``: the selector of the URL, or a mapping with ``url`` and ``headers``.

        :raises ConfigurationError: naming the key that is wrong.
        """
        if given is None:
            return None
        url, options = parse_selector_with_options(given, "rows_url", _KEYS)
        return cls(url, SelectorChain.parse_optional(options.get("headers"), "rows_url.headers"))

    def make_request(
        self, step: RequestStep, page: Response, variables: Variables
    ) -> tuple[RequestStep, dict[str, JsonValue]] | None:
        """
        Return the request for the rows of a page, and the variables that it names; None if the page has no such URL.

        The rules of the step are about pages, so the request has none.

        :raises AsyncApiError: if the URL isn't one, or the headers aren't an object.
        """
        found = self.url.find_only(page, variables)
        if found is None or found[1] in (None, "", []):
            return None
        own: dict[str, JsonValue] = {_URL: resolve_link(page, as_text(found[1]), "rows_url")}
        headers = {}
        stated = None if self.headers is None else self.headers.find_only(page, variables)
        for number, (name, value) in enumerate(_read_headers(None if stated is None else stated[1]).items()):
            variable = _HEADER.format(number)
            headers[name], own[variable] = f"{{{variable}}}", value
        request = RequestTemplate(f"{{{_URL}}}", headers=headers)
        return dataclasses.replace(step, request=request, rules=(), captures={}), own


def _read_headers(value: JsonValue) -> Mapping[str, JsonValue]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise ResultError("rows_url.headers: found no object of header fields")
    return value
