"""Add the connection's headers and credentials to requests, if their host may see them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_asyncapi.core.auth.base import AuthContext
from airflow_provider_asyncapi.core.connection.api import Api
from airflow_provider_asyncapi.core.connection.headers import add_connection_headers
from airflow_provider_asyncapi.core.effects import Flow, Send
from airflow_provider_asyncapi.core.errors import AuthenticationError, ConfigurationError, UnsafeValueError
from airflow_provider_asyncapi.core.http.file_bodies import find_literal_bytes
from airflow_provider_asyncapi.core.http.messages import Request, Response, validate_header
from airflow_provider_asyncapi.core.http.redaction import contains_any_secret, is_sensitive_name

if TYPE_CHECKING:
    from airflow_provider_asyncapi.core.auth.tokens import Token

#: Maximum number of requests of an auth flow. A challenge takes two; a faulty kind of authentication would send them
#: for ever.
_MAX_AUTH_REQUESTS = 5


@dataclass(slots=True)
class RequestAuthorizer:
    """
    Adds the connection's headers and credentials to a request.

    The last authorized request is kept: a wait sends the same request again and again, and authorizing it costs more
    than evaluating its response.

    :param api: the connection.
    """

    api: Api
    _request: Request | None = None
    _token: Token | None = None
    _is_trusted: bool = False
    _authorized: Request | None = None

    def needs_token(self, request: Request) -> bool:
        """
        Return whether a token has to be requested before the request can be authorized.

        :raises UnsafeValueError: if the request goes to a host that the connection doesn't allow.
        """
        if self._request is not request:
            self.api.settings.check_host(request)
            self._request, self._authorized = request, None
            self._is_trusted = self.api.settings.trusts(request.url)
            if not self._is_trusted:
                _check_no_secrets(self.api, request)
        return self._is_trusted and self.api.settings.auth.needs_token

    @property
    def is_constant(self) -> bool:
        """Whether the authorized request may be sent again as it is; otherwise each one takes an auth flow."""
        return not self._is_trusted or self.api.settings.auth.is_constant

    def is_valid_at(self, moment: float) -> bool:
        """Return whether the authorized request may still be sent at a moment, in seconds since the epoch."""
        return self._token is None or self._token.is_fresh(moment)

    def authorize(self, request: Request, token: Token | None) -> Request:
        """
        Return the request with headers and credentials; for another origin, without anything secret.

        If the authorization :attr:`isn't constant <is_constant>`, the credentials are still missing.

        :param request: the argument of the last call of :meth:`needs_token`.
        """
        if self._authorized is None or self._token is not token:
            settings = self.api.settings
            if not self._is_trusted:
                shown = dataclasses.replace(request, headers=_remove_secret_headers(self.api, request))
                self._authorized = shown.with_default_headers()
            else:
                self._authorized = add_connection_headers(request, settings)
                if settings.auth.is_constant:
                    context = AuthContext(self.api.clock, self.api.make_nonce, token, mask=self.api.redact.add_token)
                    self._authorized = next(settings.auth.auth_flow(self._authorized, context))
            self._token = token
        return self._authorized


def run_auth_flow(
    api: Api, request: Request, token: Token | None, make_send: Callable[[Request], Send]
) -> Flow[Response]:
    """
    Send a request as the connection's kind of authentication requires, and the further requests of its auth flow.

    :param request: the request, complete but for the credentials.
    :param token: the access token, if the kind requests one.
    :param make_send: returns the effect that sends a request.
    :return: the last response.
    :raises AuthenticationError: if the kind asks for too many requests.
    :raises UnsafeValueError: if the kind sends a request to a host that may not see the credentials.
    :raises ConfigurationError: if the kind sends nothing, or a header that can't be sent.
    """
    auth = api.settings.auth
    context = AuthContext(api.clock, api.make_nonce, token, api.auth_memory, api.redact.add_token)
    response: Response | None = None
    with closing(auth.auth_flow(request, context)) as flow:
        try:
            signed = next(flow)
            for _ in range(_MAX_AUTH_REQUESTS):
                _check_signed(api, request, signed)
                response = yield make_send(signed)
                signed = flow.send(response)
        except StopIteration:
            if response is None:
                raise ConfigurationError(f"auth {auth.name!r}: its auth_flow yields no request") from None
            return response
    raise AuthenticationError(f"{request}: auth {auth.name!r} still asks for more after {_MAX_AUTH_REQUESTS} requests")


def _check_signed(api: Api, request: Request, signed: Request) -> None:
    """Check that a request of a kind of authentication can be sent, and that its host may see the credentials."""
    where = f"auth {api.settings.auth.name!r}"
    if signed.url != request.url and not api.settings.trusts(signed.url):
        raise UnsafeValueError(
            f"{signed}: not sent, since {where} would send credentials there, and another host gets none; list the host"
            " in the connection's trusted_hosts if it may see them"
        )
    for name, value in set(signed.headers).difference(request.headers):
        validate_header(name, value, where)


def _check_no_secrets(api: Api, request: Request) -> None:
    """
    Check that a request to a host that may not see the credentials holds none that was rendered into it.

    :raises UnsafeValueError: if its URL or body contains one.
    """
    sent = f"{request.url}\n{find_literal_bytes(request.body).decode(errors='replace')}"
    if contains_any_secret(sent, api.settings.secrets() - api.settings.visible_values):
        raise UnsafeValueError(
            f"{request}: not sent, since its URL or body contains a secret of the connection, and another host gets no"
            " credentials; list the host in the connection's trusted_hosts if it may see them, or leave the secret out"
        )


def _remove_secret_headers(api: Api, request: Request) -> tuple[tuple[str, str], ...]:
    """Return the headers that another origin may see, without sensitive names and without secret values."""
    return tuple(
        (name, value) for name, value in request.headers if not is_sensitive_name(name) and api.redact(value) == value
    )
