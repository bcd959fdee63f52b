"""In the triggerer: host names, looked up for aiohttp on threads that nobody else uses."""

from __future__ import annotations

import asyncio
import contextvars
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult

from airflow_provider_asyncapi.transports.faults import SlowLookUpError
from airflow_provider_asyncapi.transports.names import Address, find_addresses, on_thread

#: Look-ups at the same time for one connection; those that a name server doesn't answer stay for long.
_THREADS = 8
#: Seconds for which an answer is used again (as in aiohttp), and the number of answers that are kept.
_KEPT_FOR, _KEPT = 10.0, 64


@dataclass(frozen=True, slots=True)
class _Answer:
    """The addresses of a host, and until when they are used, on the loop's clock."""

    addresses: list[ResolveResult]
    until: float


class Resolver(AbstractResolver):
    """
    Looks names up for aiohttp; those who need the same name at the same time share a look-up.

    :param within: seconds that a look-up may take.
    """

    def __init__(self, within: float) -> None:
        self._within = within
        self._loop = asyncio.get_running_loop()
        self._threads = asyncio.Semaphore(_THREADS)
        self._answers: dict[tuple[str, int, int], _Answer] = {}
        self._looking: dict[tuple[str, int, int], asyncio.Task[list[ResolveResult]]] = {}

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """
        Return the addresses of a host.

        :raises SlowLookUpError: if the name server hasn't answered in time.
        :raises OSError: if the host has no address.
        """
        key = (host, port, family)
        answer = self._answers.get(key)
        if answer is not None and self._loop.time() < answer.until:
            return answer.addresses
        looking = self._looking.get(key)
        if looking is None:
            # In a context of its own, for it may outlive the trigger that happened to be first.
            looking = self._loop.create_task(self._look_up(key), context=contextvars.Context())
            self._looking[key] = looking
            looking.add_done_callback(lambda task: self._end(key, task))
        done, _ = await asyncio.wait({looking}, timeout=self._within)
        if not done:
            raise SlowLookUpError
        return looking.result()

    def is_looking_up(self, host: str) -> bool:
        """Tell whether a look-up of a host is under way."""
        return any(key[0] == host for key in self._looking)

    async def close(self) -> None:
        """Wait for no look-up any more."""
        for looking in list(self._looking.values()):
            looking.cancel()

    async def _look_up(self, key: tuple[str, int, int]) -> list[ResolveResult]:
        host, port, family = key
        async with self._threads:
            found: asyncio.Future[list[ResolveResult]] = self._loop.create_future()
            on_thread(
                lambda: [_result(host, address) for address in find_addresses(host, port, family)],
                self._teller(found, found.set_result),
                self._teller(found, found.set_exception),
            )
            # A thread that nobody waits for any more is busy all the same.
            return await asyncio.shield(found)

    def _teller(self, found: asyncio.Future[Any], tell: Callable[[Any], None]) -> Callable[[Any], None]:
        """Make what tells the loop, from a thread, of an answer that may come after the loop has ended."""

        def tell_if_open(answer: Any) -> None:
            if not found.done():
                tell(answer)

        def tell_loop(answer: Any) -> None:
            try:
                self._loop.call_soon_threadsafe(tell_if_open, answer)
            except RuntimeError:
                return

        return tell_loop

    def _end(self, key: tuple[str, int, int], task: asyncio.Task[list[ResolveResult]]) -> None:
        del self._looking[key]
        # Reading the exception also says that somebody has taken notice of it.
        if task.cancelled() or task.exception() is not None:
            return
        self._answers.pop(key, None)
        self._answers[key] = _Answer(task.result(), self._loop.time() + _KEPT_FOR)
        if len(self._answers) > _KEPT:
            # The oldest.
            del self._answers[next(iter(self._answers))]


def _result(host: str, address: Address) -> ResolveResult:
    family, _, protocol, _, where = address
    numeric, port = where[:2]
    if family == socket.AF_INET6 and where[3]:
        # A link-local address needs its zone.
        numeric, _ = socket.getnameinfo(where, socket.NI_NUMERICHOST | socket.NI_NUMERICSERV)
    flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
    return ResolveResult(hostname=host, host=numeric, port=port, family=family, proto=protocol, flags=flags)
