"""The private key of the connections that sign: one for all tests, since making one takes a tenth of a second."""

from __future__ import annotations

from functools import cache

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

#: The place of a private key on the pages, in JSON.
PLACEHOLDER = r"-----BEGIN PRIVATE KEY-----\n…\n-----END PRIVATE KEY-----\n"


@cache
def make_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@cache
def make_pem() -> str:
    """Return the key as the text of its file."""
    return (
        make_key()
        .private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        .decode()
    )


def fill_in_key(shown: str) -> str:
    """Return the JSON of a connection on a page with the key in its place."""
    return shown.replace(PLACEHOLDER, make_pem().replace("\n", r"\n"))
