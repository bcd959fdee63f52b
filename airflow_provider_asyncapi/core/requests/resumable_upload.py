"""
Uploads that are resumed after an interruption, from the position up to which the API has the file.

The protocols differ only in how they state positions: tus (https://tus.io/protocols/resumable-upload), the draft of the
IETF (https://datatracker.ietf.org/doc/draft-ietf-httpbis-resumable-upload) and Google's resumable uploads
(https://cloud.google.com/storage/docs/performing-resumable-uploads), whose incomplete uploads answer 308.
"""

from __future__ import annotations

import dataclasses
import re
from http import HTTPStatus

from airflow_provider_asyncapi.core.connection.api import Api
from airflow_provider_asyncapi.core.effects import Flow
from airflow_provider_asyncapi.core.errors import ContentError, MissingValueError, TransportError
from airflow_provider_asyncapi.core.http.file_bodies import SourceFile
from airflow_provider_asyncapi.core.http.messages import Request, Response
from airflow_provider_asyncapi.core.outcome import FILE_SIZE
from airflow_provider_asyncapi.core.requests import exchange
from airflow_provider_asyncapi.core.requests.bodies import RESUME
from airflow_provider_asyncapi.core.requests.classification import is_transient
from airflow_provider_asyncapi.core.requests.request_files import build_request
from airflow_provider_asyncapi.core.requests.request_template import RequestTemplate
from airflow_provider_asyncapi.core.requests.response_errors import describe_bad_response, set_error_fields
from airflow_provider_asyncapi.core.requests.response_policy import ResponsePolicy
from airflow_provider_asyncapi.core.requests.resume_plan import ResumePlan
from airflow_provider_asyncapi.core.templates import Variables

#: Status codes by which an API refuses bytes because it has others than the client assumes, or still processes those of
#: the connection that has broken: 409 and 423 in tus, 416 in Microsoft Graph.
_OUT_OF_STEP = frozenset({409, 416, 423})
#: A number, or the first number of a range of missing bytes, such as Microsoft Graph's "26-".
_OFFSET = re.compile(r"\s*(\d+)(?:-\d*)?\s*")
#: A range of received bytes from the beginning, such as Google's "bytes=0-42".
_RECEIVED = re.compile(r"\s*(?:bytes[= ])?0-(\d+)(?:/.*)?\s*")


class ResumableUpload:
    """
    One upload, over as many requests as it takes.

    :param template: the request that sends the rest of the file, or a part of it.
    :param variables: the variables of both requests.
    :param file: the file.
    :param reference_base: the URL against which references from the API are resolved.
    :ivar received: the largest number of bytes that the API is known to have.
    """

    def __init__(
        self,
        api: Api,
        plan: ResumePlan,
        template: RequestTemplate,
        variables: Variables,
        file: SourceFile,
        reference_base: str | None,
    ) -> None:
        self._api, self._plan, self._template, self._file = api, plan, template, file
        self._variables = api.merge_variables(variables, {FILE_SIZE: file.size})
        self._reference_base = reference_base
        self.received = 0

    def build_request(self, start: int = 0) -> Flow[Request]:
        """Return the request that sends the file from a position on."""
        files, span = {"": self._file}, (start, self._stop_of(start))
        base = self._reference_base
        return (
            yield from build_request(self._api, self._template, self._variables, files, reference_base=base, span=span)
        )

    def send(self, policy: ResponsePolicy) -> Flow[Response]:
        """
        Ask how much the API has, and send the rest.

        :param policy: what the responses mean.
        :return: the response that completes the upload, or the first one that refuses a request.
        :raises TransportError: if the connection breaks, or the API keeps nothing of what was sent.
        :raises MissingValueError: if the API doesn't state how much it has.
        """
        request = self._api.render_request(self._plan.request, self._variables, reference_base=self._reference_base)
        response = yield from exchange.send(self._api, request, policy)
        start = self._find_start(request, response, None, policy)
        while start is not None:
            request = yield from self.build_request(start)
            # The driver mustn't repeat it by itself: the API may have kept a part of the bytes.
            response = yield from exchange.send(self._api, request, dataclasses.replace(policy, is_repeatable=False))
            sent, start = start, self._find_start(request, response, start, policy)
            if start is not None and start <= sent:
                raise TransportError(f"{request} answered {response.status}, and the API has kept none of its bytes")
        return response

    @staticmethod
    def takes_for_transient(response: Response) -> bool:
        """Return whether a later try may get a better response, also because it asks for the position again."""
        return is_transient(response.status) or response.status in _OUT_OF_STEP

    def _find_start(
        self, request: Request, response: Response, sent_from: int | None, policy: ResponsePolicy
    ) -> int | None:
        """
        Return the position from which the rest has to be sent; None if the response ends the upload.

        :param sent_from: the position from which the request has sent bytes; None if it has only asked.
        """
        is_incomplete = response.status == HTTPStatus.PERMANENT_REDIRECT
        if not (response.ok or is_incomplete) or policy.ends_exchange(response):
            return None
        position = self._read_position(request, response)
        if position is None and sent_from is not None and response.ok:
            position = self._stop_of(sent_from)
        elif position is None and not self._plan.is_offset:
            # To an upload that is complete, Google answers as to its last request.
            position = 0 if is_incomplete else self._file.size
        if position is None:
            raise self._build_error(request, response, "doesn't say how much of the file the API has")
        if position > self._file.size:
            raise self._build_error(request, response, f"says {position} bytes, and the file has {self._file.size}")
        self.received = max(self.received, position)
        return position if position < self._file.size else None

    def _read_position(self, request: Request, response: Response) -> int | None:
        """Return the number of bytes that the API has by its response; None if the response doesn't state it."""
        try:
            value = self._plan.position.find_value(response, self._variables)
        except ContentError:
            # An acknowledgement may have no body.
            value = None
        if value is None:
            return None
        pattern = _OFFSET if self._plan.is_offset else _RECEIVED
        match = pattern.fullmatch(str(value))
        if match is None:
            raise self._build_error(request, response, f"is no position in a file: {value!r}")
        return int(match[1]) + (not self._plan.is_offset)

    def _stop_of(self, start: int) -> int:
        chunk = self._plan.chunk_bytes
        return self._file.size if chunk is None else min(start + chunk, self._file.size)

    def _build_error(self, request: Request, response: Response, problem: str) -> MissingValueError:
        name = "offset" if self._plan.is_offset else "received"
        error = MissingValueError(f"{RESUME}.{name}: {self._plan.position} {problem}")
        text = describe_bad_response(self._api, request, response, error)
        return set_error_fields(MissingValueError(text), request, response)
