r"""
Signatures of callbacks, which prove that the API has sent a callback and that nobody has changed it.

Vendors differ in the header, the hash, its encoding and the signed text, so all of these are data::

    {"header": "Elements-Webhook-Signature", "encoding": "base64", "prefix": "sha256="}
    {
        "header": "X-Slack-Signature",
        "prefix": "v0=",
        "signed": "v0:{header:X-Slack-Request-Timestamp}:{body}",
        "timestamp": "X-Slack-Request-Timestamp",
    }

``{"scheme": "standard"}`` is that of `Standard Webhooks <https://www.standardwebhooks.com>`_, with symmetric keys.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_asyncapi.core.errors import ConfigurationError, InvalidCallbackError
from airflow_provider_asyncapi.core.foreign_names import describe_unknown_key
from airflow_provider_asyncapi.core.http.messages import HEADER_NAME, Headers
from airflow_provider_asyncapi.core.json_values import as_number

#: RFC 2104 with these hashes; MD5 isn't among them.
ALGORITHMS = ("sha256", "sha512", "sha384", "sha1")
ENCODINGS = ("hex", "base64")
_SCHEMES = ("hmac", "standard")
_KEYS = ("scheme", "header", "algorithm", "encoding", "prefix", "signed", "timestamp", "tolerance")
#: The values of Standard Webhooks, which can't be changed.
_STANDARD = {
    "header": "webhook-signature",
    "encoding": "base64",
    "prefix": "v1,",
    "signed": "{header:webhook-id}.{header:webhook-timestamp}.{body}",
    "timestamp": "webhook-timestamp",
}
_STANDARD_ID = "webhook-id"
#: Prefix of a key in Base64.
_STANDARD_KEY = "whsec_"
#: Largest difference between the timestamp of a callback and now, in seconds.
_TOLERANCE = 300.0
_PART = re.compile(r"\{(?:body|header:(?P<name>[^{}]+))\}")


@dataclass(frozen=True, slots=True)
class Signature:
    """
    The signature scheme of callbacks.

    :param header: the header with the signature; in Standard Webhooks, signatures separated by spaces.
    :param algorithm: one of :data:`ALGORITHMS`.
    :param encoding: one of :data:`ENCODINGS`.
    :param prefix: the text before the signature.
    :param signed: the signed text, with ``{body}`` and ``{header:<name>}``.
    :param timestamp: the header with the time, in seconds since the epoch; None if there is none.
    :param tolerance: largest difference between this time and now, in seconds.
    :param standard: whether this is Standard Webhooks.
    """

    header: str
    algorithm: str = "sha256"
    encoding: str = "hex"
    prefix: str = ""
    signed: str = "{body}"
    timestamp: str | None = None
    tolerance: float = _TOLERANCE
    standard: bool = False

    @classmethod
    def parse(cls, given: Mapping[str, Any], where: str) -> Signature:
        """
        Parse the description of a signature scheme.

        :param given: a mapping with the keys of this class, and ``scheme``: ``hmac`` or ``standard``.
        :param where: the name of the mapping, for messages.
        :raises ConfigurationError: if it is invalid; the message names the key.
        """
        unknown = [name for name in given if name not in _KEYS]
        if unknown:
            raise ConfigurationError(f"{where}: {describe_unknown_key(unknown[0], _KEYS)}; it has {', '.join(_KEYS)}")
        scheme = given.get("scheme", "hmac")
        _check_choice(scheme, _SCHEMES, f"{where}.scheme")
        fields = {name: value for name, value in given.items() if name != "scheme" and value is not None}
        if scheme == "standard":
            chosen = fields.keys() - {"tolerance"}
            if chosen:
                raise ConfigurationError(f"{where}: Standard Webhooks defines {min(chosen)}; leave it out")
            fields = {**_STANDARD, **fields}
        for name in fields.keys() - {"tolerance"}:
            if not isinstance(fields[name], str):
                raise ConfigurationError(f"{where}.{name}: has to be text, not {fields[name]!r}")
        if "header" not in fields:
            raise ConfigurationError(f"{where}.header: is missing; it is the name of the header with the signature")
        signature = cls(**{**fields, "tolerance": _parse_tolerance(fields, where)}, standard=scheme == "standard")
        signature._check(where)
        return signature

    def _check(self, where: str) -> None:
        _check_choice(self.algorithm, ALGORITHMS, f"{where}.algorithm")
        _check_choice(self.encoding, ENCODINGS, f"{where}.encoding")
        for name in (self.header, self.timestamp or self.header, *self.signed_headers):
            if not HEADER_NAME.fullmatch(name):
                raise ConfigurationError(f"{where}: {name!r} can't be the name of a header")
        if "{body}" not in self.signed:
            raise ConfigurationError(f"{where}.signed: {self.signed!r} doesn't contain {{body}}")
        timestamp = self.timestamp
        if timestamp is not None and timestamp.lower() not in map(str.lower, self.signed_headers):
            raise ConfigurationError(
                f"{where}.timestamp: anybody could change it, since {self.signed!r} doesn't contain it; put"
                f" {{header:{timestamp}}} into signed, as the API does"
            )

    @property
    def signed_headers(self) -> list[str]:
        """The names of the signed headers."""
        return [name for name in _PART.findall(self.signed) if name]

    def parse_key(self, text: str) -> bytes:
        """
        Parse a key.

        :raises ConfigurationError: if it should be Base64 and isn't, or is empty; the message doesn't contain the key.
        """
        if not self.standard:
            return text.encode()
        try:
            key = _decode_base64(text.removeprefix(_STANDARD_KEY))
        except ValueError:
            key = b""
        if not key:
            raise ConfigurationError(
                f"callback_secret: a key of Standard Webhooks is Base64, with {_STANDARD_KEY} before it or without"
            )
        return key

    def verify(self, headers: Headers, body: bytes, keys: Iterable[bytes], now: float) -> None:
        """
        Check the signature of a callback.

        :param keys: the keys, any of which may have signed it, so that keys can be rotated.
        :param now: the current time, in seconds since the epoch.
        :raises InvalidCallbackError: if the signature is invalid, or the callback is too old.
        """
        try:
            given = self._parse_signatures(headers)
            self._check_age(headers, now)
            message = self._build_message(headers, body)
        except InvalidCallbackError:
            # As much work as for a signature that doesn't match, so that the time of the response reveals nothing.
            hmac.digest(b"nobody", body, self.algorithm)
            raise
        # All of them are compared, so that the time this takes reveals nothing.
        matches = [
            hmac.compare_digest(hmac.digest(key, message, self.algorithm), each) for key in keys for each in given
        ]
        if not any(matches):
            raise InvalidCallbackError(f"{self.header} doesn't match the body")

    def identity(self, headers: Headers, body: bytes) -> str:
        """Return a text that is equal for a callback and its repetitions."""
        named = headers.get(_STANDARD_ID) if self.standard else None
        return hashlib.sha256(b"id:" + named.encode() if named else body).hexdigest()

    def _check_age(self, headers: Headers, now: float) -> None:
        if self.timestamp is None:
            return
        at = as_number(headers.get(self.timestamp))
        if at is None or abs(now - at) > self.tolerance:
            raise InvalidCallbackError(f"{self.timestamp} is missing, or further from now than {self.tolerance:g} s")

    def _parse_signatures(self, headers: Headers) -> list[bytes]:
        """Return the decoded signatures of the header."""
        text = headers.get(self.header, "").strip()
        if ", " in text:
            # The header was sent twice, and it isn't clear which of the two counts.
            text = ""
        found = []
        for each in text.split() if self.standard else [text]:
            if each.startswith(self.prefix) and (code := each[len(self.prefix) :]):
                try:
                    found.append(bytes.fromhex(code) if self.encoding == "hex" else _decode_base64(code))
                except ValueError:
                    continue
        if not found:
            raise InvalidCallbackError(f"{self.header} is missing, or isn't {self.prefix!r} with {self.encoding}")
        return found

    def _build_message(self, headers: Headers, body: bytes) -> bytes:
        parts, end = [], 0
        for match in _PART.finditer(self.signed):
            parts += [self.signed[end : match.start()].encode()]
            name = match["name"]
            if name is not None and name not in headers:
                raise InvalidCallbackError(f"{name} is missing, and is signed")
            parts += [body if name is None else headers[name].encode("latin-1", "replace")]
            end = match.end()
        return b"".join([*parts, self.signed[end:].encode()])


def _decode_base64(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def _parse_tolerance(given: Mapping[str, Any], where: str) -> float:
    value = given.get("tolerance", _TOLERANCE)
    seconds = as_number(value)
    if seconds is None or seconds <= 0:
        raise ConfigurationError(f"{where}.tolerance: has to be a number of seconds above 0, not {value!r}")
    return seconds


def _check_choice(given: Any, known: tuple[str, ...], where: str) -> None:
    if given not in known:
        raise ConfigurationError(f"{where}: {given!r} isn't one of {', '.join(known)}")
