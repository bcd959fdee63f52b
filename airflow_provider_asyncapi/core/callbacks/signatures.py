r"""
Signatures of callbacks: that the API has sent it, and that nobody has changed it on the way.

Vendors differ in the header, the hash, its encoding and what is signed, so all of that is data::

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

from airflow_provider_asyncapi.core.errors import ConfigurationError, ForgedCallbackError
from airflow_provider_asyncapi.core.http.messages import HEADER_NAME, Headers
from airflow_provider_asyncapi.core.json_values import as_number

#: RFC 2104 with these hashes; MD5 isn't among them.
ALGORITHMS = ("sha256", "sha512", "sha384", "sha1")
ENCODINGS = ("hex", "base64")
_SCHEMES = ("hmac", "standard")
_KEYS = ("scheme", "header", "algorithm", "encoding", "prefix", "signed", "timestamp", "tolerance")
#: What Standard Webhooks sets; the rest of its scheme can't be chosen.
_STANDARD = {
    "header": "webhook-signature",
    "encoding": "base64",
    "prefix": "v1,",
    "signed": "{header:webhook-id}.{header:webhook-timestamp}.{body}",
    "timestamp": "webhook-timestamp",
}
_STANDARD_ID = "webhook-id"
#: Before a key in Base64.
_STANDARD_KEY = "whsec_"
#: Seconds that a call may be old, or early.
_TOLERANCE = 300.0
_PART = re.compile(r"\{(?:body|header:(?P<name>[^{}]+))\}")


@dataclass(frozen=True, slots=True)
class Signature:
    """
    How callbacks are signed.

    :param header: the header that holds the signature; of Standard Webhooks several, separated by spaces.
    :param algorithm: one of :data:`ALGORITHMS`.
    :param encoding: one of :data:`ENCODINGS`.
    :param prefix: what stands before the signature.
    :param signed: what is signed, with ``{body}`` and ``{header:<name>}`` in it.
    :param timestamp: the header that says when, in seconds since the epoch; None where nothing does.
    :param tolerance: seconds from now that this may be away.
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
        Read a signature's description.

        :param given: a mapping with the keys of this class, and ``scheme``: ``hmac`` or ``standard``.
        :param where: what the mapping is called, for messages.
        :raises ConfigurationError: naming the key that is wrong.
        """
        unknown = [name for name in given if name not in _KEYS]
        if unknown:
            raise ConfigurationError(f"{where}: unknown key {unknown[0]!r}; it has {', '.join(_KEYS)}")
        scheme = given.get("scheme", "hmac")
        _one_of(scheme, _SCHEMES, f"{where}.scheme")
        fields = {name: value for name, value in given.items() if name != "scheme" and value is not None}
        if scheme == "standard":
            chosen = fields.keys() - {"tolerance"}
            if chosen:
                raise ConfigurationError(f"{where}: Standard Webhooks says what {min(chosen)} is; leave it out")
            fields = {**_STANDARD, **fields}
        for name in fields.keys() - {"tolerance"}:
            if not isinstance(fields[name], str):
                raise ConfigurationError(f"{where}.{name}: has to be text, not {fields[name]!r}")
        if "header" not in fields:
            raise ConfigurationError(f"{where}.header: is missing; it is the header that holds the signature")
        signature = cls(**{**fields, "tolerance": _tolerance(fields, where)}, standard=scheme == "standard")
        signature._check(where)
        return signature

    def _check(self, where: str) -> None:
        _one_of(self.algorithm, ALGORITHMS, f"{where}.algorithm")
        _one_of(self.encoding, ENCODINGS, f"{where}.encoding")
        for name in (self.header, self.timestamp or self.header, *self.signed_headers):
            if not HEADER_NAME.fullmatch(name):
                raise ConfigurationError(f"{where}: {name!r} can't be the name of a header")
        if "{body}" not in self.signed:
            raise ConfigurationError(f"{where}.signed: {self.signed!r} leaves out the {{body}}")
        timestamp = self.timestamp
        if timestamp is not None and timestamp.lower() not in map(str.lower, self.signed_headers):
            raise ConfigurationError(
                f"{where}.timestamp: anybody could change it, for {self.signed!r} leaves it out; put"
                f" {{header:{timestamp}}} into signed, as the API does"
            )

    @property
    def signed_headers(self) -> list[str]:
        """The headers that are signed too."""
        return [name for name in _PART.findall(self.signed) if name]

    def key(self, text: str) -> bytes:
        """
        Read a key as people paste it.

        :raises ConfigurationError: where it should be Base64, and isn't, or is empty; the key isn't shown.
        """
        if not self.standard:
            return text.encode()
        try:
            key = _from_base64(text.removeprefix(_STANDARD_KEY))
        except ValueError:
            key = b""
        if not key:
            raise ConfigurationError(
                f"connection: callback_secret: a key of Standard Webhooks is Base64, with {_STANDARD_KEY} before it or"
                " without"
            )
        return key

    def verify(self, headers: Headers, body: bytes, keys: Iterable[bytes], now: float) -> None:
        """
        Make sure that a call is genuine, and as it was sent.

        :param keys: any of them may have signed it, so that one can be replaced by the next.
        :param now: seconds since the epoch.
        :raises ForgedCallbackError: where it isn't, or is too old.
        """
        given = self._given(headers)
        if self.timestamp is not None:
            at = as_number(headers.get(self.timestamp))
            if at is None or abs(now - at) > self.tolerance:
                raise ForgedCallbackError(f"{self.timestamp} is missing, or further from now than {self.tolerance:g} s")
        message = self._message(headers, body)
        # All are compared, so that the time it takes tells nothing.
        matches = [
            hmac.compare_digest(hmac.digest(key, message, self.algorithm), each) for key in keys for each in given
        ]
        if not any(matches):
            raise ForgedCallbackError(f"{self.header} doesn't fit the body")

    def identity(self, headers: Headers, body: bytes) -> str:
        """Give what is the same for a call and its repetitions."""
        named = headers.get(_STANDARD_ID) if self.standard else None
        return hashlib.sha256(b"id:" + named.encode() if named else body).hexdigest()

    def _given(self, headers: Headers) -> list[bytes]:
        """Give the signatures that the header holds, decoded."""
        text = headers.get(self.header, "").strip()
        if ", " in text:
            # The header came twice: nobody can tell which of the two is meant.
            text = ""
        found = []
        for each in text.split() if self.standard else [text]:
            if each.startswith(self.prefix) and (code := each[len(self.prefix) :]):
                try:
                    found.append(bytes.fromhex(code) if self.encoding == "hex" else _from_base64(code))
                except ValueError:
                    continue
        if not found:
            raise ForgedCallbackError(f"{self.header} is missing, or isn't {self.prefix!r} with {self.encoding}")
        return found

    def _message(self, headers: Headers, body: bytes) -> bytes:
        parts, end = [], 0
        for match in _PART.finditer(self.signed):
            parts += [self.signed[end : match.start()].encode()]
            name = match["name"]
            if name is not None and name not in headers:
                raise ForgedCallbackError(f"{name} is missing, and is signed")
            parts += [body if name is None else headers[name].encode("latin-1", "replace")]
            end = match.end()
        return b"".join([*parts, self.signed[end:].encode()])


def _from_base64(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def _tolerance(given: Mapping[str, Any], where: str) -> float:
    value = given.get("tolerance", _TOLERANCE)
    seconds = as_number(value)
    if seconds is None or seconds <= 0:
        raise ConfigurationError(f"{where}.tolerance: has to be a number of seconds above 0, not {value!r}")
    return seconds


def _one_of(given: Any, known: tuple[str, ...], where: str) -> None:
    if given not in known:
        raise ConfigurationError(f"{where}: {given!r} isn't one of {', '.join(known)}")
