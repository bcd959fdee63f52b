"""Admit to the API that Panoply Flex addresses: each kind of authentication its model knows."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import TYPE_CHECKING

from demo.server.web import JsonObject, RefusedError, basic, bearer

if TYPE_CHECKING:
    from aiohttp import web

    from demo.server.settings import Clock

CLIENT, SECRET = "demo", "demo-secret"
API_KEY = "flex-key"
TOKEN_HEADER, KEY_HEADER, KEY_PARAMETER = "X-Access-Token", "X-Api-Key", "api_key"
LINK_SECONDS = 3600


def refuse(status: int, message: str, code: str = "") -> RefusedError:
    """Wrap an error in the shape of the API."""
    words = {400: "bad_request", 401: "unauthorized", 404: "not_found", 415: "unsupported_media_type"}
    return RefusedError(status, {"error": {"code": code or words.get(status, "error"), "message": message}})


class Tokens:
    """Give access tokens that expire, and refresh tokens that can be used once."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._seconds = seconds
        self._expiry: dict[str, float] = {}
        self._refresh: set[str] = set()

    def grant(self, client: object, secret: object) -> JsonObject:
        """Give tokens for a client and its secret."""
        if (client, secret) != (CLIENT, SECRET):
            raise refuse(401, "The client or its secret is wrong.", "invalid_client")
        return self._issue()

    def renew(self, refresh_token: object) -> JsonObject:
        """Give tokens for a refresh token, which is void from then on."""
        if refresh_token not in self._refresh:
            raise refuse(401, "The refresh token is unknown, or has been used before.", "invalid_grant")
        self._refresh.discard(str(refresh_token))
        return self._issue()

    def admit(self, request: web.Request) -> None:
        """Let a request pass whose credentials are right, whatever their kind; refuse wrong ones."""
        token = request.headers.get(TOKEN_HEADER) or bearer(request)
        if token is not None:
            self._check(token)
            return
        key = request.headers.get(KEY_HEADER) or request.query.get(KEY_PARAMETER)
        if key is not None and key != API_KEY:
            raise refuse(401, "The API key is wrong.", "invalid_key")
        if key is None and basic(request) != f"{CLIENT}:{SECRET}":
            raise refuse(401, f"Send {TOKEN_HEADER}, {KEY_HEADER}, {KEY_PARAMETER}, or Authorization.")

    def _check(self, token: str) -> None:
        expiry = self._expiry.get(token)
        if expiry is None:
            raise refuse(401, "The access token is unknown.", "invalid_token")
        if expiry <= self._clock():
            raise refuse(401, "The access token has expired.", "token_expired")

    def _issue(self) -> JsonObject:
        access, refresh = secrets.token_hex(16), secrets.token_hex(16)
        self._expiry[access] = self._clock() + self._seconds
        self._refresh.add(refresh)
        return {"access_token": access, "refresh_token": refresh, "expires_in": self._seconds}


class SignedLinks:
    """Make links that are their own credentials, and refuse any other, as object stores do."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._key = secrets.token_bytes(32)

    def sign(self, path: str) -> str:
        """Add the time of expiry and the signature to a path."""
        expires = str(int(self._clock()) + LINK_SECONDS)
        return f"{path}?expires={expires}&signature={self._signature(path, expires)}"

    def admit(self, request: web.Request) -> None:
        """Let a request pass whose link is good, if it brings no other credentials."""
        for name in (TOKEN_HEADER, KEY_HEADER, "Authorization"):
            if name in request.headers:
                raise refuse(400, f"Only one way to authenticate is allowed: {name} came with a signed link.")
        expires = request.query.get("expires", "")
        expected = self._signature(request.path, expires)
        if not hmac.compare_digest(expected.encode(), request.query.get("signature", "").encode()):
            raise refuse(403, "The signature of the link is wrong.", "invalid_signature")
        if int(expires) <= self._clock():
            raise refuse(403, "The link has expired.", "expired_link")

    def _signature(self, path: str, expires: str) -> str:
        return hmac.new(self._key, f"{path} {expires}".encode(), hashlib.sha256).hexdigest()
