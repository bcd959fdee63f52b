"""
An API that verifies the signatures of OAuth 1.0a, built on authlib.

authlib verifies HMAC-SHA1, RSA-SHA1 and plain text itself; the longer hashes are verified here from its base string.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from authlib.oauth1.rfc5849.errors import OAuth1Error
from authlib.oauth1.rfc5849.resource_protector import ResourceProtector
from authlib.oauth1.rfc5849.signature import generate_signature_base_string
from authlib.oauth1.rfc5849.util import escape

# authlib refuses plain HTTP, which loopback has.
os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"

CLIENT = "consumer-7", "client-secret&planted"
TOKEN = "token-7-planted", "token-secret planted"


class RefusedError(Exception):
    """A request whose signature isn't valid."""


@dataclass
class _Client:
    secret: str
    rsa_public_key: str

    def get_client_secret(self) -> str:
        return self.secret

    def get_rsa_public_key(self) -> str:
        return self.rsa_public_key


@dataclass
class _TokenCredential:
    secret: str

    def get_oauth_token_secret(self) -> str:
        return self.secret


def _verify_hmac(request: Any) -> bool:
    algorithm = request.signature_method.removeprefix("HMAC-").lower()
    key = f"{escape(request.client_secret)}&{escape(request.token_secret)}".encode()
    code = hmac.digest(key, generate_signature_base_string(request).encode(), algorithm)
    return hmac.compare_digest(base64.b64encode(code).decode(), request.signature)


class _Protector(ResourceProtector):  # type: ignore[misc]  # authlib has no types
    SUPPORTED_SIGNATURE_METHODS = ("HMAC-SHA1", "HMAC-SHA256", "HMAC-SHA512", "RSA-SHA1", "PLAINTEXT")
    SIGNATURE_METHODS = {  # noqa: RUF012 - as the base class has it
        **ResourceProtector.SIGNATURE_METHODS,
        "HMAC-SHA256": _verify_hmac,
        "HMAC-SHA512": _verify_hmac,
    }

    def __init__(self, client: tuple[str, str], token: tuple[str, str], rsa_public_key: str) -> None:
        self._clients = {client[0]: _Client(client[1], rsa_public_key)}
        self._tokens = {token[0]: _TokenCredential(token[1])}
        self._nonces: set[str] = set()

    def get_client_by_id(self, client_id: str) -> _Client | None:
        return self._clients.get(client_id)

    def get_token_credential(self, request: Any) -> _TokenCredential | None:
        return self._tokens.get(request.token)

    def exists_nonce(self, nonce: str, _request: Any) -> bool:
        is_known = nonce in self._nonces
        self._nonces.add(nonce)
        return is_known


@dataclass
class OAuth1Verifier:
    """
    Verifies requests.

    :param client: the key and the secret of the client.
    :param token: the token and its secret.
    :param realm: the realm that each request has to name.
    :param rsa_public_key: the client's public key in PEM format.
    :param needs_body_hash: whether a body that isn't a form has to be signed.
    """

    client: tuple[str, str] = CLIENT
    token: tuple[str, str] = TOKEN
    realm: str = ""
    rsa_public_key: str = ""
    needs_body_hash: bool = False
    methods: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._protector = _Protector(self.client, self.token, self.rsa_public_key)

    def verify(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> None:
        """
        Verify a request.

        :param headers: the headers by their names in lower case.
        :raises RefusedError: if its signature isn't valid.
        """
        is_form = headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
        form = body.decode() if is_form else None
        try:
            request = self._protector.validate_request(
                method, url, form, {"Authorization": headers.get("authorization", "")}
            )
        except (OAuth1Error, ValueError) as error:
            raise RefusedError(str(error)) from error
        if (request.realm or "") != self.realm:
            raise RefusedError(f"wrong realm {request.realm!r}")
        algorithm = {"HMAC-SHA256": "sha256", "HMAC-SHA512": "sha512"}.get(request.signature_method, "sha1")
        hashed = base64.b64encode(hashlib.new(algorithm, body).digest()).decode()
        if self.needs_body_hash and not is_form and request.oauth_params.get("oauth_body_hash") != hashed:
            raise RefusedError("the body isn't the signed one")
        self.methods.add(request.signature_method)
