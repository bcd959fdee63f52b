"""Get the token of a connection, which its flows share: one of them requests it while the others wait."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable

from airflow_provider_asyncapi.core.auth.token_flow import TokenState, build_slow_token_error, get_shared_token
from airflow_provider_asyncapi.core.auth.tokens import Token
from airflow_provider_asyncapi.core.connection.api import Api
from airflow_provider_asyncapi.core.effects import Flow, GetToken
from airflow_provider_asyncapi.transports.cancellation import Cancellation


class ThreadTokens:
    """
    The token of a connection on the worker; several threads may get it.

    :param api: the connection.
    """

    def __init__(self, api: Api) -> None:
        self._api, self._state, self._turn = api, TokenState(), threading.Lock()

    def get(
        self, effect: GetToken, cancellation: Cancellation, run: Callable[[Flow[Token], Cancellation], Token]
    ) -> Token:
        """
        Return a valid token.

        :param run: runs a flow of the driver.
        """
        asked_at, left = self._api.clock(), self._api.seconds_until(effect.until)
        if not self._turn.acquire(timeout=-1 if left is None else max(0.0, left)):
            raise build_slow_token_error()
        try:
            cancellation.check()
            # If the cancellation interrupted a renewal, the new refresh token would be lost.
            uninterrupted = Cancellation() if _uses_refresh_token(self._api) else cancellation
            return run(get_shared_token(self._api, self._state, effect, asked_at), uninterrupted)
        finally:
            self._turn.release()


class LoopTokens:
    """
    The token of a connection in the triggerer.

    :param api: the connection.
    """

    def __init__(self, api: Api) -> None:
        self._api, self._state, self._turn = api, TokenState(), asyncio.Lock()
        self._renewals: set[asyncio.Task[Token]] = set()

    async def close(self) -> None:
        """Wait for the renewals that may not be interrupted."""
        if self._renewals:
            await asyncio.wait(self._renewals)

    async def get(self, effect: GetToken, run: Callable[[Flow[Token]], Awaitable[Token]]) -> Token:
        """
        Return a valid token.

        :param run: runs a flow of the driver.
        """
        if not _uses_refresh_token(self._api):
            return await self._get_in_turn(effect, run)
        # If a wait that is cancelled interrupted it, the new refresh token would be lost.
        renewal = asyncio.create_task(self._get_in_turn(effect, run))
        self._renewals.add(renewal)
        renewal.add_done_callback(self._renewals.discard)
        return await asyncio.shield(renewal)

    async def _get_in_turn(self, effect: GetToken, run: Callable[[Flow[Token]], Awaitable[Token]]) -> Token:
        asked_at = self._api.clock()
        try:
            async with asyncio.timeout(self._api.seconds_until(effect.until)):
                await self._turn.acquire()
        except TimeoutError:
            raise build_slow_token_error() from None
        try:
            return await run(get_shared_token(self._api, self._state, effect, asked_at))
        finally:
            self._turn.release()


def _uses_refresh_token(api: Api) -> bool:
    source = api.settings.auth.token_source
    return source is not None and source.refresh_token is not None
