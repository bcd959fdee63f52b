"""Follow redirects, as RFC 9110, section 15.4, and browsers do."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from http import HTTPStatus

from airflow_provider_asyncapi.core.connection.api import Api
from airflow_provider_asyncapi.core.errors import RedirectError, UnsafeValueError
from airflow_provider_asyncapi.core.http import urls
from airflow_provider_asyncapi.core.http.messages import Request, Response, parse_origin
from airflow_provider_asyncapi.core.http.redaction import redact_url
from airflow_provider_asyncapi.core.requests.response_errors import set_error_fields

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MAX_REDIRECTS = 10


def is_redirect(response: Response) -> bool:
    """Return whether a response names another address for its request."""
    return response.status in _REDIRECTS and "location" in response.headers


@dataclass(slots=True)
class RedirectChain:
    """
    The redirects of one exchange.

    :param visited: method and URL of each request that was redirected.
    """

    visited: list[tuple[str, str]] = field(default_factory=list)
    _sets_cookies: bool = False

    def follow(self, api: Api, request: Request, response: Response) -> Request:
        """
        Return the request after a redirect.

        :param request: the request that was redirected.
        :raises RedirectError: if the redirect isn't followed.
        """
        self.visited.append((request.method, request.url))
        self._sets_cookies = self._sets_cookies or "set-cookie" in response.headers
        target = _check_target(api, request, response)
        request = _redirect_request(api, request, response, target)
        if (request.method, request.url) in self.visited or len(self.visited) > _MAX_REDIRECTS:
            raise set_error_fields(self._build_loop_error(request), request, response)
        return request

    def _build_loop_error(self, request: Request) -> RedirectError:
        """Return the error about a loop of redirects, or too many of them."""
        text = (
            f"{request}: redirected {len(self.visited)} times without an end, from {redact_url(self.visited[0][1])} on"
        )
        if self._sets_cookies:
            text += (
                "; the redirects set cookies, which aren't kept: let the connection's login_request get them"
                " (login_selector='header:Set-Cookie', login_header='Cookie')"
            )
        return RedirectError(text)


def _check_target(api: Api, request: Request, response: Response) -> str:
    """
    Return the URL to which a response redirects.

    :raises RedirectError: if it isn't followed.
    """
    try:
        target = urls.resolve(request.url, response.headers["location"])
        scheme, host, _ = parse_origin(target)
    except urls.AmbiguousUrlError as error:
        problem = f"{request}: answered {response.status} with a Location that isn't followed, because it {error}"
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
    return target


def _redirect_request(api: Api, request: Request, response: Response, target: str) -> Request:
    """Return the request to the URL to which a response redirects."""
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
