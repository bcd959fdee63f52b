"""The settings of a connection for callbacks, and the modes in which a wait uses them."""

from __future__ import annotations

import enum
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_asyncapi.core.connection.fields import read_mapping
from airflow_provider_asyncapi.core.errors import ConfigurationError
from airflow_provider_asyncapi.core.foreign_names import describe_unknown_key
from airflow_provider_asyncapi.core.http.messages import Headers, Request
from airflow_provider_asyncapi.core.lazy import LazyModule
from airflow_provider_asyncapi.core.selectors.selector import SelectorChain

if TYPE_CHECKING:
    from airflow_provider_asyncapi.core.callbacks import signatures, webhooks
else:
    # Each task reads a connection, and few connections have callbacks.
    signatures = LazyModule("airflow_provider_asyncapi.core.callbacks.signatures")
    webhooks = LazyModule("airflow_provider_asyncapi.core.callbacks.webhooks")

#: The request in messages about the contents of a callback.
CALLBACK_REQUEST = Request("POST", "the job's callback")
_KEYS = ("signature", "identifier", "events", "challenge")


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

    signature: signatures.Signature | None = None
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
            raise ConfigurationError(f"{where}: {describe_unknown_key(unknown[0], _KEYS)}; it has {', '.join(_KEYS)}")
        secrets = parse_callback_secrets(fields.get("callback_secret"))
        described = given.get("signature")
        if not isinstance(described, Mapping | None):
            raise ConfigurationError(f"{where}.signature: has to be an object, not {type(described).__name__}")
        signature = None if described is None else signatures.Signature.parse(described, f"{where}.signature")
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

        :raises InvalidCallbackError: if it is invalid.
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
