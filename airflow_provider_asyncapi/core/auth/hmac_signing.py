r"""
Sign requests with a shared key (HMAC, RFC 2104) in the scheme of a vendor.

The signed text, the hash, its encoding and the place of the signature differ from vendor to vendor, so they are data::

    {
        "signed": "{timestamp}{method}{target}{body}",
        "key_encoding": "base64",
        "encoding": "base64",
        "headers": {"CB-ACCESS-KEY": "{login}", "CB-ACCESS-SIGN": "{signature}", "CB-ACCESS-TIMESTAMP": "{timestamp}"},
    }
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import hmac
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import formatdate
from typing import Any, ClassVar, Final, Self
from urllib.parse import quote, urlsplit

from airflow_provider_asyncapi.core.auth.base import REFRESH_CODES, Auth, AuthContext, AuthFlow
from airflow_provider_asyncapi.core.auth.clock import describe_clock
from airflow_provider_asyncapi.core.connection.fields import ConnectionField, read_mapping, require_fields
from airflow_provider_asyncapi.core.errors import ConfigurationError
from airflow_provider_asyncapi.core.foreign_names import describe_unknown_key
from airflow_provider_asyncapi.core.http.file_bodies import FileBody, describe_body, find_algorithms
from airflow_provider_asyncapi.core.http.messages import HEADER_NAME, Request, Response

_FIELD = "signing"
_ALGORITHMS = ("sha256", "sha512", "sha384", "sha1", "md5")
_ENCODERS: Final[Mapping[str, Callable[[bytes], str]]] = {
    "hex": lambda digest: digest.hex(),
    "HEX": lambda digest: digest.hex().upper(),
    "base64": lambda digest: base64.b64encode(digest).decode(),
    "base64url": lambda digest: base64.urlsafe_b64encode(digest).decode().rstrip("="),
}
_DECODERS: Final[Mapping[str, Callable[[str], bytes]]] = {
    "text": lambda key: key.encode(),
    "base64": lambda key: base64.b64decode(key, validate=True),
    "hex": bytes.fromhex,
}
_TIMES: Final[Mapping[str, Callable[[float], str]]] = {
    "unix": lambda now: str(int(now)),
    "unix_ms": lambda now: str(int(now * 1000)),
    "iso": lambda now: datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    "http": lambda now: formatdate(now, usegmt=True),
}
#: The variables of templates, except the signature.
_VARIABLES = (
    *("method", "host", "path", "query", "target", "url", "body", "body_sha256", "body_sha256_base64", "body_md5"),
    *("timestamp", "nonce", "login"),
)
_TEXTS = ("signed", "algorithm", "encoding", "key_encoding", "timestamp")
_PLACES = ("headers", "query_params")
_VARIABLE = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class HmacAuth(Auth):
    """
    A signature that is computed from each request.

    :param key: the shared key.
    :param key_name: the public name of the key, ``{login}``.
    :param signed: the template of the text that is signed.
    :param algorithm: the hash.
    :param encoding: the encoding of the signature.
    :param timestamp: the format of ``{timestamp}``.
    :param headers: header names to templates of their values.
    :param query_params: names of query parameters to templates of their values; those before the signature are part of
        ``{query}``, ``{target}`` and ``{url}``.
    """

    name: ClassVar[str] = "hmac"
    summary: ClassVar[str] = "the password is the key that signs each request, the login its name"
    section: ClassVar[str] = "Signed requests"
    fields: ClassVar[tuple[ConnectionField, ...]] = (
        ConnectionField(
            _FIELD,
            "Signing",
            'The text to sign, and the place of the signature, e.g. {"signed": "{timestamp}{method}{target}{body}",'
            ' "headers": {"X-Key": "{login}", "X-Timestamp": "{timestamp}", "X-Signature": "{signature}"}}.',
            "json",
        ),
    )

    key: bytes = field(repr=False)
    key_name: str
    signed: str
    algorithm: str = "sha256"
    encoding: str = "hex"
    timestamp: str = "unix"
    headers: Mapping[str, str] = field(default_factory=dict)
    query_params: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> Self:
        """Parse a connection."""
        require_fields(values, cls.name, password="the key", signing="what is signed")  # noqa: S106 - what it holds
        given = read_mapping(values, _FIELD)
        known = (*_TEXTS, *_PLACES)
        for name, value in given.items():
            if name not in known:
                raise ConfigurationError(f"{_FIELD}: {describe_unknown_key(name, known)}; it has {', '.join(known)}")
            if name in _TEXTS and not isinstance(value, str):
                raise ConfigurationError(f"{_FIELD}.{name}: has to be text, not {value!r}")
        if not given.get("signed"):
            raise ConfigurationError(f"{_FIELD}.signed: is missing; it is the text that is signed")
        _check_variables(given["signed"], "signed", _VARIABLES)
        key_encoding = _choose(given, "key_encoding", _DECODERS)
        try:
            key = _DECODERS[key_encoding](values["password"])
        except (ValueError, binascii.Error):
            # The message doesn't contain the key.
            raise ConfigurationError(f"the password isn't a key in {key_encoding}") from None
        places = {name: _parse_templates(given, name) for name in _PLACES}
        if not any("{signature}" in text for each in places.values() for text in each.values()):
            raise ConfigurationError(f"{_FIELD}: no value of headers or query_params contains {{signature}}")
        return cls(
            key=key,
            key_name=values.get("login") or "",
            signed=given["signed"],
            algorithm=_choose(given, "algorithm", _ALGORITHMS),
            encoding=_choose(given, "encoding", _ENCODERS),
            timestamp=_choose(given, "timestamp", _TIMES),
            headers=places["headers"],
            query_params=places["query_params"],
        )

    @property
    def header_names(self) -> tuple[str, ...]:
        """The headers that contain the signature and its parameters."""
        return tuple(self.headers)

    @property
    def query_names(self) -> tuple[str, ...]:
        """The query parameters that contain the signature and its parameters."""
        return tuple(self.query_params)

    @property
    def body_algorithms(self) -> frozenset[str]:  # type: ignore[override]  # kinds without fields have an attribute
        """The algorithms of the digests that are signed."""
        return find_algorithms(self._variable_names)

    @property
    def _variable_names(self) -> frozenset[str]:
        texts = (self.signed, *self.headers.values(), *self.query_params.values())
        return frozenset(name for text in texts for name in _VARIABLE.findall(text))

    def auth_flow(self, request: Request, context: AuthContext) -> AuthFlow:
        """Send the request with its signature."""
        now = context.clock()
        variables = {
            "timestamp": _TIMES[self.timestamp](now),
            "nonce": context.make_nonce(),
            "login": self.key_name,
            "method": request.method,
        }
        unsigned = {name: text for name, text in self.query_params.items() if "{signature}" not in text}
        request = _add_params(request, unsigned, variables)
        variables |= _describe_request(request, self._variable_names)
        digest = hmac.digest(
            self.key, _render(self.signed, variables).encode("utf-8", "surrogateescape"), self.algorithm
        )
        variables["signature"] = _ENCODERS[self.encoding](digest)
        signature = {name: text for name, text in self.query_params.items() if name not in unsigned}
        request = _add_params(request, signature, variables)
        yield request.with_headers((name, _render(text, variables)) for name, text in self.headers.items())

    def explain_refusal(self, response: Response, now: float) -> str:
        """Return a text about the clock if it may be why the signature was refused."""
        return describe_clock(response, now) if response.status in REFRESH_CODES else ""


def _describe_request(request: Request, names: frozenset[str]) -> dict[str, str]:
    """
    Return the variables that a request sets.

    :param names: the variables that are needed; those of the body take time.
    """
    parts = urlsplit(request.url)
    return {
        "host": parts.netloc,
        "path": parts.path or "/",
        "query": parts.query,
        "target": (parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
        "url": request.url,
        **_describe_body(request, names),
    }


def _describe_body(request: Request, names: frozenset[str]) -> dict[str, str]:
    """
    Return the variables of the body of a request.

    :raises ConfigurationError: if the body contains files, and is to be signed itself.
    """
    variables = {name: str(value) for name, value in describe_body(request.body, names).items()}
    if "body" in names:
        if isinstance(request.body, FileBody):
            raise ConfigurationError(
                f"{request}: the connection's {_FIELD} contains {{body}}, which is impossible for a body that is read"
                " from a file while it is sent; sign {body_sha256} instead if the API can verify that, or send the"
                " content of the file as text"
            )
        variables["body"] = (request.body or b"").decode("utf-8", "surrogateescape")
    return variables


def _add_params(request: Request, templates: Mapping[str, str], variables: Mapping[str, str]) -> Request:
    if not templates:
        return request
    query = "&".join(
        f"{quote(name, safe='')}={quote(_render(text, variables), safe='')}" for name, text in templates.items()
    )
    return dataclasses.replace(request, url=f"{request.url}{'&' if '?' in request.url else '?'}{query}")


def _render(template: str, variables: Mapping[str, str]) -> str:
    return _VARIABLE.sub(lambda match: variables[match[1]], template)


def _choose(given: Mapping[str, Any], name: str, choices: Collection[str]) -> str:
    """Return the value of a key of the field that offers a choice; the first choice by default."""
    chosen = given.get(name) or next(iter(choices))
    if chosen not in choices:
        raise ConfigurationError(f"{_FIELD}.{name}: {chosen!r} isn't one of {', '.join(choices)}")
    return str(chosen)


def _parse_templates(given: Mapping[str, Any], place: str) -> dict[str, str]:
    templates = given.get(place) or {}
    if not isinstance(templates, Mapping):
        raise ConfigurationError(f"{_FIELD}.{place}: has to map names to values, not be {type(templates).__name__}")
    for name, text in templates.items():
        if not isinstance(text, str):
            raise ConfigurationError(f"{_FIELD}.{place}.{name}: has to be text, not {text!r}")
        if place == "headers" and not HEADER_NAME.fullmatch(name):
            raise ConfigurationError(f"{_FIELD}.headers: {name!r} can't be the name of a header")
        _check_variables(text, f"{place}.{name}", (*_VARIABLES, "signature"))
    return dict(templates)


def _check_variables(template: str, name: str, known: tuple[str, ...]) -> None:
    if unknown := [each for each in _VARIABLE.findall(template) if each not in known]:
        raise ConfigurationError(f"{_FIELD}.{name}: unknown variable {{{unknown[0]}}}; known are {', '.join(known)}")
