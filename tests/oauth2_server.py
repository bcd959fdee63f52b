"""
An authorization server of OAuth 2, built on authlib, and an API that accepts its access tokens.

It replaces each refresh token that is used, and revokes all tokens of a user if an old one is sent again
(https://www.rfc-editor.org/rfc/rfc9700#section-4.14.2).
"""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import parse_qsl

from authlib.oauth2.rfc6749 import AuthorizationServer, ClientMixin, OAuth2Request, TokenMixin
from authlib.oauth2.rfc6749.grants import RefreshTokenGrant, ResourceOwnerPasswordCredentialsGrant
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload

from tests.loopback import Asked, Behaviour, Server, encode

CLIENT_ID, CLIENT_SECRET = "client-7", "client-secret-planted"
USER, PASSWORD = "ann", "password-planted"
_METHODS = ["client_secret_basic", "client_secret_post"]


class _Client(ClientMixin):  # type: ignore[misc]  # authlib has no types
    def get_client_id(self) -> str:
        return CLIENT_ID

    def get_allowed_scope(self, scope: str) -> str:
        return scope

    def check_client_secret(self, client_secret: str) -> bool:
        return client_secret == CLIENT_SECRET

    def check_endpoint_auth_method(self, method: str, _endpoint: str) -> bool:
        return method in _METHODS

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type in ("refresh_token", "password")


@dataclass
class _Token(TokenMixin):  # type: ignore[misc]  # authlib has no types
    access: str
    refresh: str
    is_spent: bool = False
    is_valid: bool = True

    def check_client(self, client: _Client) -> bool:
        return client.get_client_id() == CLIENT_ID

    def get_scope(self) -> str:
        return ""


class _Request(OAuth2Request):  # type: ignore[misc]  # authlib has no types
    def __init__(self, asked: Asked) -> None:
        # authlib refuses plain HTTP, which loopback has.
        headers = {name.title(): value for name, value in asked.headers.items()}
        super().__init__(asked.method, "https://login.example.com/token", headers=headers)
        self._form = dict(parse_qsl(asked.body.decode()))
        self.payload = BasicOAuth2Payload(self._form)

    @property
    def args(self) -> dict[str, str]:
        return {}

    @property
    def form(self) -> dict[str, str]:
        return self._form


class _Authorization(AuthorizationServer):  # type: ignore[misc]  # authlib has no types
    def __init__(self, owner: OAuth2Server) -> None:
        super().__init__()
        self.owner = owner
        self.register_token_generator("default", owner.make_token)

    def query_client(self, client_id: str) -> _Client | None:
        return _Client() if client_id == CLIENT_ID else None

    def save_token(self, token: Mapping[str, Any], _request: Any) -> None:
        self.owner.issued.append(_Token(token["access_token"], token["refresh_token"]))

    def create_oauth2_request(self, request: Asked) -> _Request:
        return _Request(request)

    def create_json_request(self, request: Asked) -> Any:
        raise NotImplementedError

    def handle_response(self, status: int, body: Any, headers: Any) -> Behaviour:
        return encode(status, dict(headers), json.dumps(body).encode())

    def send_signal(self, name: str, *args: Any, **kwargs: Any) -> None:
        """Nobody listens."""


class _Refresh(RefreshTokenGrant):  # type: ignore[misc]  # authlib has no types
    TOKEN_ENDPOINT_AUTH_METHODS = _METHODS
    INCLUDE_NEW_REFRESH_TOKEN = True

    def authenticate_refresh_token(self, refresh_token: str) -> _Token | None:
        found = next((each for each in self.server.owner.issued if each.refresh == refresh_token), None)
        if found is not None and found.is_spent:
            self.server.owner.revoke()
        return found if found is not None and found.is_valid else None

    def authenticate_user(self, _refresh_token: _Token) -> str:
        return USER

    def revoke_old_credential(self, refresh_token: _Token) -> None:
        refresh_token.is_spent = True


class _Password(ResourceOwnerPasswordCredentialsGrant):  # type: ignore[misc]  # authlib has no types
    TOKEN_ENDPOINT_AUTH_METHODS = _METHODS

    def authenticate_user(self, username: str, password: str) -> str | None:
        return USER if (username, password) == (USER, PASSWORD) else None


class OAuth2Server:
    """Answers ``POST /token``, and all other requests that have the newest access token."""

    def __init__(self) -> None:
        self.issued: list[_Token] = []
        self.token_requests: list[str] = []
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._authorization = _Authorization(self)
        self._authorization.register_grant(_Refresh)
        self._authorization.register_grant(_Password)
        #: Cleared while token requests have to wait for their answer.
        self.answers = threading.Event()
        self.answers.set()
        self._server = Server(self._serve)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *args: object) -> None:
        self._server.close()

    @property
    def url(self) -> str:
        return self._server.url

    def make_token(self, **_: Any) -> dict[str, Any]:
        number = next(self._numbers)
        access, refresh = f"access-planted-{number}", f"refresh-planted-{number}"
        return {"token_type": "Bearer", "access_token": access, "refresh_token": refresh, "expires_in": 3600}

    def authorize(self) -> str:
        """Return the refresh token that a client gets once the user has allowed it in a browser."""
        token = self.make_token()
        self._authorization.save_token(token, None)
        return str(token["refresh_token"])

    def revoke(self) -> None:
        """Revoke all tokens."""
        for token in self.issued:
            token.is_valid = False

    def _serve(self, asked: Asked) -> Behaviour:
        if asked.target == "/token":
            self.token_requests.append(asked.body.decode())
            self.answers.wait(timeout=30)
        with self._lock:
            if asked.target == "/token":
                answer: Behaviour = self._authorization.create_token_response(asked)
                return answer
            given = asked.headers.get("authorization", "").removeprefix("Bearer ")
            newest = self.issued[-1] if self.issued else None
            accepted = newest is not None and newest.is_valid and newest.access == given
            return encode(200 if accepted else 401, {}, json.dumps({"accepted": accepted}).encode())
