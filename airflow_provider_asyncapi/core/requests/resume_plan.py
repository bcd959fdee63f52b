"""The way in which the upload of a file is resumed, as a task describes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_asyncapi.core.errors import ConfigurationError
from airflow_provider_asyncapi.core.requests.bodies import FILE_PARAMETER, RESUME
from airflow_provider_asyncapi.core.requests.request_template import RequestTemplate
from airflow_provider_asyncapi.core.selectors.selector import SelectorChain

#: The variable that contains the position of the first byte of a request. Without it, the API doesn't know the position
#: of the bytes in the file.
_START = "body_start"
_OWN_PARAMETERS = ("offset", "received", "chunk_bytes")


@dataclass(frozen=True, slots=True)
class ResumePlan:
    """
    The way in which an upload is resumed.

    :param request: the request that asks how much of the file the API has.
    :param position: the selector of the position, in its response and in responses to the upload.
    :param is_offset: whether that is the number of bytes; if not, it is the range of them, and an API that has none
        sends no range.
    :param chunk_bytes: the largest number of bytes in one request; None for all the rest of the file.
    """

    request: RequestTemplate
    position: SelectorChain
    is_offset: bool
    chunk_bytes: int | None

    @classmethod
    def parse_optional(cls, given: Mapping[str, Any], upload: RequestTemplate, where: str) -> ResumePlan | None:
        """
        Parse the key ``resume`` of the parameter ``body``; return None if it isn't given.

        :param given: the parameters of the upload.
        :param upload: the upload, whose endpoint is the default of the request here.
        :param where: the name of the upload, for messages.
        :raises ConfigurationError: if it is invalid; the message names the key.
        """
        body = given.get(FILE_PARAMETER)
        described = body.get(RESUME) if isinstance(body, Mapping) else None
        if described is None:
            return None
        where = f"{where}: {FILE_PARAMETER}.{RESUME}"
        if not isinstance(described, Mapping):
            raise ConfigurationError(f"{where}: has to be a mapping that describes a request, not {described!r}")
        request = RequestTemplate.parse(
            {"endpoint": upload.endpoint, **described}, where, method="HEAD", also=_OWN_PARAMETERS
        )
        named = [name for name in ("offset", "received") if described.get(name) is not None]
        if len(named) != 1:
            raise ConfigurationError(
                f"{where}: needs either offset, the selector of the number of bytes that the API has, or received, that"
                " of their range, such as 'header:Range'"
            )
        chunk = described.get("chunk_bytes")
        if chunk is not None and (isinstance(chunk, bool) or not isinstance(chunk, int) or chunk < 1):
            raise ConfigurationError(f"{where}.chunk_bytes: has to be a number of bytes from 1, not {chunk!r}")
        if _START not in upload.find_body_variables():
            raise ConfigurationError(
                f"{where}: the upload has to name {{{_START}}} in its headers or query_params, so that the API knows"
                " where the bytes belong"
            )
        position = SelectorChain.parse(described[named[0]], f"{where}.{named[0]}")
        return cls(request, position, named[0] == "offset", chunk)
