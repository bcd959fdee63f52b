"""Poll several jobs with one request."""

from __future__ import annotations

from collections.abc import Sequence

from airflow_provider_asyncapi.core.connection.api import Api
from airflow_provider_asyncapi.core.effects import Flow, PollBatch
from airflow_provider_asyncapi.core.errors import ContentError
from airflow_provider_asyncapi.core.requests.exchange import send
from airflow_provider_asyncapi.core.requests.response_errors import build_bad_response_error
from airflow_provider_asyncapi.core.time_limit import limit_time
from airflow_provider_asyncapi.core.wait.batch_plan import Batch, BatchResponse


def poll_batch(
    api: Api, batch: Batch, identifiers: Sequence[str | int], *, can_wait: bool = False
) -> Flow[BatchResponse]:
    """
    Poll several jobs once; each wait classifies the response itself if its status code is an error.

    :param identifiers: the identifiers of the jobs, at most :attr:`Batch.size`.
    :param can_wait: as for :class:`~..effects.Send`.
    :raises TransportError: if there was no response.
    :raises ContentError: if the body can't be read.
    """
    request = batch.render(api, identifiers)
    response = yield from send(api, request, can_wait=can_wait)
    if not response.ok:
        return BatchResponse(request, response, None)
    try:
        return BatchResponse(request, response, batch.split(response, api.scope))
    except ContentError as error:
        raise build_bad_response_error(api, request, response, error) from None


def poll_alone(api: Api, poll: PollBatch) -> Flow[BatchResponse]:
    """
    Poll a job in a request of its own.

    :raises ThrottledError: if the API asks for a pause.
    :raises TransportError: if there was no response in time.
    :raises ContentError: if the body can't be read.
    """
    return limit_time(poll_batch(api, poll.batch, [poll.identifier], can_wait=True), poll.until)
