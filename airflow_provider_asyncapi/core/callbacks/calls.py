"""Callbacks: what a connection says of them, where they come in, and how each is kept."""

from __future__ import annotations

import base64
import binascii
import dataclasses
import enum
import hashlib
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_asyncapi.core.callbacks.signatures import Signature
from airflow_provider_asyncapi.core.connection.fields import read_mapping
from airflow_provider_asyncapi.core.effects import MAX_BODY
from airflow_provider_asyncapi.core.errors import AsyncApiError, ConfigurationError, ForgedCallbackError
from airflow_provider_asyncapi.core.http.documents import parse_form
from airflow_provider_asyncapi.core.http.messages import Headers, Request, Response, most_values
from airflow_provider_asyncapi.core.jobs.layouts import read_fields
from airflow_provider_asyncapi.core.json_values import JsonValue
from airflow_provider_asyncapi.core.selectors.selector import SelectorChain

#: What was asked, in messages about what a callback holds.
CALL = Request("POST", "the job's callback")
#: Below the address of Airflow's API server.
PATH = "/asyncapi/callbacks"
#: Of the layout in which callbacks are kept; see :mod:`~.layouts`.
VERSION = 1
#: Of a callback's URL, in bytes: of the task instance's id, and of what nobody can guess.
_ID_BYTES, _TOKEN_BYTES = 16, 32
#: Of both in Base64.
REFERENCE_LENGTH = (_ID_BYTES + _TOKEN_BYTES) * 4 // 3
_KEYS = ("signature", "identifier")
FORM = "application/x-www-form-urlencoded"


class Callback(enum.StrEnum):
    """What a callback means to a wait."""

    DECIDES = "decides"
    HINT = "hint"

    @classmethod
    def parse(cls, given: Any) -> Callback | None:
        """
        Read the sensor's parameter: True, False, ``"hint"``.

        :raises ConfigurationError: on anything else.
        """
        if given is None or given is False:
            return None
        if given is True:
            return cls.DECIDES
        try:
            return cls(given)
        except ValueError:
            raise ConfigurationError(
                "callback: has to be True (the callback decides), 'hint' (it says when to ask), or False, not"
                f" {given!r}"
            ) from None


@dataclass(frozen=True, slots=True)
class CallbackSettings:
    """
    What a connection says of the API's callbacks.

    :param signature: how they are signed; None where they aren't, and only the URL tells them from others.
    :param secrets: the keys that they are signed with; several while one is replaced by the next.
    :param identifier: where a callback says which job it is about.
    :param compares_identifier: whether one that names another job than was waited for is passed over.
    """

    signature: Signature | None = None
    secrets: tuple[str, ...] = field(default=(), repr=False)
    identifier: SelectorChain | None = None
    compares_identifier: bool = True

    @classmethod
    def parse(cls, fields: Mapping[str, Any]) -> CallbackSettings:
        """
        Read the connection's ``callback`` and ``callback_secret``.

        :raises ConfigurationError: naming what is wrong; no secret is shown.
        """
        where = "connection: callback"
        given = read_mapping(fields, "callback")
        unknown = [name for name in given if name not in _KEYS]
        if unknown:
            raise ConfigurationError(f"{where}: unknown key {unknown[0]!r}; it has {', '.join(_KEYS)}")
        secrets = callback_secrets(fields.get("callback_secret"))
        described = given.get("signature")
        if not isinstance(described, Mapping | None):
            raise ConfigurationError(f"{where}.signature: has to be an object, not {type(described).__name__}")
        signature = None if described is None else Signature.parse(described, f"{where}.signature")
        if (signature is None) != (not secrets):
            raise ConfigurationError(
                f"{where}: signature, and callback_secret, the key that it is made with, need each other"
            )
        place = given.get("identifier")
        identifier = None if place is False else SelectorChain.parse_optional(place, f"{where}.identifier")
        settings = cls(signature, tuple(secrets), identifier, place is not False)
        settings.keys()
        return settings

    def keys(self) -> list[bytes]:
        """
        Give the keys.

        :raises ConfigurationError: where one can't be read.
        """
        return [] if self.signature is None else [self.signature.key(secret) for secret in self.secrets]

    def verify(self, headers: Headers, body: bytes, now: float) -> None:
        """
        Make sure that a call is genuine, where calls are signed.

        :raises ForgedCallbackError: where it isn't.
        """
        if self.signature is not None:
            self.signature.verify(headers, body, self.keys(), now)

    def identity(self, headers: Headers, body: bytes) -> str:
        """Give what is the same for a call and its repetitions."""
        return hashlib.sha256(body).hexdigest() if self.signature is None else self.signature.identity(headers, body)


def callback_secrets(given: Any) -> list[str]:
    """
    Read the keys of the callbacks' signature: one as text, or several as a list.

    :raises ConfigurationError: on anything else; no key is shown.
    """
    if isinstance(given, str) and given.lstrip().startswith("["):
        try:
            given = json.loads(given)
        except ValueError:
            raise ConfigurationError("connection: callback_secret begins like a JSON list, and isn't one") from None
    keys = given if isinstance(given, list) else [given] if given else []
    if not all(isinstance(key, str) and key for key in keys):
        raise ConfigurationError("connection: callback_secret has to be text, or a JSON list of texts")
    return keys


@dataclass(frozen=True, slots=True)
class Reference:
    """
    What the last part of a callback's URL says.

    :param task_instance: the id of the try of the task that has submitted the job.
    :param token: what nobody can guess; only its digest is stored.
    """

    task_instance: uuid.UUID
    token: bytes = field(repr=False)

    @classmethod
    def make(cls, task_instance: uuid.UUID | str, token: bytes) -> Reference:
        """Make one of 32 random bytes."""
        return cls(uuid.UUID(str(task_instance)), token[:_TOKEN_BYTES])

    @classmethod
    def parse(cls, text: str) -> Reference:
        """
        Read what stands in a URL.

        :raises ForgedCallbackError: where it can't be one of ours.
        """
        try:
            raw = base64.b64decode(text.encode("ascii"), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raw = b""
        if len(text) != REFERENCE_LENGTH or len(raw) != _ID_BYTES + _TOKEN_BYTES:
            raise ForgedCallbackError("the URL isn't one that was given away")
        return cls(uuid.UUID(bytes=raw[:_ID_BYTES]), raw[_ID_BYTES:])

    @property
    def text(self) -> str:
        """What stands in the URL; secret."""
        return base64.urlsafe_b64encode(self.task_instance.bytes + self.token).decode()

    @property
    def digest(self) -> str:
        """What is stored of the token."""
        return hashlib.sha256(self.token).hexdigest()


@dataclass(frozen=True, slots=True)
class ReceivedCallback:
    """
    One callback as it came.

    :param identity: the same for its repetitions.
    :param received_at: seconds since the epoch.
    :param content_type: as its header says.
    :param body: the bytes; empty where they are in a file.
    :param path: that file, for large ones.
    """

    identity: str
    received_at: float
    content_type: str = ""
    body: bytes = field(default=b"", repr=False)
    path: str | None = None

    @classmethod
    def parse_all(cls, given: Any) -> list[ReceivedCallback]:
        """
        Read the calls that were kept of one job.

        :raises ConfigurationError: where they can't be read.
        :raises NewerLayoutError: if a newer version of this provider has kept them, and this one can't read them.
        """
        names = [each.name for each in dataclasses.fields(cls)]
        try:
            kept = read_fields(given or {"calls": []}, "the job's callback", version=VERSION, known=("calls",))["calls"]
            known = ({name: each[name] for name in names if name in each} for each in kept)
            return [cls(**{**each, "body": base64.b64decode(each["body"], validate=True)}) for each in known]
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigurationError(
                f"callback: what was kept of it can't be read ({type(error).__name__}); was it kept by another version?"
            ) from None

    def dump(self) -> dict[str, JsonValue]:
        """Give the call as plain data; the body in Base64, for a database takes no NUL in a text."""
        return {**dataclasses.asdict(self), "body": base64.b64encode(self.body).decode()}

    def response(self, body: bytes | None = None) -> Response:
        """
        Give the call as an answer, for selectors and rules.

        :param body: the bytes, where they were in a file.
        """
        content = self.body if body is None else body
        # Large ones are taken only where Airflow's configuration allows for them.
        limit = max(MAX_BODY, len(content))
        headers = Headers([("content-type", self.content_type)])
        answer = Response(200, headers, content, max_values=most_values(limit))
        if answer.content_type == FORM:
            answer.__dict__["json"] = parse_form(answer.body, self.content_type)
        return answer


def identifier_of(settings: CallbackSettings, answer: Response) -> str | int:
    """
    Give the job that a callback is about.

    :raises ForgedCallbackError: where it doesn't say, or calls without an URL of their own aren't expected.
    """
    from airflow_provider_asyncapi.core.jobs.handle import check_identifier

    if settings.identifier is None:
        raise ForgedCallbackError("the connection doesn't say where a callback names its job (callback.identifier)")
    try:
        return check_identifier(settings.identifier.value(answer, {}))
    except AsyncApiError:
        # What is wrong would be told in words of the body, which have no place in the log.
        raise ForgedCallbackError(f"it doesn't name its job at {settings.identifier}") from None


def dump_all(calls: list[ReceivedCallback]) -> dict[str, JsonValue]:
    """Give the calls of one job as plain data."""
    return {"version": VERSION, "calls": [call.dump() for call in calls]}


def by_identifier(conn_id: str, identifier: str | int) -> str:
    """Give a short name for a job of a connection, the same for ``7`` and ``"7"``."""
    return uuid.uuid5(uuid.NAMESPACE_URL, json.dumps([conn_id, str(identifier)])).hex


def by_task(task: Mapping[str, JsonValue]) -> str:
    """Give a short name for a task instance that has submitted a job."""
    return uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(task, sort_keys=True)).hex
