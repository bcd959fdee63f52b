"""
The base classes of the kinds of authentication.

A kind is a subclass of :class:`Auth` in a module of its own. It declares its name, the connection fields that it reads
and which of them are secret, and how it changes requests. The connection form, the known keys of a connection, the
check for unused fields, masking and the reference are derived from the declaration. :mod:`.registry` lists the shipped
kinds; a package adds its own by an entry point of the group ``airflow_provider_asyncapi.auth``.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeAlias
from urllib.parse import urlencode

from airflow_provider_asyncapi.core.auth import lazy
from airflow_provider_asyncapi.core.connection.fields import ConnectionField, read_choice, read_mapping
from airflow_provider_asyncapi.core.errors import ContentError

if TYPE_CHECKING:
    from airflow_provider_asyncapi.core.auth.borrowed_credentials import BorrowedCredentials
    from airflow_provider_asyncapi.core.auth.tokens import Token, TokenSource
    from airflow_provider_asyncapi.core.http.messages import Request, Response
    from airflow_provider_asyncapi.core.status.rules import Condition
    from airflow_provider_asyncapi.core.templates import Variables

REFRESH_CODES = frozenset({401, 403})

#: Yields each request as it is to be sent, and is sent its response; ends once no further request is needed.
AuthFlow: TypeAlias = "Generator[Request, Response, None]"


@dataclass(frozen=True, slots=True)
class AuthContext:
    """
    The values that a kind of authentication may use in addition to the request.

    :param clock: returns seconds since the epoch.
    :param make_nonce: returns a new text that nobody can guess, of 32 hexadecimal digits.
    :param token: the access token, if the kind requests one.
    :param mask: masks a credential that the kind has created, such as a signed token, in all further messages.
    :param memory: values that the kind keeps between requests, such as the server's last challenge; each process has
        one dict for each connection. Several threads may use it at the same time.
    """

    clock: Callable[[], float]
    make_nonce: Callable[[], str]
    token: Token | None = None
    memory: dict[str, Any] = field(default_factory=dict, repr=False)
    mask: Callable[[str], object] = lambda _: None


class Auth(ABC):
    """
    The authentication of the requests of one connection; each subclass is one kind of authentication.

    Instances are compared to detect that a connection has changed, so a subclass with fields of its own has to be a
    frozen dataclass. Fields that contain secrets are declared with ``repr=False``.
    """

    #: The value of the connection field ``auth`` that selects the kind.
    name: ClassVar[str]
    #: A short description for the connection form: what login and password mean.
    summary: ClassVar[str]
    #: The connection fields that the kind reads, in addition to host, port, schema, login and password.
    fields: ClassVar[tuple[ConnectionField, ...]] = ()
    #: The section of the connection form that has these fields; by default it has the name of the kind.
    section: ClassVar[str] = ""
    #: Whether all requests get the same credentials; then a poll sends the authorized request again unchanged.
    is_constant: ClassVar[bool] = False

    #: The algorithms of the digests of a request's body that the kind needs; for a body that contains files, they are
    #: computed before the request is authenticated.
    body_algorithms: frozenset[str] = frozenset()
    #: How an access token is requested, if the kind needs one.
    token_source: TokenSource | None = None
    #: The other connection whose credentials are used, if the kind has none of its own.
    borrowed: BorrowedCredentials | None = None
    #: Whether the processes of one host share the token.
    shares_tokens: bool = False
    #: Status codes that mean that the token isn't valid any more.
    refresh_codes: frozenset[int] = REFRESH_CODES
    #: A condition for responses with other status codes that mean that the token isn't valid any more.
    refresh_when: Condition | None = None

    @classmethod
    @abstractmethod
    def parse(cls, values: Mapping[str, Any]) -> Self:
        """
        Parse a connection.

        :param values: ``host``, ``port``, ``schema``, ``login``, ``password``, and the keys of the extra beside them.
        :raises ConfigurationError: if a field is missing or invalid; the message names it, without a secret value.
        """

    @property
    def needs_token(self) -> bool:
        """Whether a request needs an access token, or the keys of another connection."""
        return self.token_source is not None or self.borrowed is not None

    @property
    def header_names(self) -> Iterable[str]:
        """The headers that the kind sets: the connection can't have headers of the same names."""
        return ()

    @property
    def query_names(self) -> Iterable[str]:
        """The query parameters that the kind adds."""
        return ()

    def secrets(self) -> Iterable[str]:
        """Return secrets to be masked beside the password and what the secret fields hold, such as encoded forms."""
        return ()

    @abstractmethod
    def auth_flow(self, request: Request, context: AuthContext) -> AuthFlow:
        """
        Authenticate one request.

        Yield the request as it is to be sent; its response is sent back. Yield another request if the response asks
        for it, for instance by a challenge. The last response is the one that counts. All requests have to go to hosts
        that may see the credentials.

        :param request: the request with the connection's headers, complete but for the credentials.
        """

    def explain_refusal(self, response: Response, now: float) -> str:
        """
        Return why a response refuses the credentials, and what to change, for the message of the error.

        :param response: a response with a status code of an error.
        :param now: seconds since the epoch.
        :return: empty if the response says nothing about that.
        """
        return ""

    def refuses_token(self, response: Response, variables: Variables) -> bool:
        """Return whether the content of a response says that the token isn't valid any more."""
        try:
            return self.refresh_when is not None and self.refresh_when.holds(response, variables)
        except ContentError:
            # A response that can't be read says something else.
            return False


@dataclass(frozen=True)
class ConstantAuth(Auth):
    """
    Credentials that are the same for each request.

    :param headers: header fields to set; ``{token}`` is replaced by the access token.
    :param params: query parameters to add.
    """

    is_constant: ClassVar[bool] = True

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    params: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def header_names(self) -> Iterable[str]:
        """The headers that hold the credentials."""
        return self.headers

    @property
    def query_names(self) -> Iterable[str]:
        """The query parameters that hold the credentials."""
        return self.params

    def secrets(self) -> Iterable[str]:
        """Return the credentials as they are sent."""
        credentials = [text for text in self.headers.values() if "{token}" not in text]
        # Also without the scheme ("Basic …"), because servers repeat only the credentials in their messages.
        return {*(text.rpartition(" ")[2] for text in credentials), *credentials, *self.params.values()}

    def auth_flow(self, request: Request, context: AuthContext) -> AuthFlow:
        """Send the request with the credentials in it."""
        yield self.apply(request, context.token)

    def apply(self, request: Request, token: Token | None) -> Request:
        """Return the request with the credentials in it."""
        value = token.value if token else ""
        signed = request.with_headers((name, text.replace("{token}", value)) for name, text in self.headers.items())
        if not self.params:
            return signed
        query = urlencode({name: text.replace("{token}", value) for name, text in self.params.items()})
        separator = "&" if "?" in request.url else "?"
        return dataclasses.replace(signed, url=f"{signed.url}{separator}{query}")


_TOKENS = "Renewal of tokens"
REFRESH_WHEN = ConnectionField(
    "refresh_when",
    "Refresh when",
    "A condition for responses which mean that the token isn't valid any more, whatever their status code,"
    ' e.g. {"selector": "code", "in": 602}.',
    "json",
    section=_TOKENS,
)
#: The fields of all kinds that request a token with constant credentials.
TOKEN_FIELDS = (
    REFRESH_WHEN,
    ConnectionField(
        "login_cache",
        "Sharing of tokens",
        "Default: host.",
        choices={
            "host": "all tasks of one user on one host share a token, in an encrypted file",
            "process": "nothing is written to disk",
        },
        section=_TOKENS,
    ),
)


@dataclass(frozen=True)
class TokenAuth(ConstantAuth):
    """
    Credentials with an access token, which a request of its own returns.

    :param token_source: how the token is requested.
    :param shares_tokens: whether the processes of one host share the token.
    :param refresh_codes: status codes that mean that the token isn't valid any more.
    :param refresh_when: a condition for responses with other status codes that mean the same.
    """

    token_source: TokenSource | None = None
    shares_tokens: bool = True
    refresh_codes: frozenset[int] = REFRESH_CODES
    refresh_when: Condition | None = None

    def secrets(self) -> Iterable[str]:
        """Return the credentials as they are sent, also in the token request."""
        headers = self.token_source.headers.values() if self.token_source is not None else ()
        return {*super().secrets(), *headers, *(text.rpartition(" ")[2] for text in headers)}


def parse_token_fields(values: Mapping[str, Any]) -> dict[str, Any]:
    """
    Parse the fields that all kinds with a token have in common.

    :return: the arguments of :class:`TokenAuth` of the same names.
    :raises ConfigurationError: if a field holds an unusable value.
    """
    given = read_mapping(values, "refresh_when")
    return {
        "shares_tokens": read_choice(values, "login_cache", ("host", "process")) == "host",
        "refresh_when": lazy.Condition.parse(given, "refresh_when") if given else None,
    }
