"""Test a connection without submitting anything."""

from __future__ import annotations

from airflow_provider_asyncapi.core.connection.api import Api
from airflow_provider_asyncapi.core.effects import Flow, GetToken, Send
from airflow_provider_asyncapi.core.http.messages import Response
from airflow_provider_asyncapi.core.requests.exchange import send
from airflow_provider_asyncapi.core.requests.request_template import RequestTemplate
from airflow_provider_asyncapi.core.requests.response_errors import build_rejection_error


def probe(api: Api) -> Flow[str]:
    """
    Request an access token if the connection needs one, and GET the test endpoint.

    Without a test endpoint, any response of the host counts as success, except one that rejects the credentials.

    :return: the result, in a sentence.
    :raises AsyncApiError: if the connection doesn't work.
    """
    done = []
    auth = api.settings.auth
    source = auth.token_source
    request = api.render_request(RequestTemplate(api.settings.test_endpoint), api.scope)
    if source is not None and source.refresh_token is not None:
        answered: Response = yield Send(request.with_default_headers())
        return (
            f"{request} answered {answered.status} without credentials. The refresh token wasn't tested: a test would"
            " spend it, and the tasks couldn't use it any more."
        )
    if auth.needs_token:
        yield GetToken()
        done.append(
            "The token request returned a token."
            if auth.borrowed is None
            else f"The connection {auth.borrowed.conn_id!r} has lent its credentials."
        )
    response = yield from send(api, request)
    refused = response.status in (401, 403)
    if refused or (api.settings.test_endpoint and not response.ok):
        raise build_rejection_error(api, request, response)
    done.append(f"{request} answered {response.status}.")
    if not api.settings.test_endpoint:
        done.append("To test the credentials too, set test_endpoint to an endpoint that needs them.")
    return " ".join(done)
