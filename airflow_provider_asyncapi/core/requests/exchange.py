"""One exchange: credentials, redirects, and what an answer's status code means. All other flows are made of these."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlsplit

from airflow_provider_asyncapi.core.auth.kinds import Token
from airflow_provider_asyncapi.core.connection.headers import add_connection_headers
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
from airflow_provider_asyncapi.core.http.redaction import holds_any, is_sensitive_name, shown_url
from airflow_provider_asyncapi.core.json_values import displayable
from airflow_provider_asyncapi.core.requests.error_messages import error_message
from airflow_provider_asyncapi.core.requests.schedule import PollSchedule, retry_after
from airflow_provider_asyncapi.core.selectors.selection import Selection
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


@dataclass(slots=True)
class Envelope:
    """
    Puts the connection's headers and credentials on a request.

    The last one is kept: a wait sends the same request again and again, and sealing it costs more than judging its
    answer.

    :param api: the connection.
    """

    api: Api
    _request: Request | None = None
    _token: Token | None = None
    _trusted: bool = False
    _sealed: Request | None = None

    def needs_token(self, request: Request) -> bool:
        """
        Tell whether a token has to be asked for before the request can be sealed.

        :raises UnsafeValueError: if it goes to a host where the connection lets nothing go.
        """
        if self._request is not request:
            self.api.settings.check_host(request)
            self._request, self._sealed = request, None
            self._trusted = self.api.settings.trusts(request.url)
            if not self._trusted:
                _check_no_secrets(self.api, request)
        return self._trusted and self.api.settings.auth.login is not None

    def is_good_at(self, moment: float) -> bool:
        """Tell whether what was sealed may still be sent then, in seconds since the epoch."""
        return self._token is None or self._token.is_fresh(moment)

    def seal(self, request: Request, token: Token | None) -> Request:
        """
        Give the request as it may be sent: to another origin without anything secret.

        :param request: the one that :meth:`needs_token` was asked about.
        """
        if self._sealed is None or self._token is not token:
            settings = self.api.settings
            if self._trusted:
                self._sealed = settings.auth.apply(add_connection_headers(request, settings), token)
            else:
                shown = dataclasses.replace(request, headers=_without_secrets(self.api, request))
                self._sealed = shown.with_default_headers()
            self._token = token
        return self._sealed


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
    envelope: Envelope | None = None,
) -> Flow[Response]:
    """
    Send a request with the connection's credentials, and follow redirects.

    :param stop: tells that an answer is final although its status code says redirect, or refused credentials.
    :param sink: takes the body of a 2xx answer.
    :param can_wait: as for :class:`~..effects.Send`.
    :param skip_if_unchanged: as for :class:`~..effects.Send`.
    :param repeatable: whether doing it twice does no harm.
    :param envelope: what the same request was sent in before, if it was.
    :return: the last answer, whatever its status code.
    :raises TransportError: where there was none.
    :raises RedirectError: on a redirect that isn't followed.
    """
    envelope = envelope or Envelope(api)
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
            if envelope.needs_token(request):
                token = yield Authorize(rejected)
            sealed = envelope.seal(request, token)
            # Where one was redirected, the next poll begins with what was asked at first.
            counted = None if visited else skip_if_unchanged if rejected is None else skip_if_unchanged_after_renewal
            response: Response = yield Send(sealed, sink, limit, can_wait, counted, repeatable)
        except TransportError as error:
            # What was redirected has reached a server, whatever became of the rest.
            error.sent = error.sent or bool(visited)
            if error.method is None:
                about(error, request)
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


def _check_no_secrets(api: Api, request: Request) -> None:
    """
    Check that a request to a host that may not see the credentials holds none that was rendered into it.

    :raises UnsafeValueError: if its URL or body holds one.
    """
    sent = f"{request.url}\n{(request.body or b'').decode(errors='replace')}"
    if holds_any(sent, api.settings.secrets() - api.settings.shown):
        raise UnsafeValueError(
            f"{request}: not sent, for its URL or body holds a secret of the connection, and another host gets no"
            " credentials; list the host in the connection's trusted_hosts if it may see them, or leave the secret out"
        )


def _without_secrets(api: Api, request: Request) -> tuple[tuple[str, str], ...]:
    """Give the headers that another origin may see: none named like a secret, none that holds one."""
    return tuple(
        (name, value) for name, value in request.headers if not is_sensitive_name(name) and api.redact(value) == value
    )


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
    api: Api, request: Request, response: Response, *, expected: str = "2xx", message: Selection | None = None
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


def said_in(api: Api, response: Response, message: Selection | None = None, variables: Variables | None = None) -> str:
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
    error.message = None if said == _NO_MESSAGE else displayable(said)
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
