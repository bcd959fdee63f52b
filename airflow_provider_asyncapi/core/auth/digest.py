"""HTTP Digest authentication (RFC 7616), with the algorithms and the quality of protection that servers use."""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from itertools import zip_longest
from typing import Any, ClassVar, Final, Self
from urllib.parse import urlsplit

from airflow_provider_asyncapi.core.auth.base import Auth, AuthContext, AuthFlow
from airflow_provider_asyncapi.core.connection.fields import require_fields
from airflow_provider_asyncapi.core.errors import ConfigurationError
from airflow_provider_asyncapi.core.http.messages import Request

_HASHES: Final[Mapping[str, Callable[[bytes], Any]]] = {
    "MD5": lambda data: hashlib.md5(data, usedforsecurity=False),
    "SHA-256": hashlib.sha256,
    "SHA-512-256": lambda data: hashlib.new("sha512_256", data),
}
#: In the order of preference: a server may send a challenge for each.
_ALGORITHMS = tuple(
    f"{name}{suffix}"
    for name in ("SHA-512-256", "SHA-256", "MD5")
    for suffix in ("-sess", "")
    # Some builds of OpenSSL lack it.
    if name != "SHA-512-256" or "sha512_256" in hashlib.algorithms_available
)
_PARAMETER = re.compile(r'(\w+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')
_SCHEME = re.compile(r"(?:^|,)\s*(\w+)\s+(?=\w+\s*=)")
#: The key of the last challenge in the memory of the connection.
_SESSION = "session"


@dataclass(frozen=True, slots=True)
class Challenge:
    """
    A challenge of the server.

    :param algorithm: one of :data:`_ALGORITHMS`.
    :param qop: the quality of protection, ``auth``; None for a server of RFC 2069.
    :param opaque: what the server wants to get back; None if it sent nothing.
    """

    realm: str
    nonce: str
    algorithm: str
    qop: str | None
    opaque: str | None

    @classmethod
    def parse(cls, header: str) -> Challenge | None:
        """Return the strongest challenge of a header ``WWW-Authenticate`` that can be answered; None for none."""
        starts = list(_SCHEME.finditer(header))
        found = []
        for start, following in zip_longest(starts, starts[1:]):
            end = len(header) if following is None else following.start()
            if start[1].lower() != "digest":
                continue
            matches = _PARAMETER.finditer(header, start.end(), end)
            given = {match[1].lower(): re.sub(r"\\(.)", r"\1", match[2] or match[3] or "") for match in matches}
            algorithm = given.get("algorithm", "MD5")
            known = next((each for each in _ALGORITHMS if each.lower() == algorithm.lower()), None)
            offered = [each.strip() for each in given.get("qop", "").split(",")]
            if known is None or "nonce" not in given or ("qop" in given and "auth" not in offered):
                continue
            qop = "auth" if "qop" in given else None
            found.append(cls(given.get("realm", ""), given["nonce"], known, qop, given.get("opaque")))
        return min(found, key=lambda each: _ALGORITHMS.index(each.algorithm), default=None)


@dataclass(frozen=True, slots=True)
class _Session:
    """The last challenge, and a counter of the requests that have answered it: servers check it."""

    challenge: Challenge
    counter: Iterator[int] = field(default_factory=lambda: itertools.count(1))


@dataclass(frozen=True)
class DigestAuth(Auth):
    """
    Login and password, of which only a hash with the server's challenge is sent.

    :param user: the user name.
    :param password: the password.
    """

    name: ClassVar[str] = "digest"
    summary: ClassVar[str] = "login and password, of which only a hash is sent"

    user: str
    password: str = field(repr=False)

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> Self:
        """Parse a connection."""
        require_fields(values, cls.name, login="the user name")
        if not values["login"].isascii():
            raise ConfigurationError("the login of auth 'digest' can only hold ASCII characters")
        return cls(values["login"], values.get("password") or "")

    @property
    def header_names(self) -> tuple[str, ...]:
        """The header that holds the response to the challenge."""
        return ("Authorization",)

    def auth_flow(self, request: Request, context: AuthContext) -> AuthFlow:
        """Send the request with a response to the last challenge, and again if the server sends a new one."""
        known: _Session | None = context.memory.get(_SESSION)
        response = yield request if known is None else self._authorize(request, known, context)
        challenge = None
        if response.status == HTTPStatus.UNAUTHORIZED:
            challenge = Challenge.parse(response.headers.get("www-authenticate", ""))
        # The same challenge again means that the credentials are wrong.
        if challenge is not None and (known is None or known.challenge.nonce != challenge.nonce):
            session = context.memory[_SESSION] = _Session(challenge)
            yield self._authorize(request, session, context)

    def _authorize(self, request: Request, session: _Session, context: AuthContext) -> Request:
        """Return the request with the response to a challenge (RFC 7616, section 3.4)."""
        challenge = session.challenge
        hashed = _HASHES[challenge.algorithm.removesuffix("-sess")]

        def digest(*parts: str) -> str:
            return str(hashed(":".join(parts).encode()).hexdigest())

        parts = urlsplit(request.url)
        uri = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        client_nonce = context.make_nonce()
        count = f"{next(session.counter):08x}"
        secret = digest(self.user, challenge.realm, self.password)
        if challenge.algorithm.endswith("-sess"):
            secret = digest(secret, challenge.nonce, client_nonce)
        protected = (count, client_nonce, challenge.qop) if challenge.qop else ()
        response = digest(secret, challenge.nonce, *protected, digest(request.method, uri))
        quoted = {"username": self.user, "realm": challenge.realm, "nonce": challenge.nonce, "uri": uri}
        quoted |= {"response": response} | ({} if challenge.opaque is None else {"opaque": challenge.opaque})
        fields = [f"{name}={_quote(value)}" for name, value in quoted.items()]
        fields.append(f"algorithm={challenge.algorithm}")
        if challenge.qop or challenge.algorithm.endswith("-sess"):
            fields += [f'cnonce="{client_nonce}"']
        if challenge.qop:
            fields += [f"qop={challenge.qop}", f"nc={count}"]
        return request.with_headers([("Authorization", f"Digest {', '.join(fields)}")])


def _quote(text: str) -> str:
    """Return a quoted string (RFC 9110, section 5.6.4)."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
