"""What the response to a request means: whether it is final, and whether the request may be sent again."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

from airflow_provider_asyncapi.core.errors import TransportError
from airflow_provider_asyncapi.core.http.messages import Request, Response
from airflow_provider_asyncapi.core.requests.classification import (
    is_transient,
    rule_handles_status_code,
    was_not_processed,
)
from airflow_provider_asyncapi.core.status.rules import Rule
from airflow_provider_asyncapi.core.templates import Variables

#: A test of a response, beside its status code.
ResponseTest = Callable[[Response], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponsePolicy:
    """
    What the responses to one request mean.

    :param is_final: returns whether a response is final although its status code is that of a redirect or an error, or
        refuses the credentials; None if only the status code decides.
    :param is_readable: returns whether a response is no transient error although its status code is that of one.
    :param is_repeatable: whether it does no harm if the server receives the request twice.
    :param redirect_accepts: whether a redirect to another page (303) means that the request was carried out, whatever
        the status code of that page (RFC 9110, section 15.4.4).
    """

    is_final: ResponseTest | None = None
    is_readable: ResponseTest | None = None
    is_repeatable: bool = True
    redirect_accepts: bool = False

    def also_final(self, rules: tuple[Rule, ...], variables: Variables) -> ResponsePolicy:
        """Return the policy by which a response is also final if one of these rules handles its status code."""
        if not rules:
            return self

        def is_final(response: Response) -> bool:
            return rule_handles_status_code(rules, response, variables) or self.ends_exchange(response)

        return dataclasses.replace(self, is_final=is_final)

    def ends_exchange(self, response: Response) -> bool:
        """Return whether a response is final, so that no redirect is followed and no token renewed."""
        return self.is_final is not None and self.is_final(response)

    def takes_for_transient(self, response: Response) -> bool:
        """Return whether a response is an error after which a later try may get a better one."""
        if not is_transient(response.status):
            return False
        return not any(accepts(response) for accepts in (self.is_final, self.is_readable) if accepts)

    def accepts(self, response: Response) -> bool:
        """Return whether a response means that the request was carried out."""
        return response.ok or self.accepts_by_redirect(response) or self.ends_exchange(response)

    def accepts_by_redirect(self, response: Response) -> bool:
        """Return whether a response is a redirect which means that the request was carried out."""
        return self.redirect_accepts and response.status == HTTPStatus.SEE_OTHER

    def may_repeat(self, request: Request, result: Response | TransportError) -> bool:
        """
        Return whether the request may be sent again: that does no harm, or it is known that it wasn't processed.

        :param result: the response that isn't final, or the error if there was none.
        """
        if self.is_repeatable:
            return True
        if isinstance(result, TransportError):
            return not result.sent
        # A request that was redirected was processed, whatever the response after the redirect.
        return not result.is_redirected(request) and was_not_processed(result.status)


#: The policy of a request that may be repeated, and whose responses mean what their status codes say.
REPEATABLE = ResponsePolicy()
