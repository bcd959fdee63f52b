"""Classify responses: transient errors, requests that were not processed, and errors that a rule handles."""

from __future__ import annotations

from airflow_provider_asyncapi.core.errors import ContentError
from airflow_provider_asyncapi.core.http.messages import Response
from airflow_provider_asyncapi.core.status.rules import Rule
from airflow_provider_asyncapi.core.templates import Variables

_TRANSIENT = frozenset({408, 425, 429})
#: Server errors of a server that can't do this at all (RFC 9110, sections 15.6.2 and 15.6.6).
_NEVER_SUPPORTED = frozenset({501, 505})
#: With these the server reports that it hasn't processed the request, so that repeating it can't do anything twice: it
#: hasn't received all of it (408: RFC 9110, section 15.5.9), or refuses to process it now (425: RFC 8470, section 5.2;
#: 429: RFC 6585, section 4). A 503 isn't one of them, with or without a Retry-After, since proxies answer with it after
#: they have passed on the request: Envoy if the connection to the API breaks, Varnish (with Retry-After: 5) if the API
#: answers too late. RFC 9110, section 9.2.2, allows to repeat a POST only if it is known that it was never applied.
_NOT_PROCESSED = frozenset({408, 425, 429})


def is_transient(status: int) -> bool:
    """Return whether a later try may get a better response than one with this status code."""
    return status in _TRANSIENT or (status >= 500 and status not in _NEVER_SUPPORTED)  # noqa: PLR2004 - server errors


def was_not_processed(status: int) -> bool:
    """Return whether the server reports by this status code that it hasn't processed the request."""
    return status in _NOT_PROCESSED


def rule_handles_status_code(rules: tuple[Rule, ...], response: Response, variables: Variables) -> bool:
    """Return whether a rule that tests the status code matches, so that the response is no error and no redirect."""
    try:
        return any(rule.tests_status_code and rule.matches(response, variables) for rule in rules)
    except ContentError:
        # The rule also tests the body, and this is an error page that isn't the API's.
        return False


def rule_decides_without_body(rules: tuple[Rule, ...], response: Response, variables: Variables) -> bool:
    """Return whether a rule decides about a response whose body isn't known: no rule up to this one tests the body."""
    for rule in rules:
        if rule.needs_body:
            return False
        if rule.matches(response, variables):
            return True
    return False


def rule_handles_error_body(rules: tuple[Rule, ...], response: Response, variables: Variables) -> bool:
    """Return whether a rule that doesn't test the status code matches an error response."""
    if response.status < 400:  # noqa: PLR2004 - the errors
        return False
    return any(not rule.tests_status_code and rule.matches(response, variables) for rule in rules)
