"""Read the body of a response with aiohttp, chunk by chunk."""

from __future__ import annotations

import asyncio

import aiohttp

from airflow_provider_asyncapi.core.http.messages import Response
from airflow_provider_asyncapi.transports.exchange_deadline import ExchangeDeadline
from airflow_provider_asyncapi.transports.receiver import Receiver

#: Bytes of a body that are processed before other tasks get the event loop.
_AT_A_TIME = 64 * 1024


async def read_body(body: aiohttp.StreamReader, receiver: Receiver, deadline: ExchangeDeadline) -> Response:
    """
    Read a body to its end, and return the response.

    :raises TransportError: if no data of a streamed body comes in time.
    """
    while not body.at_eof():
        chunk = await (_wait_for_data(body, deadline) if receiver.is_streamed else body.readany())
        receiver.feed(chunk[:_AT_A_TIME])
        for start in range(_AT_A_TIME, len(chunk), _AT_A_TIME):
            # Decoding a chunk can take long; other tasks run in between.
            await asyncio.sleep(0)
            receiver.feed(chunk[start : start + _AT_A_TIME])
    return receiver.finish()


async def _wait_for_data(body: aiohttp.StreamReader, deadline: ExchangeDeadline) -> bytes:
    try:
        async with asyncio.timeout(deadline.remaining()):
            return await body.readany()
    except TimeoutError as error:
        if isinstance(error, aiohttp.ClientError):
            raise
        raise deadline.error() from None
