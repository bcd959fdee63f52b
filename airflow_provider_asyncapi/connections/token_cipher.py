"""Encrypt a token with a key that is derived from the connection's credentials."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import asdict
from functools import cached_property

from cryptography.fernet import Fernet

from airflow_provider_asyncapi.core.auth.tokens import Token

#: About 0.05 s of CPU, once in a process, and for each guess at a weak password with a stolen file.
_ITERATIONS = 100_000


class TokenCipher:
    """
    Encrypts tokens, and derives the name under which an encrypted token is stored.

    :param credentials: the secret from which the key and the name are derived.
    :param purpose: separates keys and names of different purposes.
    """

    def __init__(self, credentials: bytes, purpose: bytes) -> None:
        self._credentials, self._purpose = credentials, purpose

    @cached_property
    def name(self) -> str:
        """The name, from which nobody learns anything about the credentials."""
        return hmac.digest(self._key, b"name", "sha256")[:16].hex()

    def encrypt(self, token: Token) -> bytes:
        """Return a token as printable ASCII characters that only the same credentials decrypt."""
        return self._fernet.encrypt(json.dumps(asdict(token)).encode())

    def decrypt(self, content: bytes) -> Token:
        """
        Return an encrypted token.

        :raises InvalidToken: if it was encrypted with other credentials, or changed.
        """
        return Token(**json.loads(self._fernet.decrypt(content)))

    @cached_property
    def _key(self) -> bytes:
        # The key is as long as the hash; a longer key would take twice as long.
        return hashlib.pbkdf2_hmac("sha256", self._credentials, self._purpose, _ITERATIONS)

    @cached_property
    def _fernet(self) -> Fernet:
        return Fernet(base64.urlsafe_b64encode(self._key))
