"""Login tokens, where processes share them, and how a token is requested."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from airflow_provider_asyncapi.core.json_values import JsonValue

if TYPE_CHECKING:
    from airflow_provider_asyncapi.core.auth.jwt_signing import JwtSigner
    from airflow_provider_asyncapi.core.requests.request_template import RequestTemplate
    from airflow_provider_asyncapi.core.selectors.selector import SelectorChain


@dataclass(frozen=True, slots=True)
class Token:
    """
    The result of a login.

    :param value: the token itself.
    :param renew_at: time from which the token is renewed, in seconds since the epoch; None if it doesn't expire.
    :param variables: other values that the login captured, such as a refresh token.
    :param was_found: whether another process has logged in for it, at an unknown time.
    """

    value: str = field(repr=False)
    renew_at: float | None = None
    variables: Mapping[str, JsonValue] = field(default_factory=dict, repr=False)
    was_found: bool = field(default=False, compare=False)

    def is_fresh(self, now: float) -> bool:
        """Return whether the token may still be used."""
        return self.renew_at is None or now < self.renew_at


class LoginLock(Protocol):
    """The right to log in, until it is closed."""

    def close(self) -> None:
        """Release the lock."""


class TokenStore(Protocol):
    """Where processes share a token. If anything is wrong with the store, it has no token; it raises no errors."""

    def lock(self) -> LoginLock | None:
        """Return the right to log in; None if another process has it."""

    def read(self) -> Token | None:
        """Return the token that was stored last."""

    def write(self, token: Token) -> None:
        """Store a token in place of the previous one."""


@dataclass(frozen=True, slots=True)
class Login:
    """
    How a token is requested.

    :param request: the login request.
    :param token: the selector of the token in the response.
    :param refresh: the request that renews a token with what the last login captured; if None, ``request`` does.
    :param expiry: the selector of the expiry in the response: seconds, a moment since the epoch, or an ISO date.
    :param lifetime: lifetime of a token in seconds if the response doesn't say; None if it doesn't expire.
    :param captures: the selectors of other values that the refresh request needs.
    :param assertion: signs a JSON Web Token for each login, which the login request names ``{assertion}``.
    """

    request: RequestTemplate = field(repr=False)
    token: SelectorChain
    refresh: RequestTemplate | None = field(default=None, repr=False)
    expiry: SelectorChain | None = None
    lifetime: float | None = None
    captures: Mapping[str, SelectorChain] = field(default_factory=dict)
    assertion: JwtSigner | None = None
