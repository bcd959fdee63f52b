"""On the worker: stop the flows that run on other threads, since a thread can't be ended from outside."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from typing import Self


class Cancellation:
    """A request to stop, shared by the flows that run concurrently and by all flows that these flows run."""

    def __init__(self) -> None:
        self._requested = threading.Event()
        self._children: list[Cancellation] = []

    def request(self) -> None:
        """Stop all flows: a flow that sleeps stops immediately, any other before its next effect."""
        self._requested.set()
        for child in tuple(self._children):
            child.request()

    def is_requested(self) -> bool:
        """Return whether to stop."""
        return self._requested.is_set()

    def check(self) -> None:
        """
        Check that the flow may continue.

        :raises CancelledError: if it has to stop.
        """
        if self._requested.is_set():
            raise CancelledError

    def sleep(self, seconds: float) -> None:
        """
        Sleep, unless the flow has to stop.

        :raises CancelledError: if it has to stop, or has to stop before the time is over.
        """
        if self._requested.wait(seconds):
            raise CancelledError

    @contextmanager
    def make_child(self) -> Iterator[Self]:
        """Return a cancellation for flows that this flow runs concurrently: it is requested together with this one."""
        child = type(self)()
        self._children.append(child)
        try:
            # After the child was added, so that a request on another thread isn't missed.
            if self.is_requested():
                child.request()
            yield child
        finally:
            self._children.remove(child)
