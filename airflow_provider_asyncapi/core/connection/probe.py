"""Find out whether a connection works, without submitting anything."""

from __future__ import annotations

from airflow_provider_asyncapi.core.connection.settings import Api
from airflow_provider_asyncapi.core.effects import Authorize, Flow
from airflow_provider_asyncapi.core.requests.exchange import send
from airflow_provider_asyncapi.core.requests.request_template import RequestTemplate
from airflow_provider_asyncapi.core.requests.response_errors import build_rejection_error


def probe(api: Api) -> Flow[str]:
    """
    Log in where there is a login, and GET the test endpoint.

    Without a test endpoint any answer of the host proves that it can be reached; only refused credentials don't.

    :return: what came of it, in a sentence.
    :raises AsyncApiError: where it doesn't work.
    """
    done = []
    if api.settings.auth.login is not None:
        yield Authorize()
        done.append("The login gave a token.")
    request = api.render_request(RequestTemplate(api.settings.test_endpoint), api.scope)
    response = yield from send(api, request)
    refused = response.status in (401, 403)
    if refused or (api.settings.test_endpoint and not response.ok):
        raise build_rejection_error(api, request, response)
    done.append(f"{request} answered {response.status}.")
    if not api.settings.test_endpoint:
        done.append("Set test_endpoint to a request that needs the credentials, to have them tested too.")
    return " ".join(done)
