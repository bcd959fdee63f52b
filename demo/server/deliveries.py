"""Call back, signed, and again where nobody takes the call."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import aiohttp

if TYPE_CHECKING:
    from collections.abc import Sequence

    from demo.server.web import JsonObject

#: One of the vendor's two schedules: nine tries, 4^x s apart (D).
RETRY_SECONDS: tuple[float, ...] = tuple(4.0**number for number in range(9))
_ACCEPTED = range(200, 300)


def signature(key: str, body: bytes) -> str:
    """Sign a body as the vendor documents it (D): the header's value."""
    return f"sha256={base64.b64encode(hmac.digest(key.encode(), body, hashlib.sha256)).decode()}"


@dataclass(frozen=True, slots=True)
class Attempt:
    """
    Tell how one try to deliver went.

    :param status: What the receiver answered; 0 where nobody did.
    """

    url: str
    body: bytes
    status: int


class Deliveries:
    """
    Deliver callbacks in the background of the server's loop.

    :param key: What they are signed with.
    :param retry_seconds: The pause before each try after the first.
    :param header: The header with the signature.
    """

    def __init__(
        self, key: str, retry_seconds: Sequence[float] = RETRY_SECONDS, *, header: str = "Elements-Webhook-Signature"
    ) -> None:
        self.attempts: list[Attempt] = []
        self._key = key
        self._header = header
        self._retry_seconds = retry_seconds
        self._under_way: set[asyncio.Task[None]] = set()

    def deliver(self, url: str, document: JsonObject, after: float) -> None:
        """
        Call back.

        :param after: Seconds from now.
        """
        task = asyncio.get_running_loop().create_task(self._deliver(url, json.dumps(document).encode(), after))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def close(self) -> None:
        """Cancel the deliveries that are still under way."""
        for task in list(self._under_way):
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)

    async def _deliver(self, url: str, body: bytes, after: float) -> None:
        headers = {"Content-Type": "application/json", self._header: signature(self._key, body)}
        timeout = aiohttp.ClientTimeout(total=30)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            for pause in (after, *self._retry_seconds):
                await asyncio.sleep(pause)
                status = 0
                try:
                    async with session.post(url, data=body, headers=headers) as answer:
                        status = answer.status
                except (aiohttp.ClientError, TimeoutError):
                    pass
                self.attempts.append(Attempt(url, body, status))
                if status in _ACCEPTED:
                    return
