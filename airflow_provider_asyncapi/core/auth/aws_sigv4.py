"""Requests that are signed for the APIs of AWS."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

from airflow_provider_asyncapi.core.auth.aws_signing import AwsKeys, AwsSigner
from airflow_provider_asyncapi.core.auth.base import Auth, AuthContext, AuthFlow
from airflow_provider_asyncapi.core.auth.borrowed_credentials import (
    AWS_KEYS,
    SECRET_KEY,
    SESSION_TOKEN,
    BorrowedCredentials,
)
from airflow_provider_asyncapi.core.auth.clock import describe_clock
from airflow_provider_asyncapi.core.auth.other_connection import CREDENTIALS_CONN_ID
from airflow_provider_asyncapi.core.connection.fields import ConnectionField, require_fields
from airflow_provider_asyncapi.core.errors import ConfigurationError
from airflow_provider_asyncapi.core.http.messages import Request, Response

if TYPE_CHECKING:
    from airflow_provider_asyncapi.core.auth.tokens import Token
    from airflow_provider_asyncapi.core.templates import Variables

_NAME = re.compile(r"[a-z0-9-]+")
#: The fields with the connection's own keys.
_OWN_KEYS = ("login", "password", "aws_session_token")
#: The places of the code of an error in the responses of AWS: JSON, or XML.
_CODE = re.compile(r'"(?:__type|code|Code)"\s*:\s*"(?:[^"#]*#)?(\w+)|<Code>(\w+)<')
#: Characters of a response in which the code is searched for.
_ERROR_SIZE = 4096
_CLOCK_CODES: Final = frozenset({"RequestTimeTooSkewed", "RequestExpired"})
_SIGNATURE_CODES: Final = frozenset(
    {
        *_CLOCK_CODES,
        "AuthorizationHeaderMalformed",
        "IncompleteSignature",
        "IncompleteSignatureException",
        "InvalidSignatureException",
        "SignatureDoesNotMatch",
    }
)
_EXPIRED_CODES: Final = frozenset({"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"})
_UNKNOWN_KEY_CODES: Final = frozenset({"InvalidAccessKeyId", "InvalidClientTokenId", "UnrecognizedClientException"})


@dataclass(frozen=True)
class AwsSigV4Auth(Auth):
    """
    A signature of each request, by Signature Version 4.

    :param signer: signs the requests.
    :param keys: the credentials; None for the credentials of another connection.
    :param borrowed: the other connection.
    """

    name: ClassVar[str] = "aws_sigv4"
    summary: ClassVar[str] = "AWS Signature Version 4: the login is the access key ID, the password the secret key"
    section: ClassVar[str] = "Cloud credentials"
    fields: ClassVar[tuple[ConnectionField, ...]] = (
        ConnectionField("aws_region", "AWS region", "The region of the API, e.g. eu-west-1."),
        ConnectionField(
            "aws_service", "AWS service", "The name of the service in signatures, e.g. execute-api for API Gateway."
        ),
        ConnectionField(
            "aws_session_token",
            "AWS session token",
            "The third part of temporary credentials.",
            is_secret=True,
        ),
        CREDENTIALS_CONN_ID,
    )

    signer: AwsSigner
    keys: AwsKeys | None
    borrowed: BorrowedCredentials | None = None
    #: AWS says by the code of the error what is wrong with the keys, see :meth:`refuses_token`.
    refresh_codes: frozenset[int] = frozenset()

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> Self:
        """Parse a connection."""
        conn_id = values.get("credentials_conn_id")
        if conn_id and (twice := [name for name in _OWN_KEYS if values.get(name)]):
            raise ConfigurationError(
                f"{twice[0]} and credentials_conn_id are set; the keys can be those of one connection, so remove one"
            )
        if not (conn_id or values.get("login")):
            raise ConfigurationError(
                f"auth {cls.name!r} needs login (the access key ID) and password (the secret access key), or"
                " credentials_conn_id (the id of a connection of type aws; without fields, it stands for the default"
                " credentials of the machine)"
            )
        own = {} if conn_id else {"password": "the secret access key"}
        require_fields(
            values,
            cls.name,
            **own,
            aws_region="the region of the API, such as eu-west-1",
            aws_service="the name of the service, such as execute-api",
        )
        region, service = values["aws_region"].strip(), values["aws_service"].strip()
        for name, value in (("aws_region", region), ("aws_service", service)):
            if not _NAME.fullmatch(value):
                raise ConfigurationError(f"{name} has lower-case letters, digits and - only, not {value!r}")
        if conn_id:
            return cls(AwsSigner(region, service), None, BorrowedCredentials(conn_id, AWS_KEYS, region=region))
        return cls(
            AwsSigner(region, service),
            AwsKeys(values["login"], values["password"], values.get("aws_session_token") or None),
        )

    @property
    def header_names(self) -> tuple[str, ...]:
        """The headers that contain the signature and its parameters."""
        return ("Authorization", "X-Amz-Date", "X-Amz-Security-Token", "X-Amz-Content-Sha256")

    @property
    def body_algorithms(self) -> frozenset[str]:  # type: ignore[override]  # kinds without fields have an attribute
        """The algorithm of the hash of the body."""
        return frozenset({"sha256"} if self.signer.hashes_files else ())

    def auth_flow(self, request: Request, context: AuthContext) -> AuthFlow:
        """Send the request with its signature."""
        keys = self.keys or _read_keys(context.token)
        yield self.signer.sign(request, keys, context.clock(), context.memory)

    def refuses_token(self, response: Response, variables: Variables) -> bool:
        """Return whether the response says that the keys of the other connection aren't valid any more."""
        return not response.ok and _find_error_code(response) in _EXPIRED_CODES | _UNKNOWN_KEY_CODES

    def explain_refusal(self, response: Response, now: float) -> str:
        """Return why a service has refused a signature, by the code of its error."""
        code = _find_error_code(response)
        if code in _SIGNATURE_CODES:
            if clock := describe_clock(response, now):
                return clock
            if code in _CLOCK_CODES:
                return "the clock of this machine is wrong, or the request took minutes to arrive"
            key = (
                "the connection's secret access key (password)"
                if self.borrowed is None
                else f"the secret access key of the connection {self.borrowed.conn_id!r}"
            )
            return f"check {key}, aws_region {self.signer.region!r} and aws_service {self.signer.service!r}"
        if self.borrowed is not None and code in _EXPIRED_CODES | _UNKNOWN_KEY_CODES:
            return f"AWS doesn't accept the keys that the connection {self.borrowed.conn_id!r} has; change them there"
        if code in _EXPIRED_CODES:
            return "the temporary credentials have expired; set login, password and aws_session_token to new ones"
        if code in _UNKNOWN_KEY_CODES:
            return "AWS doesn't know the access key ID (login), or its session token isn't the one of these keys"
        return ""


def _read_keys(token: Token | None) -> AwsKeys:
    """Return the keys that another connection has lent."""
    assert token is not None, "keys that aren't the connection's own are borrowed"  # noqa: S101 - for mypy
    secret_key, session_token = token.variables[SECRET_KEY], token.variables.get(SESSION_TOKEN)
    return AwsKeys(token.value, str(secret_key), str(session_token) if session_token else None)


def _find_error_code(response: Response) -> str:
    """Return the code of an error of AWS; empty if there is none."""
    if code := response.headers.get("x-amzn-errortype"):
        return code.partition(":")[0].rpartition("#")[2]
    match = _CODE.search(response.text[:_ERROR_SIZE])
    return "" if match is None else match[1] or match[2]
