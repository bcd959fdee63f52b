"""A JSON Web Token, signed by the connection, that the API accepts as it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, ClassVar, Self

from airflow_provider_asyncapi.core.auth.base import REFRESH_CODES, Auth, AuthContext, AuthFlow
from airflow_provider_asyncapi.core.auth.clock import describe_clock
from airflow_provider_asyncapi.core.auth.jwt_signing import JWT_FIELDS, JwtSigner
from airflow_provider_asyncapi.core.connection.fields import ConnectionField
from airflow_provider_asyncapi.core.http.messages import Request, Response

#: The key of the last token, and of the time until which it is sent, in the memory of the connection.
_LATEST = "latest"


@dataclass(frozen=True)
class JwtAuth(Auth):
    """
    A token that the connection signs itself, as Snowflake and Apple's App Store Connect expect it.

    :param signer: signs the tokens.
    """

    name: ClassVar[str] = "jwt"
    summary: ClassVar[str] = "a JSON Web Token, signed with a key"
    fields: ClassVar[tuple[ConnectionField, ...]] = JWT_FIELDS

    signer: JwtSigner

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> Self:
        """Parse a connection."""
        return cls(JwtSigner.parse(values, cls.name, {"iss": values.get("login") or None}))

    @property
    def header_names(self) -> tuple[str, ...]:
        """The header that holds the token."""
        return ("Authorization",)

    def auth_flow(self, request: Request, context: AuthContext) -> AuthFlow:
        """Send the request with a token; after nine tenths of its lifetime, sign a new one."""
        token, until = context.memory.get(_LATEST, ("", 0.0))
        is_new = context.clock() >= until
        response = yield _authorize(request, self._sign(context) if is_new else token)
        if response.status == HTTPStatus.UNAUTHORIZED and not is_new:
            # The clock may have been wrong when the token was signed.
            yield _authorize(request, self._sign(context))

    def explain_refusal(self, response: Response, now: float) -> str:
        """Return a text about the clock if it may be why the token was refused."""
        return describe_clock(response, now) if response.status in REFRESH_CODES else ""

    def _sign(self, context: AuthContext) -> str:
        """Return a new token, and keep it for the next requests."""
        now = context.clock()
        token = self.signer.sign(now, context.make_nonce())
        context.mask(token)
        context.memory[_LATEST] = token, now + 0.9 * (self.signer.lifetime - self.signer.leeway)
        return token


def _authorize(request: Request, token: str) -> Request:
    return request.with_headers([("Authorization", f"Bearer {token}")])
