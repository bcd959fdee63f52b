"""
JSON Web Tokens (RFC 7519) that a connection signs with a key of its own.

The key is a private key (PEM), a shared secret, or the JSON file of a Google service account, which names its user and
the address of the token endpoint too.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

from airflow_provider_asyncapi.core.connection.fields import (
    EMPTY_VALUES,
    ConnectionField,
    read_choice,
    read_mapping,
    require_fields,
)
from airflow_provider_asyncapi.core.errors import ConfigurationError
from airflow_provider_asyncapi.core.json_values import JsonValue, as_number
from airflow_provider_asyncapi.core.lazy import LazyModule
from airflow_provider_asyncapi.core.templates import find_variables, render_json, walk_strings

if TYPE_CHECKING:
    import jwt
    from cryptography.hazmat.primitives import serialization
else:
    # Both take longer to import than most tasks need for their requests.
    jwt = LazyModule("jwt")
    serialization = LazyModule("cryptography.hazmat.primitives.serialization")

#: RFC 7518, section 3.1, and RFC 8037.
ALGORITHMS = (
    *("RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512", "EdDSA"),
    *("HS256", "HS384", "HS512"),
)
#: Variables that claims may name.
_VARIABLES = ("login", "key_fingerprint", "issued_at", "expires_at")
#: Seconds for which a token that authenticates requests is valid by default: Snowflake accepts an hour.
_LIFETIME = 3600.0 - 60.0
#: Seconds for which an assertion in a token request is valid by default. It is used once, at once, and some servers,
#: such as Salesforce's, refuse a longer one.
ASSERTION_LIFETIME = 300.0
#: Seconds by which a token is dated back by default: servers refuse tokens of the future, and few clocks differ more.
_LEEWAY = 10.0
_SERVICE_ACCOUNT = "service_account"

_SECTION = "JSON Web Token"
JWT_FIELDS = (
    ConnectionField(
        "jwt_secret_key",
        "Key",
        "Private key (PEM), shared secret, or the JSON file of a Google service account.",
        is_secret=True,
        object_secrets=("private_key",),
        section=_SECTION,
    ),
    ConnectionField("jwt_algorithm", "Algorithm", "Default: RS256.", choices=ALGORITHMS, section=_SECTION),
    ConnectionField(
        "jwt_claims",
        "Claims",
        'Claims beside iat, exp and jti, e.g. {"iss": "{login}", "aud": "https://…"}; they may name {login},'
        " {key_fingerprint}, {issued_at} and {expires_at}.",
        "json",
        section=_SECTION,
    ),
    ConnectionField(
        "jwt_headers", "Headers", 'Header parameters beside alg, e.g. {"kid": "…"}.', "json", section=_SECTION
    ),
    ConnectionField(
        "jwt_lifetime",
        "Lifetime",
        "Seconds from iat to exp. Default: 3540 for auth jwt, 300 for token requests.",
        "number",
        section=_SECTION,
    ),
    ConnectionField(
        "jwt_leeway",
        "Leeway",
        "Seconds by which iat is in the past, for servers whose clock is slow. Default: 10.",
        "number",
        section=_SECTION,
    ),
)


@dataclass(frozen=True)
class JwtSigner:
    """
    Signs tokens with the key of a connection.

    :param key: the key.
    :param algorithm: one of :data:`ALGORITHMS`.
    :param login: the value of ``{login}`` in claims.
    :param claims: claims beside ``iat``, ``exp`` and ``jti``.
    :param headers: header parameters beside ``alg``.
    :param lifetime: seconds from ``iat`` to ``exp``.
    :param leeway: seconds by which ``iat`` is in the past.
    """

    key: str = field(repr=False)
    algorithm: str
    login: str
    claims: Mapping[str, Any]
    headers: Mapping[str, Any]
    lifetime: float = _LIFETIME
    leeway: float = _LEEWAY

    @classmethod
    def parse(
        cls, values: Mapping[str, Any], kind: str, claims: Mapping[str, Any], default_lifetime: float = _LIFETIME
    ) -> Self:
        """
        Parse the fields of a connection.

        :param kind: the kind of authentication, for messages.
        :param claims: the claims that the kind sets unless the connection does; None for none.
        :param default_lifetime: the lifetime unless the connection has one.
        :raises ConfigurationError: if a field is missing or invalid, or the key isn't one; the message has no secret.
        """
        require_fields(values, kind, jwt_secret_key="the key that signs")  # noqa: S106 - what the field holds
        headers = read_mapping(values, "jwt_headers")
        if refused := headers.keys() & {"alg", "b64", "crit"}:
            raise ConfigurationError(f"jwt_headers: {min(refused)!r} can't be set here; jwt_algorithm chooses alg")
        own = read_mapping(values, "jwt_claims")
        for variable in _find_variables(own):
            if variable not in _VARIABLES:
                raise ConfigurationError(
                    f"jwt_claims: unknown variable {{{variable}}}; known are {', '.join(_VARIABLES)}"
                )
        audience = {**claims, **own}.get("aud")
        if isinstance(claims.get("aud"), str) and audience == claims["aud"] and "://" not in audience:
            raise ConfigurationError(
                f"oauth2_url is relative ({audience}), and the signed token has to name its audience; set oauth2_url to"
                ' the whole URL, or jwt_claims to {"aud": …}'
            )
        account = read_service_account(values)
        if account and account.get("private_key_id"):
            headers = {"kid": account["private_key_id"], **headers}
        lifetime = as_number(values.get("jwt_lifetime") or default_lifetime)
        if lifetime is None or lifetime <= 0:
            raise ConfigurationError(
                f"jwt_lifetime has to be a number of seconds above 0, not {values['jwt_lifetime']!r}"
            )
        given = values.get("jwt_leeway")
        leeway = min(_LEEWAY, lifetime / 2) if given in EMPTY_VALUES else as_number(given)
        if leeway is None or not 0 <= leeway < lifetime:
            raise ConfigurationError(
                f"jwt_leeway has to be a number of seconds from 0 to below the lifetime ({lifetime:g}), not {given!r}"
            )
        signer = cls(
            str(account["private_key"]) if account else values["jwt_secret_key"],
            read_choice(values, "jwt_algorithm", ALGORITHMS),
            str(account["client_email"]) if account else values.get("login") or "",
            {**{name: value for name, value in claims.items() if value is not None}, **own},
            headers,
            lifetime,
            leeway,
        )
        signer.sign(0.0, "")
        return signer

    def sign(self, now: float, identifier: str) -> str:
        """
        Return a new token.

        :param now: seconds since the epoch.
        :param identifier: the identifier of the token (``jti``), which no other token may have.
        :raises ConfigurationError: if the key isn't one for the algorithm, or the claims can't be signed.
        """
        issued_at = int(now - self.leeway)
        expires_at = int(issued_at + self.lifetime)
        variables: dict[str, JsonValue] = {
            "login": self.login,
            "issued_at": issued_at,
            "expires_at": expires_at,
        }
        if "key_fingerprint" in _find_variables(self.claims):
            variables["key_fingerprint"] = self.key_fingerprint
        times = {"iat": issued_at, "exp": expires_at, "jti": identifier}
        claims: dict[str, Any] = {name: render_json(value, variables) for name, value in self.claims.items()}
        key = self._prepared_key
        try:
            return jwt.encode({**times, **claims}, key, self.algorithm, dict(self.headers))
        except (ValueError, TypeError, jwt.exceptions.PyJWTError) as error:
            raise ConfigurationError(f"jwt_claims or jwt_headers can't be signed: {error}") from None

    @cached_property
    def _prepared_key(self) -> Any:
        """The key as the library signs with it: parsing a private key takes longer than signing."""
        try:
            key = jwt.get_algorithm_by_name(self.algorithm).prepare_key(restore_line_breaks(self.key))
        except (ValueError, TypeError, jwt.exceptions.PyJWTError):
            # The reason of the library may quote the key.
            raise self._build_key_error() from None
        # The library reads public keys as well, which can't sign.
        if not isinstance(key, bytes) and not hasattr(key, "sign"):
            raise self._build_key_error()
        return key

    def _build_key_error(self) -> ConfigurationError:
        return ConfigurationError(
            f"jwt_secret_key isn't a key for {self.algorithm}: it has to be a private key in PEM format (of RSA for"
            " RS… and PS…, of an elliptic curve for ES…, Ed25519 for EdDSA), the JSON file of a service account, or"
            f" for HS… a shared secret; {_advise_on_key(self.key)}"
        )

    @cached_property
    def key_fingerprint(self) -> str:
        """The SHA-256 of the public key as Snowflake has it: ``SHA256:`` and Base64."""
        try:
            public = serialization.load_pem_private_key(restore_line_breaks(self.key).encode(), None).public_key()
        except (ValueError, TypeError):
            raise self._build_key_error() from None
        encoded = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        return f"SHA256:{base64.b64encode(hashlib.sha256(encoded).digest()).decode()}"


def restore_line_breaks(key: str) -> str:
    """Return a PEM key with its line breaks, which are often copied out of JSON as two characters."""
    return key.replace("\\n", "\n") if key.lstrip().startswith("-----BEGIN ") else key


def _advise_on_key(key: str) -> str:
    """Return what is probably wrong with a key, without a part of it."""
    if "ENCRYPTED" in key:
        return (
            "this key has a passphrase, and keys with a passphrase aren't supported: remove it with openssl pkey -in"
            " key.pem -out plain.pem"
        )
    if "-----BEGIN PUBLIC KEY" in key or "-----BEGIN CERTIFICATE" in key:
        return "this is a public key or a certificate"
    if "-----BEGIN " not in key and ("/" in key or key.endswith((".pem", ".p8", ".key", ".json"))):
        return "if this is the path of a file, set the content of the file instead"
    return "keys with a passphrase aren't supported"


def read_service_account(values: Mapping[str, Any]) -> dict[str, Any] | None:
    """
    Return the JSON file of a service account, if the key is one.

    :raises ConfigurationError: if it is JSON and no such file; the message doesn't show it.
    """
    given = values.get("jwt_secret_key") or ""
    if isinstance(given, str) and not given.lstrip().startswith("{"):
        return None
    given = read_mapping(values, "jwt_secret_key")
    if given.get("type") != _SERVICE_ACCOUNT or not {"client_email", "private_key"} <= given.keys():
        raise ConfigurationError(
            "jwt_secret_key is JSON, but not the key file of a Google service account: it needs the type"
            f" {_SERVICE_ACCOUNT!r}, client_email and private_key"
        )
    return given


def _find_variables(claims: Mapping[str, Any]) -> list[str]:
    return [variable for text in walk_strings(dict(claims)) for variable in find_variables(text)]
