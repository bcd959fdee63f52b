"""Request an access token, share it, and renew it before it expires."""

from __future__ import annotations

import logging
from copy import copy
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeGuard

from airflow_provider_asyncapi.core.auth.clock import describe_clock
from airflow_provider_asyncapi.core.auth.rotation import (
    RENEWAL_TIMEOUT,
    WHY_NO_STORE,
    RenewalLock,
    find_newest,
    make_first_token,
    number_renewal,
    store_token,
)
from airflow_provider_asyncapi.core.auth.tokens import Token, TokenLock, TokenSource, compute_renewal_time
from airflow_provider_asyncapi.core.connection.api import Api
from airflow_provider_asyncapi.core.connection.headers import add_connection_headers
from airflow_provider_asyncapi.core.effects import Flow, GetToken, Log, RunBlocking, Send, Sleep
from airflow_provider_asyncapi.core.errors import (
    AsyncApiError,
    AuthenticationError,
    ConfigurationError,
    ContentError,
    MissingValueError,
    RequestRejectedError,
    ResponseError,
    TransportError,
    UnsafeValueError,
)
from airflow_provider_asyncapi.core.http.messages import Request, Response
from airflow_provider_asyncapi.core.json_values import JsonValue, as_moment, as_number, as_text, parse_iso_time
from airflow_provider_asyncapi.core.requests.classification import is_transient
from airflow_provider_asyncapi.core.requests.request_template import RequestTemplate
from airflow_provider_asyncapi.core.requests.response_errors import NO_MESSAGE, extract_error_message, set_error_fields
from airflow_provider_asyncapi.core.selectors.captures import capture_values
from airflow_provider_asyncapi.core.templates import walk_strings
from airflow_provider_asyncapi.core.time_limit import limit_time

#: Status codes of a token request with wrong credentials.
_INVALID_CREDENTIALS = frozenset({400, 401, 403, 422})
#: Seconds for which a rejected token request isn't repeated.
_FAILURE_LIFETIME = 5.0
#: Seconds between two attempts to lock the token store, and after which the other process is considered hung.
_LOCK_INTERVAL, _LOCK_TIMEOUT = 0.1, 120.0

#: The error of a token endpoint about a grant, such as a refresh token (RFC 6749, section 5.2).
_INVALID_GRANT = "invalid_grant"
#: The variable with the JSON Web Token that is signed for a token request.
ASSERTION = "assertion"


@dataclass(slots=True)
class TokenState:
    """
    The token of a connection in one process, or the error of the last request for it.

    :param token: the token.
    :param failure: the error of the last request; None if it succeeded.
    :param failed_at: time of the failure, in seconds since the epoch.
    """

    token: Token | None = None
    failure: AsyncApiError | None = None
    failed_at: float = 0.0

    def failure_to_repeat(self, asked_at: float, now: float) -> AsyncApiError | None:
        """
        Return the error of the last token request if it also applies to a flow that needs a token now.

        :param asked_at: time at which the flow began to wait for its turn, in seconds since the epoch.
        """
        refused = isinstance(self.failure, ResponseError) and now < self.failed_at + _FAILURE_LIFETIME
        return copy(self.failure) if refused or asked_at < self.failed_at else None


def build_slow_token_error() -> TransportError:
    """Return the error of a flow that has waited for a token until its time limit."""
    return TransportError("the token request didn't end in time", sent=False)


def get_shared_token(api: Api, token_state: TokenState, effect: GetToken, asked_at: float) -> Flow[Token]:
    """
    Return a valid token, as :func:`get_token` does. It runs for one task at a time, and the next ones reuse its token.

    If a token request fails, the tasks that wait for their turn get the same error. After a rejection, all tasks get it
    for some seconds, so that a thousand waiting tasks don't all send a wrong password.

    :param effect: the effect that needs the token.
    :param asked_at: time at which the effect began to wait for its turn, in seconds since the epoch.
    :raises TransportError: if there is no token in time.
    """
    now, rejected = api.clock(), effect.rejected
    if not _is_usable(token_state.token, rejected, now) and (failure := token_state.failure_to_repeat(asked_at, now)):
        raise failure
    flow = get_token(api, token_state.token, rejected, effect.until)
    source = api.settings.auth.token_source
    if source is None or source.refresh_token is None:
        # A request that is given up loses the new refresh token in its response.
        flow = limit_time(flow, effect.until)
    try:
        token_state.token = yield from flow
    except AsyncApiError as error:
        # If only the time limit of this flow was reached, the next flow may still get a token.
        if effect.until is None or api.clock() < effect.until:
            # A copy, since the error itself keeps the frames of its traceback alive.
            token_state.failure, token_state.failed_at = copy(error), api.clock()
        raise
    token_state.failure = None
    return token_state.token


def get_token(api: Api, known: Token | None, rejected: Token | None, until: float | None = None) -> Flow[Token]:
    """
    Return a valid token: the known one, one that another process has stored, or a new one.

    :param known: the token of this process.
    :param rejected: the token that the API has just refused, if any.
    :param until: time at which to stop waiting for the token request of another process, in seconds since the epoch.
    :raises TransportError: if that time is reached.
    :raises AuthenticationError: as :func:`request_token` does, which may also raise other errors.
    """
    source, tokens = api.settings.auth.token_source, api.tokens
    if _is_usable(known, rejected, api.clock()):
        return known
    if source is None:
        return (yield from _borrow_token(api, rejected))
    if source.refresh_token is not None:
        return (yield from _get_rotating_token(api, source, source.refresh_token, known, rejected, until))
    waited = 0.0
    while tokens is not None and waited < _LOCK_TIMEOUT:
        # Before the store is read, so that no other process can request a token between the two.
        lock: TokenLock | None = yield RunBlocking(tokens.lock)
        try:
            stored: Token | None = yield RunBlocking(tokens.read)
            if _is_usable(stored, rejected, api.clock()):
                return _use_stored_token(api, stored)
            if lock is not None:
                token = yield from request_token(api, source, stored or known)
                yield RunBlocking(partial(tokens.write, token))
                return token
        finally:
            if lock is not None:
                lock.close()
        if until is not None and api.clock() >= until:
            raise build_slow_token_error()
        # Polling, instead of a thread that waits for the lock: a cancelled wait leaves nothing behind.
        yield Sleep(_LOCK_INTERVAL)
        waited += _LOCK_INTERVAL
    return (yield from request_token(api, source, known))


def _borrow_token(api: Api, rejected: Token | None) -> Flow[Token]:
    """
    Return an access token, or the keys, of another connection.

    :raises ConfigurationError: if there is none.
    """
    lender = api.lender
    if lender is None:
        raise ConfigurationError("credentials_conn_id: the credentials of another connection can't be used here")
    token: Token = yield RunBlocking(partial(lender.lend, is_rejected=rejected is not None))
    api.redact.add_token(token.value, *walk_strings(token.variables))
    return token


def _get_rotating_token(
    api: Api, source: TokenSource, initial: str, known: Token | None, rejected: Token | None, until: float | None
) -> Flow[Token]:
    """
    Return a token that another process has stored, or renew it; only one process of all hosts does that at a time.

    :param initial: the refresh token of the connection.
    :raises ConfigurationError: if there is no store.
    """
    store = api.rotating_tokens
    if store is None:
        raise ConfigurationError(WHY_NO_STORE)
    lock, newest = RenewalLock(api, store), find_newest(make_first_token(initial), known)
    while True:
        stored: Token | None = yield RunBlocking(store.read)
        if _is_usable(stored, rejected, api.clock()):
            return _use_stored_token(api, stored)
        if (yield from lock.acquire()):
            try:
                token = yield from _renew_token(api, source, newest, rejected, lock)
            except AsyncApiError:
                yield from lock.release()
                raise
            yield from lock.release()
            if token is not None:
                return token
        if until is not None and api.clock() >= until:
            raise build_slow_token_error()


def _renew_token(
    api: Api, source: TokenSource, newest: Token, rejected: Token | None, lock: RenewalLock
) -> Flow[Token | None]:
    """
    Return a new token, which has been stored; None if the lock doesn't hold for long enough.

    :param newest: the last token that this process knows.
    """
    stored: Token | None = yield RunBlocking(lock.store.read)
    if _is_usable(stored, rejected, api.clock()):
        return _use_stored_token(api, stored)
    if not lock.is_safe:
        return None
    newest = find_newest(newest, stored)
    request = _send_token_request(api, source, source.request, newest)
    token = number_renewal((yield from limit_time(request, api.clock() + RENEWAL_TIMEOUT)), newest)
    yield from store_token(api, lock.store, token)
    return token


def _use_stored_token(api: Api, stored: Token) -> Token:
    api.redact.add_token(stored.value, *walk_strings(stored.variables))
    return replace(stored, was_found=True)


def _is_usable(token: Token | None, rejected: Token | None, now: float) -> TypeGuard[Token]:
    return token is not None and token != rejected and token.is_fresh(now)


def request_token(api: Api, source: TokenSource, previous: Token | None) -> Flow[Token]:
    """
    Request a token; with the refresh request, if there is one and a previous token.

    :raises AuthenticationError: if the credentials are refused.
    :raises MissingValueError: if the response contains no token.
    :raises TransportError: if a later try may succeed; the request that needs the token hasn't been sent.
    """
    if source.refresh is not None and previous is not None:
        try:
            return (yield from _send_token_request(api, source, source.refresh, previous))
        except ResponseError as error:
            yield Log(logging.INFO, f"The token could not be refreshed, requesting a new one: {error}")
    return (yield from _send_token_request(api, source, source.request, None))


def _send_token_request(
    api: Api, source: TokenSource, template: RequestTemplate, previous: Token | None
) -> Flow[Token]:
    known = previous.variables if previous else {}
    if known:
        # The server may repeat a refresh token that another process has stored.
        api.redact.add_token(*walk_strings(known))
    scope = {**api.merge_variables(known), **source.variables}
    if source.assertion is not None:
        scope[ASSERTION] = source.assertion.sign(api.clock(), api.make_nonce())
        api.redact.add_token(scope[ASSERTION])
    request = template.render(scope, api.settings.base_url)
    if not api.settings.lists_host(request.url):
        # Only a value from the API can have led there, and the request contains credentials.
        raise UnsafeValueError(f"token request: {request}: not sent, since the connection doesn't list this host")
    if api.settings.trusts(request.url):
        request = add_connection_headers(request, api.settings)
    else:
        request = request.with_default_headers()
    request = request.with_headers(source.headers.items())
    try:
        response: Response = yield Send(request)
    except TransportError as error:
        raise set_error_fields(TransportError(f"token request: {error}", sent=False), request) from error
    if not response.ok:
        raise _build_rejection(api, source, request, response)
    try:
        value = source.token.find_value(response, scope)
        captured = capture_values(source.captures, response, scope)
        expiry = source.expiry.find_value(response, scope) if source.expiry else None
    except ContentError as error:
        raise MissingValueError(f"token request: {request} answered {response.status}: {error}") from None
    if isinstance(value, bool) or not isinstance(value, str | int) or not _is_sendable(as_text(value)):
        # The message doesn't contain the body, which may contain the token elsewhere.
        raise MissingValueError(
            f"token request: {request} answered {response.status}, but {source.token} found no token in it"
            f" (content type {response.content_type or 'none'})"
        )
    api.redact.add_token(as_text(value), *walk_strings(captured))
    expires_at = _parse_expiry(expiry, api.clock())
    if expires_at is None and source.lifetime is not None:
        expires_at = api.clock() + source.lifetime
    # A refresh token that isn't rotated stays valid beside the new access token.
    return Token(as_text(value), compute_renewal_time(expires_at, api.clock()), {**known, **captured})


def _build_rejection(api: Api, source: TokenSource, request: Request, response: Response) -> AsyncApiError:
    """Return the error after a response to a token request that isn't 2xx."""
    message = extract_error_message(api, response)
    problem = f"token request: {request} answered {response.status}"
    if is_transient(response.status):
        error: AsyncApiError = TransportError(f"{problem}: {message or NO_MESSAGE}", sent=False)
        return set_error_fields(error, request, response, message)
    problem = f"{problem}, expected 2xx: {message or NO_MESSAGE}"
    # RFC 6749, section 5.2: wrong credentials are a 400 or a 401.
    if response.status not in _INVALID_CREDENTIALS:
        advice = "check address and method of the token request (oauth2_url and oauth2_method, or login_request)"
        error = RequestRejectedError(f"{problem}; {advice}")
    elif source.refresh_token is not None and _INVALID_GRANT in response.text:
        advice = (
            "the refresh token has expired, was revoked, or was used by something else; authorize the client again, and"
            " set refresh_token of the connection to the new one"
        )
        error = AuthenticationError(f"{problem}; {advice}")
    elif source.assertion is not None:
        clock = describe_clock(response, api.clock())
        advice = f"check the connection's key and claims{'; ' if clock else ''}{clock}"
        error = AuthenticationError(f"{problem}; {advice}")
    else:
        advice = "check the connection's login and password, and the content of the token request"
        error = AuthenticationError(f"{problem}; {advice}")
    return set_error_fields(error, request, response, message)


def _is_sendable(token: str) -> bool:
    return token != "" and token.isascii() and token.isprintable()


def _parse_expiry(expiry: JsonValue, now: float) -> float | None:
    """Return when a token expires, from a lifetime, a moment since the epoch, or an ISO date; None if it is none."""
    number = as_number(expiry)
    if number is not None:
        moment = as_moment(number)
        return now + number if moment is None else moment
    if isinstance(expiry, str):
        return parse_iso_time(expiry)
    return None
