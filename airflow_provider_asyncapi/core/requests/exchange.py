"""One exchange: credentials, redirects, and what an answer's status code means. All other flows are made of these."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar
from urllib.parse import urlsplit

from airflow_provider_asyncapi.core.auth.tokens import Token
from airflow_provider_asyncapi.core.connection.settings import Api
from airflow_provider_asyncapi.core.effects import MAX_BODY, Authorize, Flow, Log, Polled, Send, Sink, Sleep
from airflow_provider_asyncapi.core.errors import (
    AsyncApiError,
    AuthenticationError,
    ContentError,
    JobNotFoundError,
    RedirectError,
    RequestRejectedError,
    ResponseError,
    TransportError,
    UnavailableError,
    UnsafeValueError,
)
from airflow_provider_asyncapi.core.http import urls
from airflow_provider_asyncapi.core.http.downloads import Download
from airflow_provider_asyncapi.core.http.messages import Request, Response, origin
from airflow_provider_asyncapi.core.http.redaction import shown_url
from airflow_provider_asyncapi.core.json_values import make_displayable
from airflow_provider_asyncapi.core.requests.authorizer import RequestAuthorizer, run_auth_flow
from airflow_provider_asyncapi.core.requests.error_messages import error_message
from airflow_provider_asyncapi.core.requests.schedule import PollSchedule, retry_after
from airflow_provider_asyncapi.core.selectors.selector import SelectorChain
from airflow_provider_asyncapi.core.status.rules import Rule
from airflow_provider_asyncapi.core.templates import Variables

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MAX_REDIRECTS = 10
_TRANSIENT = frozenset({408, 425, 429})
#: Server errors that say that the server can't do this at all (RFC 9110, sections 15.6.2 and 15.6.6).
_NEVER_SUPPORTED = frozenset({501, 505})
#: The server says that it has not taken the request, so that repeating it can't do anything twice.
_NOT_TAKEN = frozenset({408, 425, 429, 503})
_GONE = frozenset({404, 410})
_REFUSED = frozenset({401, 403})
#: What stands in a text in place of the API's own message.
_NO_MESSAGE = "no message in the body"

Stop = Callable[[Response], bool]
E = TypeVar("E", bound=AsyncApiError)
R = TypeVar("R", bound=ResponseError)


def is_transient(status: int) -> bool:
    """Tell whether a later try may get a better answer."""
    return status in _TRANSIENT or (status >= 500 and status not in _NEVER_SUPPORTED)  # noqa: PLR2004 - server errors


def was_not_taken(status: int) -> bool:
    """Tell whether the server says that it didn't act on the request."""
    return status in _NOT_TAKEN


def speaks_of_status(rules: tuple[Rule, ...], response: Response, variables: Variables) -> bool:
    """Tell whether a rule that tests the status code matches, so that it is an answer and no error or redirect."""
    try:
        return any(rule.tests_status_code and rule.matches(response, variables) for rule in rules)
    except ContentError:
        # The rule wants to see the body of an error page that isn't the API's.
        return False


def reads_error(rules: tuple[Rule, ...], response: Response, variables: Variables) -> bool:
    """Return whether a rule says by its body what an error answer means, though none tests its status code."""
    if response.status < 400:  # noqa: PLR2004 - the errors
        return False
    return any(not rule.tests_status_code and rule.matches(response, variables) for rule in rules)


def send(
    api: Api,
    request: Request,
    *,
    stop: Stop | None = None,
    sink: Sink | None = None,
    limit: int = MAX_BODY,
    can_wait: bool = False,
    skip_if_unchanged: Callable[[Response], Polled | None] | None = None,
    repeatable: bool = True,
    authorizer: RequestAuthorizer | None = None,
) -> Flow[Response]:
    """
    Send a request with the connection's credentials, and follow redirects.

    :param stop: tells that an answer is final although its status code says redirect, or refused credentials.
    :param sink: takes the body of a 2xx answer.
    :param can_wait: as for :class:`~..effects.Send`.
    :param skip_if_unchanged: as for :class:`~..effects.Send`.
    :param repeatable: whether doing it twice does no harm.
    :param authorizer: what authorized the same request before, if it was sent before.
    :return: the last answer, whatever its status code.
    :raises TransportError: where there was none.
    :raises RedirectError: on a redirect that isn't followed.
    """
    authorizer = authorizer or RequestAuthorizer(api)
    rejected: Token | None = None
    visited: list[tuple[str, str]] = []
    sets_cookies = False

    def skip_if_unchanged_after_renewal(response: Response) -> Polled | None:
        """Count a poll that needn't wake the flow; the API accepts the renewed token, which may expire in its turn."""
        nonlocal rejected
        polled = skip_if_unchanged(response) if skip_if_unchanged else None
        rejected = None if polled else rejected
        return polled

    while True:
        token = None
        try:
            if authorizer.needs_token(request):
                token = yield Authorize(rejected)
            authorized = authorizer.authorize(request, token)
            if authorizer.is_constant:
                # If the request was redirected, the next poll begins with the original one.
                skip = None if visited else skip_if_unchanged if rejected is None else skip_if_unchanged_after_renewal
                response: Response = yield Send(authorized, sink, limit, can_wait, skip, repeatable)
            else:
                # The next poll needs other credentials: the driver can't send the same request again.
                make_send = partial(Send, sink=sink, limit=limit, can_wait=can_wait, repeatable=repeatable)
                response = yield from run_auth_flow(api, authorized, token, make_send)
        except TransportError as error:
            # What was redirected has reached a server, whatever became of the rest.
            _complete(error, request, was_redirected=bool(visited))
            raise
        # Credentials in the query aren't for the handle, nor for messages.
        response.url, response.method = request.url, request.method
        is_refused = token is not None and api.settings.auth.refuses_token(response, api.scope)
        if stop is not None and not is_refused and stop(response):
            return response
        # One that was found may be as old as the one before it; one that was asked for is not.
        is_renewable = token is not None and (rejected is None or token.was_found)
        if is_renewable and (is_refused or response.status in api.settings.auth.refresh_codes):
            rejected = token
            yield Log(logging.INFO, f"{request} answered {response.status}: renewing the token")
            continue
        _check_token(api, request, response, is_refused=is_refused)
        if response.status not in _REDIRECTS or "location" not in response.headers:
            return response
        visited.append((request.method, request.url))
        request = _redirected(api, request, response)
        sets_cookies = sets_cookies or "set-cookie" in response.headers
        if (request.method, request.url) in visited or len(visited) > _MAX_REDIRECTS:
            raise about(_endless_redirect(request, visited, sets_cookies=sets_cookies), request, response)


def _complete(error: TransportError, request: Request, *, was_redirected: bool) -> None:
    """Set what an error holds about the request that it happened to, unless it is about another one."""
    error.sent = error.sent or was_redirected
    if error.method is None:
        about(error, request)


def _endless_redirect(request: Request, visited: list[tuple[str, str]], *, sets_cookies: bool) -> RedirectError:
    """Return the error about redirects that lead nowhere."""
    endless = f"{request}: redirected {len(visited)} times without an end, from {shown_url(visited[0][1])} on"
    if sets_cookies:
        endless += (
            "; the redirects set cookies, which aren't kept: let the connection's login_request get them"
            " (login_selector='header:Set-Cookie', login_header='Cookie')"
        )
    return RedirectError(endless)


def _check_token(api: Api, request: Request, response: Response, *, is_refused: bool) -> None:
    """Raise an error if an answer refuses a token that has just been renewed."""
    if is_refused:
        said = said_in(api, response)
        problem = f"{request} answered {response.status}, and by refresh_when the token isn't accepted: {said}"
        raise about(AuthenticationError(f"{problem} (after the token was renewed)"), request, response, said)


def _redirected(api: Api, request: Request, response: Response) -> Request:
    """Follow a redirect as RFC 9110, section 15.4, and browsers do."""
    try:
        target = urls.resolve(request.url, response.headers["location"])
        scheme, host, _ = origin(target)
    except urls.AmbiguousUrlError as error:
        problem = f"{request}: answered {response.status} with a Location that isn't followed, for it {error}"
        raise about(RedirectError(problem), request, response) from None
    except (ValueError, UnsafeValueError):
        scheme = host = target = ""
    if scheme not in ("http", "https") or not host:
        problem = f"{request}: answered {response.status} with a Location that is no http address"
        raise about(RedirectError(problem), request, response)
    if origin(request.url)[0] == "https" and scheme == "http":
        problem = f"{request}: redirected from https to http ({shown_url(target)}), which isn't followed"
        raise about(RedirectError(problem), request, response)
    try:
        api.settings.check_host(dataclasses.replace(request, url=target))
    except UnsafeValueError as error:
        problem = f"{request}: answered {response.status} with a Location that isn't followed: {error}"
        raise about(RedirectError(problem), request, response) from None
    # https://fetch.spec.whatwg.org/#http-redirect-fetch, step 12
    if (response.status in (301, 302) and request.method == "POST") or (
        response.status == 303 and request.method not in ("GET", "HEAD")  # noqa: PLR2004 - See Other
    ):
        headers, defaults = (
            tuple(pair for pair in pairs if not pair[0].lower().startswith("content-"))
            for pairs in (request.headers, request.default_headers)
        )
        return Request("GET", target, headers, default_headers=defaults)
    if request.body is not None and origin(target) != origin(request.url) and not api.settings.trusts(target):
        problem = (
            f"{request}: redirected with its body to another origin ({shown_url(target)}), which isn't followed;"
            " list the host in the connection's trusted_hosts if it may see it"
        )
        raise about(RedirectError(problem), request, response)
    return dataclasses.replace(request, url=target)


def rejection(
    api: Api, request: Request, response: Response, *, expected: str = "2xx", message: SelectorChain | None = None
) -> RequestRejectedError:
    """
    Make the error of an answer whose status code is final.

    :param expected: what would have been right.
    :param message: where the API says what is wrong.
    """
    settings = api.settings
    said = said_in(api, response, message)
    text = f"{answered(request, response)} answered {response.status}, expected {expected}: {said}"
    if response.status in _REFUSED or (settings.auth.login and response.status in settings.auth.refresh_codes):
        url = response.url or request.url
        if not settings.trusts(url) and urlsplit(url).query:
            how = "another host gets no credentials; if the link is signed, it may have expired"
        elif not settings.trusts(url):
            how = "credentials aren't sent to another host, unless the connection's trusted_hosts lists it"
        elif settings.auth.login and response.status in settings.auth.refresh_codes:
            how = "after the token was renewed"
        else:
            how = "check the connection's credentials"
        return about(AuthenticationError(f"{text} ({how})"), request, response, said)
    kind = JobNotFoundError if response.status in _GONE else RequestRejectedError
    return about(kind(text), request, response, said)


def answered(request: Request, response: Response) -> str:
    """Return the request that was answered, and the one that was redirected to it."""
    if not response.is_redirected(request):
        return str(request)
    return f"{response.method} {shown_url(response.url)} (redirected from {request})"


def said_in(
    api: Api, response: Response, message: SelectorChain | None = None, variables: Variables | None = None
) -> str:
    """
    Give what an answer says about a failure, without secrets.

    :param message: where the API says what is wrong.
    :param variables: what that selector may name; the connection's where not given.
    """
    said = error_message(response, message, api.scope if variables is None else variables)
    return api.redact.excerpt_with_end(said) if said else _NO_MESSAGE


def transient(api: Api, request: Request, response: Response) -> UnavailableError:
    """Make the error of an answer whose status code, or a rule, says to come again."""
    said = said_in(api, response)
    problem = UnavailableError(f"{answered(request, response)} answered {response.status}: {said}")
    return about(problem, request, response, said)


def unusable(api: Api, request: Request, response: Response, problem: ResponseError) -> str:
    """Describe an answer that doesn't hold what it should."""
    body = api.redact.excerpt(response.text)
    begins = f"; the body begins: {body}" if body else ""
    return f"{answered(request, response)} answered {response.status}: {api.redact(str(problem))}{begins}"


def as_unusable(api: Api, request: Request, response: Response, problem: R) -> R:
    """Return an error about an answer that doesn't hold what it should, with the answer described in its message."""
    return about(problem.with_message(unusable(api, request, response, problem)), request, response)


def about(error: E, request: Request, response: Response | None = None, said: str = _NO_MESSAGE) -> E:
    """
    Set what an error holds about the exchange in which it happened; return the error.

    :param said: what :func:`said_in` has found in the answer.
    """
    error.method = response.method if response is not None and response.is_redirected(request) else request.method
    error.url = shown_url((response and response.url) or request.url).removesuffix("?…")
    error.status_code = None if response is None else response.status
    error.message = None if said == _NO_MESSAGE else make_displayable(said)
    return error


@dataclass(slots=True)
class RetryBudget:
    """
    Count consecutive transient errors, and return the delay after each until there are too many.

    :param schedule: the number of errors that is too many, and the delays.
    :param errors: the number of errors so far.
    """

    schedule: PollSchedule
    errors: int = 0

    def wait(self, api: Api, problem: AsyncApiError, response: Response | None = None) -> float:
        """
        Count one more error.

        :param problem: what happened.
        :param response: the answer, where there was one.
        :return: seconds to wait before the next try.
        :raises UnavailableError: where there were too many.
        """
        self.errors += 1
        if self.errors >= self.schedule.max_errors:
            if isinstance(problem, ContentError):
                raise problem
            count = f"{self.errors} error{'s in a row' * (self.errors != 1)}"
            raise UnavailableError(f"{problem} ({count})").with_fields_of(problem) from problem
        if response is None:
            return self.schedule.after_error(self.errors, None, None, api.rng)
        said = retry_after(response.headers.get("retry-after"), api.clock())
        return self.schedule.after_error(self.errors, response.status, said, api.rng)

    def pause(self, api: Api, problem: AsyncApiError, response: Response | None = None) -> Flow[None]:
        """
        Count one more error, say so, and wait.

        :raises UnavailableError: where there were too many, or the API wants a longer wait than a worker should make.
        """
        wait = self.wait(api, problem, response)
        if wait > self.schedule.longest_pause:
            said = None if response is None else retry_after(response.headers.get("retry-after"), api.clock())
            advice = f"come again in {said or wait:.0f} s, it says: too long for a worker to wait"
            raise UnavailableError(f"{problem}; {advice}").with_fields_of(problem)
        yield Log(logging.WARNING, f"{problem}; trying again in {wait:.3g} s")
        yield Sleep(wait)


def persist(
    api: Api,
    request: Request,
    schedule: PollSchedule,
    *,
    stop: Stop | None = None,
    is_readable: Stop | None = None,
    download: Download | None = None,
    limit: int = MAX_BODY,
) -> Flow[Response]:
    """
    Send a request that may be repeated, until it gets an answer that isn't transient.

    :param is_readable: tells that an answer to this request is no transient error, though its status code says so.
    :param download: takes the body of a 2xx answer; a transfer that broke goes on where it can.
    :return: the answer; not necessarily a good one.
    :raises UnavailableError: after too many transient errors in a row. A transfer that gets on ends the row.
    """
    budget = RetryBudget(schedule)
    reached = 0
    while True:
        response: Response | None = None
        asked = request if download is None else download.resumed(request)
        if download is not None and download.reached > reached:
            reached, budget.errors = download.reached, min(budget.errors, 1)
        try:
            response = yield from send(api, asked, stop=stop, sink=download, limit=limit)
            if download is not None and download.refuses_range(response):
                problem: AsyncApiError = transient(api, asked, response)
            elif not is_transient(response.status) or any(tell(response) for tell in (stop, is_readable) if tell):
                return response
            else:
                problem = transient(api, request, response)
        except TransportError as error:
            problem = error
        yield from budget.pause(api, problem, response)
