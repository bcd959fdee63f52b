"""In the triggerer: look up host names for aiohttp on threads that no other code uses."""

from __future__ import annotations

import asyncio
import contextvars
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult

from airflow_provider_asyncapi.transports.dns import Address, find_addresses, run_on_thread
from airflow_provider_asyncapi.transports.error_translation import SlowLookUpError

#: Maximum number of concurrent look-ups for one connection; unanswered ones last long.
_THREADS = 8
#: Seconds for which addresses are cached (as in aiohttp), and the maximum number of cached hosts.
_CACHE_SECONDS, _MAX_CACHED = 10.0, 64


@dataclass(frozen=True, slots=True)
class _CachedAddresses:
    """The addresses of a host, and when they expire, on the loop's clock."""

    addresses: list[ResolveResult]
    until: float


class Resolver(AbstractResolver):
    """
    Look up names for aiohttp; concurrent look-ups of the same name are shared.

    :param within: time limit of a look-up, in seconds.
    """

    def __init__(self, within: float) -> None:
        self._within = within
        self._loop = asyncio.get_running_loop()
        self._threads = asyncio.Semaphore(_THREADS)
        self._cache: dict[tuple[str, int, int], _CachedAddresses] = {}
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
        answer = self._cache.get(key)
        if answer is not None and self._loop.time() < answer.until:
            return answer.addresses
        looking = self._looking.get(key)
        if looking is None:
            # In its own context, since it may outlive the trigger that happened to be the first.
            looking = self._loop.create_task(self._look_up(key), context=contextvars.Context())
            self._looking[key] = looking
            looking.add_done_callback(lambda task: self._end(key, task))
        done, _ = await asyncio.wait({looking}, timeout=self._within)
        if not done:
            raise SlowLookUpError
        return looking.result()

    def is_looking_up(self, host: str) -> bool:
        """Return whether a look-up of a host is running."""
        return any(key[0] == host for key in self._looking)

    async def close(self) -> None:
        """Cancel all look-ups."""
        for looking in list(self._looking.values()):
            looking.cancel()

    async def _look_up(self, key: tuple[str, int, int]) -> list[ResolveResult]:
        host, port, family = key
        async with self._threads:
            found: asyncio.Future[list[ResolveResult]] = self._loop.create_future()
            run_on_thread(
                lambda: [_result(host, address) for address in find_addresses(host, port, family)],
                self._make_thread_callback(found, found.set_result),
                self._make_thread_callback(found, found.set_exception),
            )
            # The slot stays occupied while the thread runs, even if no flow waits for it any more.
            return await asyncio.shield(found)

    def _make_thread_callback(
        self, found: asyncio.Future[Any], callback: Callable[[Any], None]
    ) -> Callable[[Any], None]:
        """Return a function that passes a result from a thread to the loop, which may have ended meanwhile."""

        def call_unless_done(value: Any) -> None:
            if not found.done():
                callback(value)

        def call_on_loop(value: Any) -> None:
            try:
                self._loop.call_soon_threadsafe(call_unless_done, value)
            except RuntimeError:
                return

        return call_on_loop

    def _end(self, key: tuple[str, int, int], task: asyncio.Task[list[ResolveResult]]) -> None:
        del self._looking[key]
        # Reading the exception also marks it as retrieved.
        if task.cancelled() or task.exception() is not None:
            return
        self._cache.pop(key, None)
        self._cache[key] = _CachedAddresses(task.result(), self._loop.time() + _CACHE_SECONDS)
        if len(self._cache) > _MAX_CACHED:
            # Remove the oldest.
            del self._cache[next(iter(self._cache))]


def _result(host: str, address: Address) -> ResolveResult:
    family, _, protocol, _, where = address
    numeric, port = where[:2]
    if family == socket.AF_INET6 and where[3]:
        # A link-local address needs its zone.
        numeric, _ = socket.getnameinfo(where, socket.NI_NUMERICHOST | socket.NI_NUMERICSERV)
    flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
    return ResolveResult(hostname=host, host=numeric, port=port, family=family, proto=protocol, flags=flags)
