"""Callbacks: the settings of a connection, the URL, and the stored form of each callback."""

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
from typing import TYPE_CHECKING, Any

from airflow_provider_asyncapi.core.callbacks.signatures import Signature
from airflow_provider_asyncapi.core.connection.fields import read_mapping
from airflow_provider_asyncapi.core.errors import AsyncApiError, ConfigurationError, ForgedCallbackError
from airflow_provider_asyncapi.core.http.documents import parse_form
from airflow_provider_asyncapi.core.http.messages import MAX_BODY, Headers, Request, Response, max_json_values
from airflow_provider_asyncapi.core.jobs.handle import check_identifier
from airflow_provider_asyncapi.core.jobs.layouts import read_fields
from airflow_provider_asyncapi.core.json_values import JsonValue
from airflow_provider_asyncapi.core.lazy import LazyModule
from airflow_provider_asyncapi.core.selectors.selector import SelectorChain

if TYPE_CHECKING:
    from airflow_provider_asyncapi.core.callbacks import webhooks
else:
    # Tasks read the connection too, and few connections have webhooks.
    webhooks = LazyModule("airflow_provider_asyncapi.core.callbacks.webhooks")

#: The request in messages about the contents of a callback.
CALLBACK_REQUEST = Request("POST", "the job's callback")
#: Path of callbacks on Airflow's API server.
PATH = "/asyncapi/callbacks"
#: Path of the webhook of a connection.
WEBHOOK_PATH = f"{PATH}/connections/{{conn_id}}/events"
#: Version of the layout in which callbacks are stored; see :mod:`~.layouts`.
VERSION = 1
#: Sizes of the parts of a callback URL, in bytes: the id of the task instance, and the secret token.
_ID_BYTES, _TOKEN_BYTES = 16, 32
#: Length of both parts in Base64.
REFERENCE_LENGTH = (_ID_BYTES + _TOKEN_BYTES) * 4 // 3
_KEYS = ("signature", "identifier", "events", "challenge")
FORM = "application/x-www-form-urlencoded"


class CallbackMode(enum.StrEnum):
    """The meaning of a callback for a wait."""

    DECIDES = "decides"
    HINT = "hint"

    @classmethod
    def parse(cls, given: Any) -> CallbackMode | None:
        """
        Parse the parameter ``callback`` of the sensor: True, False or ``"hint"``.

        :raises ConfigurationError: if it is anything else.
        """
        if given is None or given is False:
            return None
        if given is True:
            return cls.DECIDES
        try:
            return cls(given)
        except ValueError:
            raise ConfigurationError(
                "callback: has to be True (the callback decides), 'hint' (after it the status is polled), or False, not"
                f" {given!r}"
            ) from None


@dataclass(frozen=True, slots=True)
class CallbackSettings:
    """
    The settings of a connection for callbacks.

    :param signature: the signature scheme; None if callbacks aren't signed, and only their secret URL protects them.
    :param secrets: the keys of the signatures; more than one during a rotation.
    :param identifier: the selector of the job's identifier in a callback.
    :param compares_identifier: whether a callback about another job is ignored.
    :param events: the asset events of webhooks.
    :param challenge: how a call that only checks the URL of webhooks is answered.
    """

    signature: Signature | None = None
    secrets: tuple[str, ...] = field(default=(), repr=False)
    identifier: SelectorChain | None = None
    compares_identifier: bool = True
    events: tuple[webhooks.WebhookEvent, ...] = ()
    challenge: webhooks.Challenge | None = None

    @classmethod
    def parse(cls, fields: Mapping[str, Any]) -> CallbackSettings:
        """
        Parse the fields ``callback`` and ``callback_secret`` of a connection.

        :raises ConfigurationError: if a field is invalid; the message names it, and contains no secret.
        """
        where = "callback"
        given = read_mapping(fields, "callback")
        unknown = [name for name in given if name not in _KEYS]
        if unknown:
            raise ConfigurationError(f"{where}: unknown key {unknown[0]!r}; it has {', '.join(_KEYS)}")
        secrets = parse_callback_secrets(fields.get("callback_secret"))
        described = given.get("signature")
        if not isinstance(described, Mapping | None):
            raise ConfigurationError(f"{where}.signature: has to be an object, not {type(described).__name__}")
        signature = None if described is None else Signature.parse(described, f"{where}.signature")
        if (signature is None) != (not secrets):
            raise ConfigurationError(f"{where}: signature and callback_secret, its key, have to be set together")
        place = given.get("identifier")
        identifier = None if place is False else SelectorChain.parse_optional(place, f"{where}.identifier")
        described_webhooks = _parse_webhooks(given, where) if "events" in given or "challenge" in given else {}
        if described_webhooks and signature is None:
            raise ConfigurationError(f"{where}: events and challenge need signature and callback_secret")
        settings = cls(signature, tuple(secrets), identifier, place is not False, **described_webhooks)
        settings.parse_keys()
        return settings

    def parse_keys(self) -> list[bytes]:
        """
        Return the keys of the signatures.

        :raises ConfigurationError: if a key is invalid.
        """
        return [] if self.signature is None else [self.signature.parse_key(secret) for secret in self.secrets]

    def verify(self, headers: Headers, body: bytes, now: float) -> None:
        """
        Check the signature of a callback, if callbacks are signed.

        :raises ForgedCallbackError: if it is invalid.
        """
        if self.signature is not None:
            self.signature.verify(headers, body, self.parse_keys(), now)

    def identity(self, headers: Headers, body: bytes) -> str:
        """Return a text that is equal for a callback and its repetitions."""
        return hashlib.sha256(body).hexdigest() if self.signature is None else self.signature.identity(headers, body)


def _parse_webhooks(given: Mapping[str, Any], where: str) -> dict[str, Any]:
    challenge = given.get("challenge")
    return {
        "events": webhooks.parse_webhook_events(given.get("events"), f"{where}.events"),
        "challenge": None if challenge is None else webhooks.Challenge.parse(challenge, f"{where}.challenge"),
    }


def parse_callback_secrets(given: Any) -> list[str]:
    """
    Parse the keys of the signatures: a string, or a JSON list of strings.

    :raises ConfigurationError: if it is anything else; the message contains no key.
    """
    if isinstance(given, str) and given.lstrip().startswith("["):
        try:
            given = json.loads(given)
        except ValueError:
            raise ConfigurationError("callback_secret begins with '[', but isn't a JSON list") from None
    keys = given if isinstance(given, list) else [given] if given else []
    if not all(isinstance(key, str) and key for key in keys):
        raise ConfigurationError("callback_secret has to be text, or a JSON list of texts")
    return keys


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

        :raises ForgedCallbackError: if this provider can't have made it.
        """
        try:
            raw = base64.b64decode(text.encode("ascii"), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raw = b""
        if len(text) != REFERENCE_LENGTH or len(raw) != _ID_BYTES + _TOKEN_BYTES:
            raise ForgedCallbackError("the URL isn't a callback URL of this provider")
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

    :raises ForgedCallbackError: if the callback contains none, or the connection has no selector for it.
    """
    if settings.identifier is None:
        raise ForgedCallbackError(
            "the connection has no selector for the identifier in callbacks (callback.identifier)"
        )
    try:
        return check_identifier(settings.identifier.find_value(response, {}))
    except AsyncApiError:
        # The original message may quote the body, which mustn't be logged.
        raise ForgedCallbackError(f"it has no identifier of a job at {settings.identifier}") from None


def dump_callbacks(calls: list[ReceivedCallback]) -> dict[str, JsonValue]:
    """Return the callbacks of a job as plain data."""
    return {"version": VERSION, "calls": [call.dump() for call in calls]}


def make_identifier_key(conn_id: str, identifier: str | int) -> str:
    """Return a short key for a job of a connection, which is equal for ``7`` and ``"7"``."""
    return uuid.uuid5(uuid.NAMESPACE_URL, json.dumps([conn_id, str(identifier)])).hex


def make_task_key(task: Mapping[str, JsonValue]) -> str:
    """Return a short key for the task instance that has submitted a job."""
    return uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(task, sort_keys=True)).hex
