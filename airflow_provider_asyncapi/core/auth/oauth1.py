"""OAuth 1.0a (RFC 5849): each request is signed with the secrets of the client and of its token."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self
from urllib.parse import parse_qsl, quote, urlsplit

from airflow_provider_asyncapi.core.auth.base import Auth, AuthContext, AuthFlow
from airflow_provider_asyncapi.core.connection.fields import ConnectionField, read_choice, require_fields
from airflow_provider_asyncapi.core.errors import ConfigurationError
from airflow_provider_asyncapi.core.http.file_bodies import FileBody, digest
from airflow_provider_asyncapi.core.http.messages import Request, parse_media_type
from airflow_provider_asyncapi.core.lazy import LazyModule

if TYPE_CHECKING:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa
    from oauthlib.oauth1.rfc5849 import parameters, signature
else:
    # Most tasks don't need them, and oauthlib may be missing.
    serialization = LazyModule("cryptography.hazmat.primitives.serialization")
    rsa = LazyModule("cryptography.hazmat.primitives.asymmetric.rsa")
    parameters = LazyModule("oauthlib.oauth1.rfc5849.parameters")
    signature = LazyModule("oauthlib.oauth1.rfc5849.signature")

_FORM = "application/x-www-form-urlencoded"
_METHODS = ("HMAC-SHA1", "HMAC-SHA256", "HMAC-SHA512", "RSA-SHA1", "RSA-SHA256", "RSA-SHA512", "PLAINTEXT")
_BODIES = ("unsigned", "hash")
#: A text that can stand in quotes in a header.
_REALM = re.compile(r"[ !#-\[\]-~]*")
#: The hash of a body that isn't a form, if it is signed, by the end of the signature method.
_BODY_HASHES: Final[Mapping[str, str]] = {"SHA256": "sha256", "SHA512": "sha512"}


@dataclass(frozen=True)
class OAuth1Auth(Auth):
    """
    A signature of each request, made with the secrets of the client and of its token.

    The attributes have the names that oauthlib's functions read.

    :param client_key: the public key of the client (consumer key).
    :param client_secret: its secret.
    :param resource_owner_key: the token; empty for none.
    :param resource_owner_secret: the secret of the token.
    :param private_key: the client's private key in PEM format, for the methods of RSA.
    :param method: the signature method.
    :param realm: the realm; empty for none.
    :param signs_body: whether a body that isn't a form is signed too, by its hash.
    """

    name: ClassVar[str] = "oauth1"
    summary: ClassVar[str] = "the login and the password are the key and the secret of the client (consumer)"
    section: ClassVar[str] = "OAuth 1"
    fields: ClassVar[tuple[ConnectionField, ...]] = (
        ConnectionField("oauth1_token", "Token", "The access token, if there is one.", is_secret=True),
        ConnectionField("oauth1_token_secret", "Token secret", "The secret of the token.", is_secret=True),
        ConnectionField("oauth1_method", "Signature method", "Default: HMAC-SHA1.", choices=_METHODS),
        ConnectionField(
            "oauth1_secret_key",
            "Private key",
            "Private key (PEM) for RSA-…, in place of the password.",
            is_secret=True,
        ),
        ConnectionField("oauth1_realm", "Realm", "The realm, if the API expects one."),
        ConnectionField(
            "oauth1_body",
            "Body",
            "Whether a body that isn't a form is signed, by its hash. Default: unsigned.",
            choices=_BODIES,
        ),
    )

    client_key: str
    client_secret: str = field(default="", repr=False)
    resource_owner_key: str = field(default="", repr=False)
    resource_owner_secret: str = field(default="", repr=False)
    private_key: str = field(default="", repr=False)
    method: str = "HMAC-SHA1"
    realm: str = ""
    signs_body: bool = False

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> Self:
        """Parse a connection."""
        method = read_choice(values, "oauth1_method", _METHODS)
        own_secret = (
            {"oauth1_secret_key": "the private key"} if method.startswith("RSA-") else {"password": "its secret"}
        )
        require_fields(values, cls.name, login="the key of the client", **own_secret)
        realm = values.get("oauth1_realm") or ""
        if not _REALM.fullmatch(realm):
            raise ConfigurationError(f"oauth1_realm can't contain quotes, backslashes and line breaks, as in {realm!r}")
        auth = cls(
            values["login"],
            values.get("password") or "",
            values.get("oauth1_token") or "",
            values.get("oauth1_token_secret") or "",
            values.get("oauth1_secret_key") or "",
            method,
            realm,
            read_choice(values, "oauth1_body", _BODIES) == "hash",
        )
        try:
            auth.authorize(Request("GET", "https://api.example.com"), 0.0, "")
        except ModuleNotFoundError:
            raise ConfigurationError(
                "auth 'oauth1' needs a package that isn't installed: pip install 'airflow-provider-asyncapi[oauth1]'"
            ) from None
        return auth

    @property
    def header_names(self) -> tuple[str, ...]:
        """The header that holds the signature."""
        return ("Authorization",)

    @property
    def body_algorithms(self) -> frozenset[str]:  # type: ignore[override]  # kinds without fields have an attribute
        """The algorithm of the digest that is signed."""
        return frozenset({self._body_hash} if self.signs_body else ())

    @property
    def _body_hash(self) -> str:
        return _BODY_HASHES.get(self.method.rpartition("-")[2], "sha1")

    @cached_property
    def rsa_key(self) -> rsa.RSAPrivateKey:
        """The private key as the library signs with it: parsing one takes longer than signing."""
        try:
            key = serialization.load_pem_private_key(self.private_key.encode(), None)
        except (ValueError, TypeError):
            # The reason of the library may quote the key.
            key = None
        if not isinstance(key, rsa.RSAPrivateKey):
            raise ConfigurationError(
                f"oauth1_secret_key isn't a key for {self.method}: it has to be a private RSA key in PEM format;"
                " keys with a passphrase aren't supported"
            )
        return key

    def secrets(self) -> set[str]:
        """Return the secrets as they are sent in plain text: encoded, and encoded again in the header."""
        once = [quote(each, safe="~") for each in (self.client_secret, self.resource_owner_secret)]
        return {each for text in once if text for each in (text, quote(text, safe="~"))}

    def auth_flow(self, request: Request, context: AuthContext) -> AuthFlow:
        """Send the request with its signature."""
        yield self.authorize(request, context.clock(), context.make_nonce())

    def authorize(self, request: Request, now: float, nonce: str) -> Request:
        """
        Return the request with its signature.

        :param now: seconds since the epoch.
        :param nonce: a text that no other request has.
        :raises ConfigurationError: if the private key isn't one.
        """
        given = {
            "oauth_consumer_key": self.client_key,
            **({"oauth_token": self.resource_owner_key} if self.resource_owner_key else {}),
            "oauth_signature_method": self.method,
            "oauth_timestamp": str(int(now)),
            "oauth_nonce": nonce,
            "oauth_version": "1.0",
        }
        parts = urlsplit(request.url)
        signed = parse_qsl(parts.query, keep_blank_values=True)
        if (form := _read_form(request)) is not None:
            signed += form
        elif self.signs_body:
            hashed = digest(request.body, self._body_hash)
            given["oauth_body_hash"] = base64.b64encode(hashed).decode()
        text = signature.signature_base_string(
            request.method,
            signature.base_string_uri(request.url),
            signature.normalize_parameters([*signed, *given.items()]),
        )
        # Not oauthlib's client, which calls the same functions: it writes the text that it signs to the debug log.
        sign = getattr(signature, f"sign_{self.method.lower().replace('-', '_')}_with_client")
        given["oauth_signature"] = sign(text, self)
        added = parameters.prepare_headers(list(given.items()), {}, realm=self.realm or None)
        return request.with_headers(added.items())


def _read_form(request: Request) -> list[tuple[str, str]] | None:
    """Return the fields of a body that is a form; None for any other."""
    declared = next((value for name, value in request.headers if name.lower() == "content-type"), "")
    if parse_media_type(declared) != _FORM or isinstance(request.body, FileBody):
        return None
    return parse_qsl((request.body or b"").decode("utf-8", "replace"), keep_blank_values=True)
