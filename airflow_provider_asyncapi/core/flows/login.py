"""Log in: get a token, and say from when on it has to be renewed."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

from airflow_provider_asyncapi.core.auth import Login, Token
from airflow_provider_asyncapi.core.effects import Flow, Log, Send
from airflow_provider_asyncapi.core.errors import (
    AuthenticationError,
    ContentError,
    MissingValueError,
    ResponseError,
    TransportError,
)
from airflow_provider_asyncapi.core.flows.exchange import is_transient, said_in
from airflow_provider_asyncapi.core.messages import Response
from airflow_provider_asyncapi.core.request_templates import RequestTemplate
from airflow_provider_asyncapi.core.selectors import capture
from airflow_provider_asyncapi.core.settings import Api
from airflow_provider_asyncapi.core.templates import strings_in
from airflow_provider_asyncapi.core.values import JsonValue, as_number, as_text

#: A token is renewed this long before it expires, or at nine tenths of its life if that is shorter. Seconds.
_RENEW_BEFORE = 30.0
#: A number above these is a moment since the epoch, in seconds or in milliseconds, and no lifetime.
_EPOCH_SECONDS, _EPOCH_MILLISECONDS = 1e9, 1e11


def log_in(api: Api, login: Login, previous: Token | None) -> Flow[Token]:
    """
    Get a token, by refreshing the previous one where the API has a request for that.

    :raises AuthenticationError: where the login is refused.
    :raises MissingValueError: where its answer holds no token.
    :raises TransportError: where a later try may succeed; what the token is for hasn't been sent.
    """
    if login.refresh is not None and previous is not None:
        try:
            return (yield from _token(api, login, login.refresh, previous))
        except ResponseError as error:
            yield Log(logging.INFO, f"The token could not be refreshed, logging in anew: {error}")
    return (yield from _token(api, login, login.request, None))


def _token(api: Api, login: Login, template: RequestTemplate, previous: Token | None) -> Flow[Token]:
    known = previous.variables if previous else {}
    scope = {**api.scope, **known}
    request = template.render(scope, api.settings.base_url)
    if api.settings.trusts(request.url):
        own = api.settings.headers.items()
        request = request.with_headers((name, value) for name, value in own if not request.has_header(name))
    try:
        response: Response = yield Send(request)
    except TransportError as error:
        raise TransportError(f"login: {error}", sent=False) from error
    if is_transient(response.status):
        raise TransportError(f"login: {request} answered {response.status}: {said_in(api, response)}", sent=False)
    if not response.ok:
        raise AuthenticationError(
            f"login: {request} answered {response.status}, expected 2xx: {said_in(api, response)}; check the"
            " connection's login, password and login request"
        )
    try:
        value = login.token.value(response, scope)
        captured = capture(login.captures, response, scope)
        expiry = login.expiry.value(response, scope) if login.expiry else None
    except ContentError as error:
        raise MissingValueError(f"login: {request} answered {response.status}: {error}") from None
    if isinstance(value, bool) or not isinstance(value, str | int) or not _can_be_sent(as_text(value)):
        # The body isn't shown: it may hold the token in another place.
        raise MissingValueError(
            f"login: {request} answered {response.status}, but {login.token} found no token in it"
            f" (content type {response.content_type or 'none'})"
        )
    api.redact.add(as_text(value), *strings_in(captured))
    expires_at = _moment(expiry, api.clock())
    if expires_at is None and login.lifetime is not None:
        expires_at = api.clock() + login.lifetime
    # A refresh token that isn't rotated stays valid beside the new access token.
    return Token(as_text(value), _renew_at(expires_at, api.clock()), {**known, **captured})


def _can_be_sent(token: str) -> bool:
    return token != "" and token.isascii() and token.isprintable()


def _renew_at(expires_at: float | None, now: float) -> float | None:
    if expires_at is None:
        return None
    return expires_at - min(_RENEW_BEFORE, 0.1 * max(0.0, expires_at - now))


def _moment(expiry: JsonValue, now: float) -> float | None:
    """Read when a token expires: a lifetime, a moment since the epoch, or an ISO date."""
    number = as_number(expiry)
    if number is not None:
        if number > _EPOCH_MILLISECONDS:
            return number / 1000
        return number if number > _EPOCH_SECONDS else now + number
    if isinstance(expiry, str):
        try:
            moment = datetime.fromisoformat(expiry)
        except ValueError:
            return None
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    return None
