"""The HTTP routes that receive callbacks."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn, TypeVar

import anyio.to_thread
from fastapi import APIRouter, HTTPException, Path, Request
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, PlainTextResponse, Response

from airflow_provider_asyncapi.core.callbacks.calls import PATH, CallbackReference
from airflow_provider_asyncapi.core.errors import AsyncApiError, InvalidCallbackError, NewerLayoutError
from airflow_provider_asyncapi.core.http.messages import Headers
from airflow_provider_asyncapi.plugins import receipts
from airflow_provider_asyncapi.plugins.connections import TooManyLookUpsError
from airflow_provider_asyncapi.plugins.receipts import IncomingCallback
from airflow_provider_asyncapi.plugins.stored_callbacks import TooManyCallbacksError

if TYPE_CHECKING:
    from airflow_provider_asyncapi.core.callbacks.webhooks import Challenge

T = TypeVar("T")
# The application is mounted at the first part of the path.
router = APIRouter(prefix=f"/{PATH.rpartition('/')[2]}", tags=["Callbacks"])
log = logging.getLogger(__name__)

#: Seconds between two log lines about refused callbacks.
_LOG_INTERVAL = 10.0
#: Maximum number of callbacks that are processed at the same time.
_CONCURRENCY = 3
#: Seconds in which a body has to be received.
_BODY_TIMEOUT = 30.0
#: Connection ids that have a URL; Airflow also allows slashes, which could lead to another path.
_CONN_ID = re.compile(r"\w[\w#!()\-.:]{0,249}", re.ASCII)
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    404: {"description": "No job expects this callback, or it isn't genuine. Nothing has changed."},
    413: {"description": "The body is too large. Nothing has changed."},
    429: {"description": "The job has sent too many callbacks. Nothing has changed."},
    503: {"description": "The callback can't be verified now. Nothing has changed; send it again later."},
}


class RefusalLog:
    """
    Logs refused callbacks at a limited rate.

    :param clock: returns seconds of a monotonic clock.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since = -_LOG_INTERVAL
        self._unlogged = 0

    def log(self, why: object) -> None:
        """Log a refused callback, or count it if another was logged within the interval."""
        self._unlogged += 1
        if (now := self._clock()) - self._since >= _LOG_INTERVAL:
            more = f" ({self._unlogged} since the last such line)" if self._unlogged > 1 else ""
            log.warning("Refused a callback: %s%s", why, more)
            self._since, self._unlogged = now, 0


refusal_log = RefusalLog()


@router.post("/{reference}", responses=_ANSWERS, status_code=200)
async def receive_callback(
    request: Request,
    reference: Annotated[str, Path(description="The last part of the submit operator's {callback_url}.")],
) -> dict[str, str]:
    """Receive the callback of the job that was submitted with this URL."""
    _hide_url(request)
    try:
        # A callback that can't be genuine is refused before its body is read.
        job = await _run_in_turn(receipts.find_job, CallbackReference.parse(reference))
        incoming = await _read(request)
        await _run_in_turn(receipts.store_callback, job, incoming)
    except AsyncApiError as error:
        _refuse(error)
    return {}


@router.post("/connections/{conn_id}", responses=_ANSWERS, status_code=200)
async def receive_signed_callback(
    request: Request,
    conn_id: Annotated[str, Path(description="The connection of the API that sends the callback.")],
) -> dict[str, str]:
    """Receive a signed callback that names its job, for APIs that call one URL for all jobs."""
    try:
        if not _CONN_ID.fullmatch(conn_id):
            raise InvalidCallbackError("this can't be the id of a connection")
        # The body is read whether or not the connection exists, so that neither the response nor its time reveals it.
        incoming = await _read(request)
        await _run_in_turn(receipts.store_callback_by_identifier, conn_id, incoming)
    except AsyncApiError as error:
        _refuse(error)
    return {}


@router.get("/connections/{conn_id}/events", responses=_ANSWERS, status_code=200)
@router.post("/connections/{conn_id}/events", responses=_ANSWERS, status_code=200)
async def receive_webhook(
    request: Request,
    conn_id: Annotated[str, Path(description="The connection of the API that sends the webhook.")],
) -> Response:
    """Receive a signed webhook, which causes asset events, or a call that only checks the URL."""
    try:
        if not _CONN_ID.fullmatch(conn_id):
            raise InvalidCallbackError("this can't be the id of a connection")
        challenge = await _run_in_turn(receipts.find_challenge, conn_id, dict(request.query_params))
        if challenge is None:
            if request.method == "GET":
                raise InvalidCallbackError("a webhook is a POST")
            incoming = await _read(request)
            challenge = await _run_in_turn(receipts.store_webhook, conn_id, incoming)
    except AsyncApiError as error:
        _refuse(error)
    return JSONResponse({}) if challenge is None else _answer_challenge(*challenge)


@router.api_route("/{rest:path}", methods=list(_METHODS), include_in_schema=False)
async def refuse_other_requests(request: Request) -> None:
    """Refuse a request that isn't a callback in the same way as a forged one, so that it reveals nothing."""
    _hide_url(request)
    _refuse(InvalidCallbackError("it isn't a POST to the URL of callbacks"))


async def _run_in_turn(work: Callable[..., T], *arguments: Any) -> T:
    """Access the database on a thread, for a few callbacks at a time, so that they don't block Airflow's pages."""
    return await anyio.to_thread.run_sync(work, *arguments, limiter=_limiter())


@cache
def _limiter() -> anyio.CapacityLimiter:
    return anyio.CapacityLimiter(_CONCURRENCY)


def _hide_url(request: Request) -> None:
    """Keep the URL, which is a secret, out of the server's access log, which reads it after the response."""
    head, prefix, _ = request.scope["path"].partition(f"{router.prefix}/")
    request.scope["path"] = f"{head}{prefix}hidden"


async def _read(request: Request) -> IncomingCallback:
    """
    Read a callback, up to the maximum size of its body.

    :raises HTTPException: 413 if the body is larger.
    :raises InvalidCallbackError: if the body is incomplete, or takes too long.
    """
    limit = receipts.max_body_bytes()
    body = bytearray()
    declared = request.headers.get("content-length", "0")
    too_large = declared.isdecimal() and int(declared) > limit
    if not too_large:
        try:
            async with asyncio.timeout(_BODY_TIMEOUT):
                async for piece in request.stream():
                    body += piece
                    if too_large := len(body) > limit:
                        break
        except (ClientDisconnect, TimeoutError):
            raise InvalidCallbackError(f"its body is incomplete, or took more than {_BODY_TIMEOUT:g} s") from None
    if too_large:
        refusal_log.log(f"its body has more than {limit} bytes ([asyncapi] callback_max_bytes)")
        _respond_and_close(413)
    fields = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers.raw]
    return IncomingCallback(Headers(fields), bytes(body), time.time())


def _answer_challenge(challenge: Challenge, value: str) -> Response:
    """Return a response with the value, which a browser doesn't take for a page."""
    headers = {"X-Content-Type-Options": "nosniff"}
    if challenge.is_json:
        return JSONResponse({challenge.name: value}, headers=headers)
    return PlainTextResponse(value, headers=headers)


def _refuse(error: AsyncApiError) -> NoReturn:
    """
    Refuse a callback with the same response for all reasons, so that the response doesn't reveal the reason.

    Only callers who can succeed by calling again, or later, get another response.
    """
    refusal_log.log(error)
    if isinstance(error, TooManyCallbacksError):
        _respond_and_close(429)
    _respond_and_close(503 if isinstance(error, NewerLayoutError | TooManyLookUpsError) else 404)


def _respond_and_close(status: int) -> NoReturn:
    """Respond, and close the connection without reading the rest of the body."""
    raise HTTPException(status, headers={"Connection": "close"})
