"""Send one request with the connection's credentials, and follow redirects. All other flows consist of this one."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from airflow_provider_asyncapi.core.connection.api import Api
from airflow_provider_asyncapi.core.effects import Flow, GetToken, Log, Polled, PollUntilChanged, Send, Sink
from airflow_provider_asyncapi.core.errors import AuthenticationError, TransportError
from airflow_provider_asyncapi.core.http.messages import MAX_BODY, Request, Response
from airflow_provider_asyncapi.core.requests.authorizer import RequestAuthorizer, run_auth_flow
from airflow_provider_asyncapi.core.requests.redirects import RedirectChain, is_redirect
from airflow_provider_asyncapi.core.requests.response_errors import NO_MESSAGE, extract_error_message, set_error_fields
from airflow_provider_asyncapi.core.requests.response_policy import REPEATABLE, ResponsePolicy

if TYPE_CHECKING:
    from airflow_provider_asyncapi.core.auth.tokens import Token

SkipIfUnchanged = Callable[[Response], Polled | None]


def send(
    api: Api,
    request: Request,
    policy: ResponsePolicy = REPEATABLE,
    *,
    sink: Sink | None = None,
    limit: int = MAX_BODY,
    can_wait: bool = False,
    skip_if_unchanged: SkipIfUnchanged | None = None,
    authorizer: RequestAuthorizer | None = None,
) -> Flow[Response]:
    """
    Send a request with the connection's credentials, and follow redirects.

    :param policy: the responses that end the exchange whatever their status code, and whether the request may be sent
        twice.
    :param sink: receives the body of a 2xx response.
    :param can_wait: as for :class:`~..effects.Send`.
    :param skip_if_unchanged: as for :class:`~..effects.PollUntilChanged`.
    :param authorizer: the authorizer of the same request if it was sent before.
    :return: the last response, whatever its status code.
    :raises TransportError: if there was none.
    :raises RedirectError: if a redirect isn't followed.
    :raises AuthenticationError: if a response refuses a token that was just renewed.
    """
    auth = api.settings.auth
    make_send = partial(Send, sink=sink, limit=limit, can_wait=can_wait, is_repeatable=policy.is_repeatable)
    authorizer = authorizer or RequestAuthorizer(api)
    tokens, redirects = _TokenRenewals(), RedirectChain()
    while True:
        token: Token | None = None
        try:
            if authorizer.needs_token(request):
                token = yield GetToken(tokens.rejected)
            authorized = authorizer.authorize(request, token)
            if not authorizer.is_constant:
                # The next poll needs other credentials: the driver can't send the same request again.
                response = yield from run_auth_flow(api, authorized, token, make_send)
            elif skip_if_unchanged is None or redirects.visited:
                # If the request was redirected, the next poll begins with the original one.
                response = yield make_send(authorized)
            else:
                response = yield PollUntilChanged(make_send(authorized), tokens.watch_polls(skip_if_unchanged))
        except TransportError as error:
            _add_request_to_error(error, request, was_redirected=bool(redirects.visited))
            raise
        # Neither the handle nor a message may contain credentials from the query.
        response.url, response.method = request.url, request.method
        is_refused = token is not None and auth.refuses_token(response, api.scope)
        if not is_refused and policy.ends_exchange(response):
            return response
        if token is not None and (is_refused or response.status in auth.refresh_codes) and tokens.reject(token):
            yield Log(logging.INFO, f"{request} answered {response.status}: renewing the token")
        elif is_refused:
            raise _build_refusal_error(api, request, response)
        elif is_redirect(response):
            request = redirects.follow(api, request, response)
        else:
            return response


class _TokenRenewals:
    """
    The token that the API has rejected during one exchange.

    :ivar rejected: the token; None if none was rejected, or another one was accepted since.
    """

    __slots__ = ("rejected",)

    def __init__(self) -> None:
        self.rejected: Token | None = None

    def reject(self, token: Token) -> bool:
        """Return whether a token that was rejected is worth a renewal, and remember it then."""
        # A token from another process may be as old as the rejected one; one that was just requested isn't.
        is_renewable = self.rejected is None or token.was_found
        if is_renewable:
            self.rejected = token
        return is_renewable

    def watch_polls(self, skip_if_unchanged: SkipIfUnchanged) -> SkipIfUnchanged:
        """Return a function that skips unchanged polls, and forgets the rejected token once the API accepts another."""
        if self.rejected is None:
            return skip_if_unchanged

        def skip_after_renewal(response: Response) -> Polled | None:
            polled = skip_if_unchanged(response)
            if polled is not None:
                # The renewed token may be rejected later.
                self.rejected = None
            return polled

        return skip_after_renewal


def _add_request_to_error(error: TransportError, request: Request, *, was_redirected: bool) -> None:
    """Set the fields of an error that describe the request, unless they describe another one, such as a login."""
    # A request that was redirected has reached a server, whether or not the next one has.
    error.sent = error.sent or was_redirected
    if error.method is None:
        set_error_fields(error, request)


def _build_refusal_error(api: Api, request: Request, response: Response) -> AuthenticationError:
    """Return the error about a response that refuses a token which has just been renewed."""
    message = extract_error_message(api, response)
    auth = api.settings.auth
    by = "by refresh_when " if auth.refresh_when is not None else ""
    advice = auth.explain_refusal(response, api.clock()) or "after the token was renewed"
    problem = f"{request} answered {response.status}, and {by}the token isn't accepted"
    error = AuthenticationError(f"{problem}: {message or NO_MESSAGE} ({advice})")
    return set_error_fields(error, request, response, message)
