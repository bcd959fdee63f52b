"""Access tokens, the store in which processes share them, and how a token is requested."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from airflow_provider_asyncapi.core.json_values import JsonValue

if TYPE_CHECKING:
    from airflow_provider_asyncapi.core.auth.jwt_signing import JwtSigner
    from airflow_provider_asyncapi.core.requests.request_template import RequestTemplate
    from airflow_provider_asyncapi.core.selectors.selector import SelectorChain


#: Seconds before its expiry at which a token is renewed; a tenth of its lifetime if that is shorter.
_RENEW_BEFORE = 30.0


@dataclass(frozen=True, slots=True)
class Token:
    """
    An access token.

    :param value: the token itself.
    :param renew_at: time from which the token is renewed, in seconds since the epoch; None if it doesn't expire.
    :param variables: other values that were captured from the response, such as a refresh token.
    :param was_found: whether another process has requested the token, at an unknown time.
    """

    value: str = field(repr=False)
    renew_at: float | None = None
    variables: Mapping[str, JsonValue] = field(default_factory=dict, repr=False)
    was_found: bool = field(default=False, compare=False)

    def is_fresh(self, now: float) -> bool:
        """Return whether the token may still be used."""
        return self.renew_at is None or now < self.renew_at


def compute_renewal_time(expires_at: float | None, now: float) -> float | None:
    """
    Return when a token is to be renewed; None if it doesn't expire.

    :param expires_at: when it expires.
    """
    if expires_at is None:
        return None
    return expires_at - min(_RENEW_BEFORE, 0.1 * max(0.0, expires_at - now))


class CredentialsLender(Protocol):
    """The credentials of another connection."""

    def lend(self, *, is_rejected: bool) -> Token:
        """
        Return an access token, or the keys that sign requests; this may block.

        :param is_rejected: whether the API has refused the credentials that were returned last.
        :raises ConfigurationError: if there is no such connection, it can't be used, or its provider isn't installed.
        :raises AuthenticationError: if its credentials are refused.
        :raises TransportError: if a later try may succeed.
        """


class TokenLock(Protocol):
    """The right to request a token, until the lock is closed."""

    def close(self) -> None:
        """Release the lock."""


class TokenStore(Protocol):
    """The store in which processes share a token. A store that can't be used has no token; it raises no errors."""

    def lock(self) -> TokenLock | None:
        """Return the right to request a token; None if another process has it."""

    def read(self) -> Token | None:
        """Return the token that was stored last."""

    def write(self, token: Token) -> None:
        """Store a token in place of the previous one."""


class RotatingTokenStore(Protocol):
    """
    The store in which the processes of all hosts find the newest token, and the mark of the process that renews it.

    Each method raises :class:`~.errors.TransportError` if the store is unavailable.
    """

    def read(self) -> Token | None:
        """Return the token that was stored last."""

    def write(self, token: Token) -> None:
        """Store a token in place of the previous one."""

    def read_mark(self) -> str | None:
        """Return the mark that was written last."""

    def write_mark(self, mark: str) -> None:
        """Write a mark in place of the previous one."""


@dataclass(frozen=True, slots=True)
class TokenSource:
    """
    How a token is requested.

    :param request: the request that returns a token.
    :param token: the selector of the token in the response.
    :param refresh: the request that renews a token with the values captured from the last response; if None, the token
        is requested anew.
    :param expiry: the selector of the expiry in the response: seconds, a moment since the epoch, or an ISO date.
    :param lifetime: lifetime of a token in seconds if the response doesn't contain it; None if it doesn't expire.
    :param captures: the selectors of other values that the refresh request needs.
    :param assertion: signs a JSON Web Token for each request, which names it ``{assertion}``.
    :param headers: further headers of the requests, with credentials.
    :param variables: further variables of the requests, with credentials.
    :param refresh_token: the first refresh token, if the request spends one that its response may replace; the newest
        one is ``{refresh_token}``.
    """

    request: RequestTemplate = field(repr=False)
    token: SelectorChain
    refresh: RequestTemplate | None = field(default=None, repr=False)
    expiry: SelectorChain | None = None
    lifetime: float | None = None
    captures: Mapping[str, SelectorChain] = field(default_factory=dict)
    assertion: JwtSigner | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    variables: Mapping[str, JsonValue] = field(default_factory=dict, repr=False)
    refresh_token: str | None = field(default=None, repr=False)
