"""Send one request with the connection's credentials, and follow redirects. All other flows consist of this one."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable
from functools import partial
from http import HTTPStatus

from airflow_provider_asyncapi.core.auth.tokens import Token
from airflow_provider_asyncapi.core.connection.api import Api
from airflow_provider_asyncapi.core.effects import MAX_BODY, Flow, GetToken, Log, Polled, PollUntilChanged, Send, Sink
from airflow_provider_asyncapi.core.errors import (
    AuthenticationError,
    RedirectError,
    TransportError,
    UnsafeValueError,
)
from airflow_provider_asyncapi.core.http import urls
from airflow_provider_asyncapi.core.http.messages import Request, Response, parse_origin
from airflow_provider_asyncapi.core.http.redaction import redact_url
from airflow_provider_asyncapi.core.requests.authorizer import RequestAuthorizer, run_auth_flow
from airflow_provider_asyncapi.core.requests.classification import IsFinal
from airflow_provider_asyncapi.core.requests.response_errors import NO_MESSAGE, extract_error_message, set_error_fields

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MAX_REDIRECTS = 10


def send(
    api: Api,
    request: Request,
    *,
    is_final: IsFinal | None = None,
    sink: Sink | None = None,
    limit: int = MAX_BODY,
    can_wait: bool = False,
    skip_if_unchanged: Callable[[Response], Polled | None] | None = None,
    repeatable: bool = True,
    authorizer: RequestAuthorizer | None = None,
) -> Flow[Response]:
    """
    Send a request with the connection's credentials, and follow redirects.

    :param is_final: returns whether a response is final although its status code is a redirect or refuses credentials.
    :param sink: receives the body of a 2xx response.
    :param can_wait: as for :class:`~..effects.Send`.
    :param skip_if_unchanged: as for :class:`~..effects.PollUntilChanged`.
    :param repeatable: whether the request may be sent twice without harm.
    :param authorizer: the authorizer of the same request if it was sent before.
    :return: the last response, whatever its status code.
    :raises TransportError: if there was none.
    :raises RedirectError: if a redirect isn't followed.
    """
    authorizer = authorizer or RequestAuthorizer(api)
    rejected: Token | None = None
    visited: list[tuple[str, str]] = []
    sets_cookies = False

    def skip_if_unchanged_after_renewal(response: Response) -> Polled | None:
        """Count a poll that needn't resume the flow; the API accepts the renewed token, which may be rejected later."""
        nonlocal rejected
        polled = skip_if_unchanged(response) if skip_if_unchanged else None
        rejected = None if polled else rejected
        return polled

    while True:
        token = None
        try:
            if authorizer.needs_token(request):
                token = yield GetToken(rejected)
            authorized = authorizer.authorize(request, token)
            if authorizer.is_constant:
                # If the request was redirected, the next poll begins with the original one.
                skip = None if visited else skip_if_unchanged if rejected is None else skip_if_unchanged_after_renewal
                sending = Send(authorized, sink, limit, can_wait, repeatable)
                response: Response = yield sending if skip is None else PollUntilChanged(sending, skip)
            else:
                # The next poll needs other credentials: the driver can't send the same request again.
                make_send = partial(Send, sink=sink, limit=limit, can_wait=can_wait, repeatable=repeatable)
                response = yield from run_auth_flow(api, authorized, token, make_send)
        except TransportError as error:
            # A request that was redirected has reached a server, whether or not the next one has.
            _add_request_to_error(error, request, was_redirected=bool(visited))
            raise
        # Neither the handle nor a message may contain credentials from the query.
        response.url, response.method = request.url, request.method
        is_refused = token is not None and api.settings.auth.refuses_token(response, api.scope)
        if is_final is not None and not is_refused and is_final(response):
            return response
        # A token from another process may be as old as the rejected one; one that was just requested isn't.
        is_renewable = token is not None and (rejected is None or token.was_found)
        if is_renewable and (is_refused or response.status in api.settings.auth.refresh_codes):
            rejected = token
            yield Log(logging.INFO, f"{request} answered {response.status}: renewing the token")
            continue
        _check_token(api, request, response, is_refused=is_refused)
        if response.status not in _REDIRECTS or "location" not in response.headers:
            return response
        visited.append((request.method, request.url))
        request = _follow_redirect(api, request, response)
        sets_cookies = sets_cookies or "set-cookie" in response.headers
        if (request.method, request.url) in visited or len(visited) > _MAX_REDIRECTS:
            raise set_error_fields(
                _build_redirect_loop_error(request, visited, sets_cookies=sets_cookies), request, response
            )


def _add_request_to_error(error: TransportError, request: Request, *, was_redirected: bool) -> None:
    """Set the fields of an error that describe the request, unless they describe another one."""
    error.sent = error.sent or was_redirected
    if error.method is None:
        set_error_fields(error, request)


def _build_redirect_loop_error(
    request: Request, visited: list[tuple[str, str]], *, sets_cookies: bool
) -> RedirectError:
    """Return the error about a loop of redirects, or too many of them."""
    text = f"{request}: redirected {len(visited)} times without an end, from {redact_url(visited[0][1])} on"
    if sets_cookies:
        text += (
            "; the redirects set cookies, which aren't kept: let the connection's login_request get them"
            " (login_selector='header:Set-Cookie', login_header='Cookie')"
        )
    return RedirectError(text)


def _check_token(api: Api, request: Request, response: Response, *, is_refused: bool) -> None:
    """Raise an error if a response rejects a token that has just been renewed."""
    if is_refused:
        message = extract_error_message(api, response)
        problem = f"{request} answered {response.status}, and by refresh_when the token isn't accepted"
        error = AuthenticationError(f"{problem}: {message or NO_MESSAGE} (after the token was renewed)")
        raise set_error_fields(error, request, response, message)


def _follow_redirect(api: Api, request: Request, response: Response) -> Request:
    """Return the request after a redirect, as RFC 9110, section 15.4, and browsers do."""
    try:
        target = urls.resolve(request.url, response.headers["location"])
        scheme, host, _ = parse_origin(target)
    except urls.AmbiguousUrlError as error:
        problem = f"{request}: answered {response.status} with a Location that isn't followed, for it {error}"
        raise set_error_fields(RedirectError(problem), request, response) from None
    except (ValueError, UnsafeValueError):
        scheme = host = target = ""
    if scheme not in ("http", "https") or not host:
        problem = f"{request}: answered {response.status} with a Location that is no http address"
        raise set_error_fields(RedirectError(problem), request, response)
    if parse_origin(request.url)[0] == "https" and scheme == "http":
        problem = f"{request}: redirected from https to http ({redact_url(target)}), which isn't followed"
        raise set_error_fields(RedirectError(problem), request, response)
    try:
        api.settings.check_host(dataclasses.replace(request, url=target))
    except UnsafeValueError as error:
        problem = f"{request}: answered {response.status} with a Location that isn't followed: {error}"
        raise set_error_fields(RedirectError(problem), request, response) from None
    # https://fetch.spec.whatwg.org/#http-redirect-fetch, step 12
    if (response.status in (301, 302) and request.method == "POST") or (
        response.status == HTTPStatus.SEE_OTHER and request.method not in ("GET", "HEAD")
    ):
        headers, defaults = (
            tuple(pair for pair in pairs if not pair[0].lower().startswith("content-"))
            for pairs in (request.headers, request.default_headers)
        )
        return Request("GET", target, headers, default_headers=defaults)
    if (
        request.body is not None
        and parse_origin(target) != parse_origin(request.url)
        and not api.settings.trusts(target)
    ):
        problem = (
            f"{request}: redirected with its body to another origin ({redact_url(target)}), which isn't followed;"
            " list the host in the connection's trusted_hosts if it may see it"
        )
        raise set_error_fields(RedirectError(problem), request, response)
    return dataclasses.replace(request, url=target)
