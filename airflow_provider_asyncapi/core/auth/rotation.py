"""
Renew an access token with a refresh token that can be used once (RFC 9700, section 4.14.2).

Many servers return a new refresh token with each access token, and revoke all of them if an old one is sent again. So
the newest one is kept where the processes of all hosts find it, and only one process at a time may use it.

Airflow has no lock for tasks, only a store of texts: its Variables. The lock is Fischer's algorithm on one of them: a
process that finds the lock free writes its own mark, waits, and has the lock if its mark is still there. This is safe
if nobody writes a mark later than that time after it has found the lock free; a process that was slower doesn't get
the lock. A mark that stays unchanged for a long time is that of a process that was killed.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from functools import partial

from airflow_provider_asyncapi.core.auth.tokens import RotatingTokenStore, Token
from airflow_provider_asyncapi.core.connection.api import Api
from airflow_provider_asyncapi.core.effects import Flow, Log, RunBlocking, Sleep
from airflow_provider_asyncapi.core.errors import AsyncApiError, TransportError

#: The names of the refresh token, and of the number of the renewal, in the variables of a token.
REFRESH_TOKEN, RENEWAL = "refresh_token", "renewal"
#: The longest time from the look at a free lock to the end of writing a mark, in seconds.
_SETTLE = 3.0
#: Seconds between two looks at a lock that another process has.
_INTERVAL = 2.0
#: Seconds after which an unchanged mark is that of a killed process.
_LEASE = 120.0
#: Seconds within which the request for a token has to begin, and how long it may take: together less than the lease.
_LATEST_START, RENEWAL_TIMEOUT = 40.0, 60.0
#: Longest time between two looks for which the mark counts as unchanged, in seconds. If it was longer, Airflow may have
#: been unavailable, and the other process couldn't store its token either.
_LONGEST_GAP = 15.0
#: The reason why a token can't be requested.
WHY_NO_STORE = (
    "auth 'oauth2_refresh' keeps the newest refresh token in an Airflow Variable; it works in tasks and triggers, but"
    " not here"
)
#: The value of a free lock.
_FREE = "free"
#: The delay between two attempts to store a token, and the time after which the process goes on without, in seconds.
_STORE_DELAY, _STORE_TIMEOUT = 2.0, 600.0


@dataclass(slots=True)
class RenewalLock:
    """
    The right to use the refresh token.

    :param api: the connection.
    :param store: where the mark is.
    """

    api: Api
    store: RotatingTokenStore
    _began: float = 0.0
    _seen: str | None = None
    _seen_since: float = 0.0
    _looked_at: float = 0.0

    def acquire(self) -> Flow[bool]:
        """Return whether this process has the lock; if another one has it, sleep before."""
        self._began = self.api.clock()
        if self._is_held((yield RunBlocking(self.store.read_mark))):
            yield Sleep(_INTERVAL, is_deferrable=False)
            return False
        own = self.api.make_nonce()
        yield RunBlocking(partial(self.store.write_mark, own))
        is_late = self.api.clock() - self._began >= _SETTLE
        yield Sleep(_SETTLE, is_deferrable=False)
        # A mark that was written late may have replaced that of a process that has the lock.
        return not is_late and (yield RunBlocking(self.store.read_mark)) == own

    @property
    def is_safe(self) -> bool:
        """Whether the lock, which this process has, is held for long enough to renew the token."""
        return self.api.clock() - self._began < _LATEST_START

    def release(self) -> Flow[None]:
        """Free the lock. If Airflow is unavailable, others get it after the lease."""
        try:
            yield RunBlocking(partial(self.store.write_mark, _FREE))
        except TransportError as error:
            yield Log(logging.WARNING, f"No process can renew the token for {_LEASE:.0f} s: {error}")

    def _is_held(self, mark: str | None) -> bool:
        """Return whether another process has the lock."""
        now = self.api.clock()
        if mark != self._seen or now - self._looked_at > _LONGEST_GAP:
            self._seen, self._seen_since = mark, now
        self._looked_at = now
        return mark not in (None, _FREE) and now - self._seen_since < _LEASE


def make_first_token(refresh_token: str) -> Token:
    """Return a token that has to be renewed, with the refresh token of the connection."""
    return Token("", renew_at=0.0, variables={REFRESH_TOKEN: refresh_token})


def find_newest(token: Token, other: Token | None) -> Token:
    """Return the token of the later renewal."""
    return other if other is not None and _count_renewals(other) > _count_renewals(token) else token


def number_renewal(token: Token, previous: Token) -> Token:
    """Return a new token with the number of its renewal."""
    return replace(token, variables={**token.variables, RENEWAL: _count_renewals(previous) + 1})


def _count_renewals(token: Token) -> int:
    number = token.variables.get(RENEWAL)
    return number if isinstance(number, int) else 0


def store_token(api: Api, store: RotatingTokenStore, token: Token) -> Flow[None]:
    """Store a token, and repeat this while Airflow is unavailable: no other process has the new refresh token."""
    give_up_at = api.clock() + _STORE_TIMEOUT
    while True:
        try:
            yield RunBlocking(partial(store.write, token))
        except AsyncApiError as error:
            if api.clock() >= give_up_at:
                yield Log(logging.ERROR, f"The new refresh token is known to this process only: {error}")
                return
            yield Log(logging.WARNING, f"The new refresh token can't be stored yet, trying again: {error}")
            yield Sleep(_STORE_DELAY, is_deferrable=False)
        else:
            return
