"""Ask for many jobs at once."""

from __future__ import annotations

from collections.abc import Sequence

from airflow_provider_asyncapi.core.connection.settings import Api
from airflow_provider_asyncapi.core.effects import Flow
from airflow_provider_asyncapi.core.errors import ContentError
from airflow_provider_asyncapi.core.requests.exchange import as_unusable, send
from airflow_provider_asyncapi.core.wait.batch import Answers, Batch


def ask(api: Api, batch: Batch, identifiers: Sequence[str | int], *, patient: bool = False) -> Flow[Answers]:
    """
    Ask for jobs once; what an error status means for each of them is for those to say who wait for them.

    :param identifiers: at most as many as fit into a batch.
    :param patient: whether it can wait while the API wants no requests.
    :raises TransportError: where there was no answer.
    :raises ContentError: where the body can't be read.
    """
    request = batch.render(api, identifiers)
    response = yield from send(api, request, patient=patient)
    if not response.ok:
        return Answers(request, response, None)
    try:
        return Answers(request, response, batch.split(response, api.scope))
    except ContentError as error:
        raise as_unusable(api, request, response, error) from None
