"""Callbacks: the URL of a job, and the stored form of each callback."""

from __future__ import annotations

import base64
import binascii
import dataclasses
import hashlib
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_asyncapi.core.callbacks.settings import CallbackSettings
from airflow_provider_asyncapi.core.errors import AsyncApiError, ConfigurationError, InvalidCallbackError
from airflow_provider_asyncapi.core.http.documents import parse_form
from airflow_provider_asyncapi.core.http.messages import MAX_BODY, Headers, Response, max_json_values
from airflow_provider_asyncapi.core.jobs.handle import check_identifier
from airflow_provider_asyncapi.core.jobs.stored_fields import read_fields
from airflow_provider_asyncapi.core.json_values import JsonValue

#: Path of callbacks on Airflow's API server.
PATH = "/asyncapi/callbacks"
#: Path of the webhook of a connection.
WEBHOOK_PATH = f"{PATH}/connections/{{conn_id}}/events"
#: Version of the layout in which callbacks are stored; see :mod:`~.stored_fields`.
VERSION = 1
#: Sizes of the parts of a callback URL, in bytes: the id of the task instance, and the secret token.
_ID_BYTES, _TOKEN_BYTES = 16, 32
#: Length of both parts in Base64.
REFERENCE_LENGTH = (_ID_BYTES + _TOKEN_BYTES) * 4 // 3
FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class CallbackReference:
    """
    The last part of a callback URL.

    :param task_instance: the id of the task instance, that is, of the try, that has submitted the job.
    :param token: a secret token; only its digest is stored.
    """

    task_instance: uuid.UUID
    token: bytes = field(repr=False)

    @classmethod
    def make(cls, task_instance: uuid.UUID | str, token: bytes) -> CallbackReference:
        """Return a reference with a token of 32 random bytes."""
        return cls(uuid.UUID(str(task_instance)), token[:_TOKEN_BYTES])

    @classmethod
    def parse(cls, text: str) -> CallbackReference:
        """
        Parse the last part of a URL.

        :raises InvalidCallbackError: if this provider can't have made it.
        """
        try:
            raw = base64.b64decode(text.encode("ascii"), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raw = b""
        if len(text) != REFERENCE_LENGTH or len(raw) != _ID_BYTES + _TOKEN_BYTES:
            raise InvalidCallbackError("the URL isn't a callback URL of this provider")
        return cls(uuid.UUID(bytes=raw[:_ID_BYTES]), raw[_ID_BYTES:])

    @property
    def text(self) -> str:
        """The text in the URL; it is secret."""
        return base64.urlsafe_b64encode(self.task_instance.bytes + self.token).decode()

    @property
    def digest(self) -> str:
        """The digest of the token, which is stored."""
        return hashlib.sha256(self.token).hexdigest()


@dataclass(frozen=True, slots=True)
class ReceivedCallback:
    """
    A callback as it was received.

    :param identity: a text that is equal for its repetitions.
    :param received_at: time of arrival, in seconds since the epoch.
    :param content_type: the value of its ``Content-Type``.
    :param body: the body; empty if it is stored in a file.
    :param path: the file with a large body.
    """

    identity: str
    received_at: float
    content_type: str = ""
    body: bytes = field(default=b"", repr=False)
    path: str | None = None

    @classmethod
    def parse_callbacks(cls, given: Any) -> list[ReceivedCallback]:
        """
        Parse the stored callbacks of a job.

        :raises ConfigurationError: if they can't be read.
        :raises NewerLayoutError: if a newer version of this provider has stored them in a layout that this one can't
            read.
        """
        names = [each.name for each in dataclasses.fields(cls)]
        try:
            kept = read_fields(given or {"calls": []}, "the job's callback", version=VERSION, known=("calls",))["calls"]
            known = ({name: each[name] for name in names if name in each} for each in kept)
            return [cls(**{**each, "body": base64.b64decode(each["body"], validate=True)}) for each in known]
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigurationError(
                f"callback: the stored callbacks can't be read ({type(error).__name__}); another version may have"
                " stored them"
            ) from None

    def dump(self) -> dict[str, JsonValue]:
        """Return the callback as plain data; the body is in Base64, since databases accept no NUL in a text."""
        return {**dataclasses.asdict(self), "body": base64.b64encode(self.body).decode()}

    def response(self, body: bytes | None = None) -> Response:
        """
        Return the callback as a response, for selectors and rules.

        :param body: the body if it is stored in a file.
        """
        content = self.body if body is None else body
        # Larger bodies are accepted only if Airflow's configuration allows them.
        limit = max(MAX_BODY, len(content))
        return make_response(Headers([("content-type", self.content_type)]), content, limit)


def make_response(headers: Headers, content: bytes, limit: int = MAX_BODY) -> Response:
    """
    Return a call as a response, for selectors and rules.

    :param limit: the number of bytes that the body may have.
    """
    response = Response(200, headers, content, max_values=max_json_values(limit))
    if response.content_type == FORM:
        response.__dict__["json"] = parse_form(response.body, headers.get("content-type", ""))
    return response


def extract_identifier(settings: CallbackSettings, response: Response) -> str | int:
    """
    Return the identifier of the job that a callback is about.

    :raises InvalidCallbackError: if the callback contains none, or the connection has no selector for it.
    """
    if settings.identifier is None:
        raise InvalidCallbackError(
            "the connection has no selector for the identifier in callbacks (callback.identifier)"
        )
    try:
        return check_identifier(settings.identifier.find_value(response, {}))
    except AsyncApiError:
        # The original message may quote the body, which mustn't be logged.
        raise InvalidCallbackError(f"it has no identifier of a job at {settings.identifier}") from None


def dump_callbacks(calls: list[ReceivedCallback]) -> dict[str, JsonValue]:
    """Return the callbacks of a job as plain data."""
    return {"version": VERSION, "calls": [call.dump() for call in calls]}


def make_identifier_key(conn_id: str, identifier: str | int) -> str:
    """Return a short key for a job of a connection, which is equal for ``7`` and ``"7"``."""
    return uuid.uuid5(uuid.NAMESPACE_URL, json.dumps([conn_id, str(identifier)])).hex


def make_task_key(task: Mapping[str, JsonValue]) -> str:
    """Return a short key for the task instance that has submitted a job."""
    return uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(task, sort_keys=True)).hex
