"""The callback settings of connections, without a query to Airflow's secrets backends for each callback."""

from __future__ import annotations

import hmac
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow.providers.common.compat.sdk import AirflowNotFoundException

from airflow_provider_asyncapi.airflow_private.database import Connection
from airflow_provider_asyncapi.connections.reading import read_connection
from airflow_provider_asyncapi.core.callbacks.settings import CallbackSettings
from airflow_provider_asyncapi.core.errors import AsyncApiError, ConfigurationError, InvalidCallbackError
from airflow_provider_asyncapi.core.http.messages import Headers

if TYPE_CHECKING:
    from airflow_provider_asyncapi.core.callbacks.webhooks import Challenge

#: Seconds after which a connection is looked up again; after a wrong signature the time is shorter, because the key may
#: have been replaced.
_STALE, _FRESH = 60.0, 5.0
#: Maximum number of unknown names that are remembered, and of look-ups of unknown names within _STALE seconds: any
#: sender can invent names, and a secrets backend may charge for each. The second is also the maximum number of refused
#: callbacks by name in that time.
_MOST_UNKNOWN, _MOST_LOOKUPS = 1000, 30


@dataclass(frozen=True, slots=True)
class _LookUpResult:
    """The result of a look-up: the connection's settings, or the reason why it accepts no callbacks."""

    settings: CallbackSettings | str
    since: float

    def verify(self, headers: Headers, body: bytes, now: float, *, is_known_name: bool) -> CallbackSettings:
        if isinstance(self.settings, str) or (self.settings.signature is None and not is_known_name):
            # This takes as long as for a connection that exists, so that the response time reveals nothing.
            hmac.digest(b"nobody", body, "sha256")
            raise InvalidCallbackError(
                self.settings
                if isinstance(self.settings, str)
                else "the connection has no callback signature, so it accepts no callbacks that name their job"
            )
        self.settings.verify(headers, body, now)
        return self.settings


class TooManyLookUpsError(AsyncApiError):
    """Too many callbacks by name were refused to look up another name now; a later callback may succeed."""


class _Budget:
    """A budget of _MOST_LOOKUPS events within _STALE seconds."""

    def __init__(self) -> None:
        self._latest: deque[float] = deque(maxlen=_MOST_LOOKUPS)

    def spend(self, now: float) -> None:
        self._latest.append(now)

    def is_used_up(self, now: float) -> bool:
        return len(self._latest) == _MOST_LOOKUPS and now - self._latest[0] <= _STALE


class CallbackConnections:
    """
    A cache of the callback settings of connections.

    Responses must not reveal which names are cached. So all refused callbacks share a second budget, whatever their
    name: once it is used up, all are refused in the same way. Each failed look-up belongs to a refused callback, so the
    budget of look-ups can't be used up earlier.

    :param clock: returns seconds of a monotonic clock.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._found: dict[str, _LookUpResult] = {}
        self._unknown: dict[str, _LookUpResult] = {}
        self._lookups, self._refusals = _Budget(), _Budget()

    def verify(
        self, conn_id: str, headers: Headers, body: bytes, now: float, *, is_known_name: bool = False
    ) -> CallbackSettings:
        """
        Return the callback settings of a connection if the callback has the signature that they require.

        :param now: current time, in seconds since the epoch.
        :param is_known_name: whether a task has submitted with the connection, so that no sender invented the name. A
            callback with any other name has to be signed.
        :raises InvalidCallbackError: if the signature is wrong, or there is no such connection.
        :raises TooManyLookUpsError: in the same cases, or if the connection can't be looked up now, after too many
            refused callbacks with other names.
        """
        if is_known_name:
            return self._verify(conn_id, headers, body, now, is_known_name=True)
        with self._count_refusal():
            return self._verify(conn_id, headers, body, now, is_known_name=False)

    def find_challenge(self, conn_id: str) -> Challenge | None:
        """
        Return how a connection answers a call that only checks the URL, which isn't signed.

        :raises InvalidCallbackError: if there is no such connection.
        :raises TooManyLookUpsError: if the connection can't be looked up now, as in :meth:`verify`.
        """
        with self._count_refusal():
            known = self._look_up(conn_id, _STALE, is_known_name=False)
            if isinstance(known.settings, str):
                raise InvalidCallbackError(known.settings)
            return known.settings.challenge

    @contextmanager
    def _count_refusal(self) -> Iterator[None]:
        """Spend the budget of refused callbacks if this one is refused."""
        is_used_up = self._refusals.is_used_up(self._clock())
        try:
            yield
        except (InvalidCallbackError, TooManyLookUpsError) as error:
            self._refusals.spend(self._clock())
            if is_used_up and not isinstance(error, TooManyLookUpsError):
                raise TooManyLookUpsError(f"{error} (many callbacks were refused before)") from None
            raise

    def _verify(
        self, conn_id: str, headers: Headers, body: bytes, now: float, *, is_known_name: bool
    ) -> CallbackSettings:
        known = self._look_up(conn_id, _STALE, is_known_name=is_known_name)
        try:
            return known.verify(headers, body, now, is_known_name=is_known_name)
        except InvalidCallbackError:
            again = self._look_up(conn_id, _FRESH, is_known_name=is_known_name)
            if again is known:
                raise
            return again.verify(headers, body, now, is_known_name=is_known_name)

    def _look_up(self, conn_id: str, max_age: float, *, is_known_name: bool) -> _LookUpResult:
        """Return the cached result of a look-up up to an age in seconds, or look the connection up."""
        now = self._clock()
        known = self._found.get(conn_id) or self._unknown.get(conn_id)
        if known is not None and now - known.since <= max_age:
            return known
        if conn_id not in self._found and not is_known_name and self._lookups.is_used_up(now):
            if known is not None:
                return known
            raise TooManyLookUpsError(f"connection {conn_id!r}: not looked up: too many unknown names")
        try:
            connection = Connection.get_connection_from_secrets(conn_id)
        except AirflowNotFoundException as error:
            if not is_known_name:
                self._lookups.spend(now)
            self._found.pop(conn_id, None)
            if len(self._unknown) >= _MOST_UNKNOWN:
                self._unknown.clear()
            known = self._unknown[conn_id] = _LookUpResult(f"connection {conn_id!r}: {error}", now)
            return known
        settings: CallbackSettings | str
        try:
            settings = read_connection(connection, mask=False).settings.callback
        except ConfigurationError as error:
            settings = f"connection {conn_id!r}: {error}"
        self._unknown.pop(conn_id, None)
        known = self._found[conn_id] = _LookUpResult(settings, now)
        return known
