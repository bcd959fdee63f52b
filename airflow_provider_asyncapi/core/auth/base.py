"""
What a kind of authentication is.

A kind is a subclass of :class:`Auth` in a file of its own. It declares its name, the connection fields that it reads
and which of them are secret, and how it changes requests. The connection form, the known keys of a connection, the
check for unused fields, what is masked and the reference are derived from that. :mod:`.registry` lists the kinds that
are shipped; a package adds its own by an entry point of the group ``airflow_provider_asyncapi.auth``.
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
    from airflow_provider_asyncapi.core.auth.tokens import Login, Token
    from airflow_provider_asyncapi.core.http.messages import Request, Response
    from airflow_provider_asyncapi.core.status.rules import Condition
    from airflow_provider_asyncapi.core.templates import Variables

REFRESH_CODES = frozenset({401, 403})

#: Yields each request as it is to be sent, and is sent its response; ends once no further request is needed.
AuthFlow: TypeAlias = "Generator[Request, Response, None]"


@dataclass(frozen=True, slots=True)
class AuthContext:
    """
    What a kind of authentication may use beside the request.

    :param clock: returns seconds since the epoch.
    :param rng: returns numbers in [0, 1).
    :param token: the token of the login, if the kind has one.
    :param mask: hides a credential that the kind has made, such as a signed token, in messages from now on.
    :param memory: the kind's own values between requests, such as the server's last challenge; one for each connection
        and process. Several threads may use it at a time.
    """

    clock: Callable[[], float]
    rng: Callable[[], float]
    token: Token | None = None
    memory: dict[str, Any] = field(default_factory=dict, repr=False)
    mask: Callable[[str], object] = lambda _: None


class Auth(ABC):
    """
    How the requests of one connection are authenticated; a subclass is one kind of authentication.

    Instances are compared to find out whether a connection has changed: a subclass with fields of its own is a frozen
    dataclass. Fields that hold secrets are declared with ``repr=False``.
    """

    #: The name of the kind, as the connection field ``auth`` has it.
    kind: ClassVar[str]
    #: What the kind makes of login and password, in a few words, for the form.
    help: ClassVar[str]
    #: The fields of the connection that the kind reads, beside host, port, schema, login and password.
    fields: ClassVar[tuple[ConnectionField, ...]] = ()
    #: Whether each request gets the same credentials: then an authorized request is sent again as it is.
    is_constant: ClassVar[bool] = False

    #: How a token is requested, if the kind needs one.
    login: Login | None = None
    #: Whether the processes of one host share the token.
    shares_tokens: bool = False
    #: Status codes that mean that the token isn't valid any more.
    refresh_codes: frozenset[int] = REFRESH_CODES
    #: What a response of another status code holds that means the same.
    refresh_when: Condition | None = None

    @classmethod
    @abstractmethod
    def parse(cls, values: Mapping[str, Any]) -> Self:
        """
        Read a connection.

        :param values: ``host``, ``port``, ``schema``, ``login``, ``password``, and the keys of the extra beside them.
        :raises ConfigurationError: if a field is missing or invalid; the message names it, without a secret value.
        """

    @property
    def header_names(self) -> Iterable[str]:
        """The headers that the kind sets: the connection can't have headers of the same names."""
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

    :param headers: header fields to set; ``{token}`` in one stands for the token of the login.
    :param params: query parameters to add.
    """

    is_constant: ClassVar[bool] = True

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    params: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def header_names(self) -> Iterable[str]:
        """The headers that hold the credentials."""
        return self.headers

    def secrets(self) -> Iterable[str]:
        """Return the credentials as they are sent."""
        credentials = [text for text in self.headers.values() if "{token}" not in text]
        # Behind the scheme ("Basic …") as well, for that is what servers repeat in their messages.
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


#: The fields of all kinds that request a token.
TOKEN_FIELDS = (
    ConnectionField(
        "refresh_when",
        "Login, OAuth 2: refresh when",
        "A condition for responses which mean that the token isn't valid any more, whatever their status code,"
        ' e.g. {"selector": "code", "in": 602}.',
        "json",
    ),
    ConnectionField(
        "login_cache",
        "Login, OAuth 2: sharing of tokens",
        "host: all tasks of one user on one host share a token, in an encrypted file. process: nothing is written to"
        " disk. Default: host.",
        choices=("host", "process"),
    ),
)


@dataclass(frozen=True)
class TokenAuth(ConstantAuth):
    """
    Credentials that hold a token, which is requested by a login.

    :param login: the login that requests the token.
    :param shares_tokens: whether the processes of one host share the token.
    :param refresh_codes: status codes that mean that the token isn't valid any more.
    :param refresh_when: the value in a response of another status code that means the same.
    """

    login: Login | None = None
    shares_tokens: bool = True
    refresh_codes: frozenset[int] = REFRESH_CODES
    refresh_when: Condition | None = None


def parse_token_fields(values: Mapping[str, Any]) -> dict[str, Any]:
    """
    Read the fields that all kinds with a token have in common.

    :return: the arguments of :class:`TokenAuth` of the same names.
    :raises ConfigurationError: if a field holds an unusable value.
    """
    given = read_mapping(values, "refresh_when")
    return {
        "shares_tokens": read_choice(values, "login_cache", ("host", "process")) == "host",
        "refresh_when": lazy.Condition.parse(given, "refresh_when") if given else None,
    }
