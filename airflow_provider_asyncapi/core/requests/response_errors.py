"""Build the errors for responses that can't be used, with the API's own message and without secrets."""

from __future__ import annotations

from http import HTTPStatus
from typing import TypeVar
from urllib.parse import urlsplit

from airflow_provider_asyncapi.core.connection.api import Api
from airflow_provider_asyncapi.core.errors import (
    AsyncApiError,
    AuthenticationError,
    JobNotFoundError,
    RequestRejectedError,
    ResponseError,
    UnavailableError,
)
from airflow_provider_asyncapi.core.http.messages import Request, Response
from airflow_provider_asyncapi.core.http.redaction import redact_url
from airflow_provider_asyncapi.core.requests.error_messages import find_error_message
from airflow_provider_asyncapi.core.selectors.selector import SelectorChain
from airflow_provider_asyncapi.core.templates import Variables
from airflow_provider_asyncapi.core.text import make_displayable

#: Status codes that mean that there is nothing at the address, or no longer.
GONE_CODES = frozenset[int]({HTTPStatus.NOT_FOUND, HTTPStatus.GONE})
_UNAUTHORIZED = frozenset[int]({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})
#: The text in place of the API's own message if there is none.
NO_MESSAGE = "no message in the body"

E = TypeVar("E", bound=AsyncApiError)
R = TypeVar("R", bound=ResponseError)


def set_error_fields(error: E, request: Request, response: Response | None = None, api_message: str | None = None) -> E:
    """
    Set the fields of an error that describe the request and response in which it happened; return the error.

    :param api_message: the return value of :func:`extract_error_message`.
    """
    error.method = response.method if response is not None and response.is_redirected(request) else request.method
    error.url = redact_url((response and response.url) or request.url).removesuffix("?…")
    error.status_code = None if response is None else response.status
    error.message = None if api_message is None else make_displayable(api_message)
    return error


def extract_error_message(
    api: Api, response: Response, selector: SelectorChain | None = None, variables: Variables | None = None
) -> str | None:
    """
    Return the API's own message about a failure, without secrets; None if there is none.

    :param selector: the selector of the message.
    :param variables: variables that the selector may use; by default the variables of the connection.
    """
    message = find_error_message(response, selector, api.scope if variables is None else variables)
    return api.redact.excerpt_with_end(message) if message else None


def describe_answered_request(request: Request, response: Response) -> str:
    """Return the request that was answered and, after a redirect, the original one."""
    if not response.is_redirected(request):
        return str(request)
    return f"{response.method} {redact_url(response.url)} (redirected from {request})"


def describe_bad_response(api: Api, request: Request, response: Response, problem: ResponseError) -> str:
    """Return a description of a response without the expected content."""
    body = api.redact.excerpt(response.text)
    begins = f"; the body begins: {body}" if body else ""
    return (
        f"{describe_answered_request(request, response)} answered {response.status}: {api.redact(str(problem))}{begins}"
    )


def build_bad_response_error(api: Api, request: Request, response: Response, problem: R) -> R:
    """Return the error about a response without the expected content, with a description of the response."""
    return set_error_fields(
        problem.with_message(describe_bad_response(api, request, response, problem)), request, response
    )


def build_transient_error(api: Api, request: Request, response: Response) -> UnavailableError:
    """Return the error about a response after which the request is sent again later."""
    message = extract_error_message(api, response)
    text = f"{describe_answered_request(request, response)} answered {response.status}: {message or NO_MESSAGE}"
    return set_error_fields(UnavailableError(text), request, response, message)


def build_rejection_error(
    api: Api, request: Request, response: Response, *, expected: str = "2xx", message: SelectorChain | None = None
) -> RequestRejectedError:
    """
    Return the error about a response whose status code is final.

    :param expected: the expected status code.
    :param message: the selector of the API's own message.
    """
    settings = api.settings
    api_message = extract_error_message(api, response, message)
    answered = f"{describe_answered_request(request, response)} answered {response.status}, expected {expected}"
    text = f"{answered}: {api_message or NO_MESSAGE}"
    is_renewed = settings.auth.needs_token and response.status in settings.auth.refresh_codes
    url = response.url or request.url
    # Another host has got no credentials.
    explanation = settings.auth.explain_refusal(response, api.clock()) if settings.trusts(url) else ""
    if response.status in _UNAUTHORIZED or is_renewed or explanation:
        if explanation:
            advice = explanation
        elif not settings.trusts(url) and urlsplit(url).query:
            advice = "another host gets no credentials; if the link is signed, it may have expired"
        elif not settings.trusts(url):
            advice = "credentials aren't sent to another host, unless the connection's trusted_hosts lists it"
        elif is_renewed:
            advice = "after the token was renewed"
        else:
            advice = "check the connection's credentials"
        return set_error_fields(AuthenticationError(f"{text} ({advice})"), request, response, api_message)
    kind = JobNotFoundError if response.status in GONE_CODES else RequestRejectedError
    return set_error_fields(kind(text), request, response, api_message)
