"""Where callbacks come in."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Callable
from functools import cache
from typing import Annotated, Any, Final, NoReturn, TypeVar

import anyio.to_thread
from fastapi import APIRouter, HTTPException, Path, Request
from starlette.requests import ClientDisconnect

from airflow_provider_asyncapi.core.callbacks.calls import PATH, Reference
from airflow_provider_asyncapi.core.errors import AsyncApiError, ForgedCallError, NewerLayoutError
from airflow_provider_asyncapi.core.http.messages import Headers
from airflow_provider_asyncapi.plugins import receipts
from airflow_provider_asyncapi.plugins.connections import TooManyLookUpsError
from airflow_provider_asyncapi.plugins.receipts import Incoming, TooManyCallsError

T = TypeVar("T")
# The application is mounted at the first part of the path.
router = APIRouter(prefix=f"/{PATH.rpartition('/')[2]}", tags=["Callbacks"])
log = logging.getLogger(__name__)

#: Seconds between two log lines about calls that are refused.
_LOG_EVERY = 10.0
#: So many calls are dealt with at the same time; the others wait.
_AT_ONCE = 3
#: Seconds in which a body has to come in.
_SLOWEST = 30.0
#: What a connection may be called here; Airflow takes slashes too, but such a name could lead elsewhere.
_CONN_ID = re.compile(r"\w[\w#!()\-.:]{0,249}", re.ASCII)
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    404: {"description": "It isn't expected, or can't be genuine. Nothing has changed."},
    413: {"description": "Its body is too large. Nothing has changed."},
    429: {"description": "The job has called more often than anybody can want. Nothing has changed."},
    503: {"description": "It can't be told now whether it is genuine. Nothing has changed; call again later."},
}


class _Refusals:
    """
    Writes down refused calls, however many there are.

    :param clock: seconds that only go forward.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since = -_LOG_EVERY
        self._unsaid = 0

    def note(self, why: object) -> None:
        """Log one, or count it where one was just logged."""
        self._unsaid += 1
        if (now := self._clock()) - self._since >= _LOG_EVERY:
            more = f" ({self._unsaid} since the last such line)" if self._unsaid > 1 else ""
            log.warning("Refused a callback: %s%s", why, more)
            self._since, self._unsaid = now, 0


_refusals = _Refusals()


@router.post("/{reference}", responses=_ANSWERS, status_code=200)
async def call_of_one_job(
    request: Request,
    reference: Annotated[str, Path(description="What the trigger operator has given away as {callback_url}.")],
) -> dict[str, str]:
    """Take the callback of the job that was given this URL."""
    _hide(request)
    try:
        # What can't be genuine is refused before anything is read of it.
        place = await _in_turn(receipts.place_of, Reference.parse(reference))
        incoming = await _read(request)
        await _in_turn(receipts.take, place, incoming)
    except AsyncApiError as error:
        _refuse(error)
    return {}


@router.post("/connections/{conn_id}", responses=_ANSWERS, status_code=200)
async def call_of_any_job(
    request: Request,
    conn_id: Annotated[str, Path(description="The connection of the API that calls.")],
) -> dict[str, str]:
    """Take a signed callback that names its job, for APIs that call one URL for all jobs."""
    try:
        if not _CONN_ID.fullmatch(conn_id):
            raise ForgedCallError("no connection is called so")
        # Read whether or not there is such a connection: what is answered, and when, tells nobody which there are.
        incoming = await _read(request)
        await _in_turn(receipts.take_by_identifier, conn_id, incoming)
    except AsyncApiError as error:
        _refuse(error)
    return {}


@router.api_route("/{rest:path}", methods=list(_METHODS), include_in_schema=False)
async def anything_else(request: Request) -> None:
    """Refuse what is no callback as if it were a forged one: to ask in another way is to learn nothing either."""
    _hide(request)
    _refuse(ForgedCallError("it isn't a POST to such a URL"))


async def _in_turn(work: Callable[..., T], *arguments: Any) -> T:
    """Talk to the database on a thread, a few calls at a time: a flood of them may not hold up Airflow's own pages."""
    return await anyio.to_thread.run_sync(work, *arguments, limiter=_turns())


@cache
def _turns() -> anyio.CapacityLimiter:
    return anyio.CapacityLimiter(_AT_ONCE)


def _hide(request: Request) -> None:
    """Keep the URL, which is a secret, out of the server's access log, which reads it once all is done."""
    head, prefix, _ = request.scope["path"].partition(f"{router.prefix}/")
    request.scope["path"] = f"{head}{prefix}hidden"


async def _read(request: Request) -> Incoming:
    """
    Read a call, but not more of it than is allowed.

    :raises HTTPException: 413 where there is more.
    :raises ForgedCallError: where it breaks off, or trickles in.
    """
    limit = receipts.largest_body()
    body = bytearray()
    declared = request.headers.get("content-length", "0")
    too_large = declared.isdecimal() and int(declared) > limit
    if not too_large:
        try:
            async with asyncio.timeout(_SLOWEST):
                async for piece in request.stream():
                    body += piece
                    if too_large := len(body) > limit:
                        break
        except (ClientDisconnect, TimeoutError):
            raise ForgedCallError(f"it broke off, or took more than {_SLOWEST:g} s to come in") from None
    if too_large:
        _refusals.note(f"its body has more than {limit} bytes ([asyncapi] callback_max_bytes)")
        _hang_up(413)
    fields = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers.raw]
    return Incoming(Headers(fields), bytes(body), time.time())


def _refuse(error: AsyncApiError) -> NoReturn:
    """
    Say no, the same to all, so that nobody learns what is right and what is wrong.

    Only a caller who may mend it by calling again learns that.
    """
    _refusals.note(error)
    if isinstance(error, TooManyCallsError):
        _hang_up(429)
    _hang_up(503 if isinstance(error, NewerLayoutError | TooManyLookUpsError) else 404)


def _hang_up(status: int) -> NoReturn:
    """Answer, and read no more of what is sent, be it a hundred megabytes."""
    raise HTTPException(status, headers={"Connection": "close"})
