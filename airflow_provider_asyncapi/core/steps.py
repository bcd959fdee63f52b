"""How a flow is run step by step: the one loop that the drivers and the flows around flows share."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from airflow_provider_asyncapi.core.effects import Effect, Flow
from airflow_provider_asyncapi.core.errors import AsyncApiError

T = TypeVar("T")


class Steps(Generic[T]):
    """
    The steps of a flow: iterate over what it asks for, and say what came of each::

        with Steps(flow) as steps:
            for effect in steps:
                try:
                    steps.reply = perform(effect)
                except AsyncApiError as error:
                    steps.error = error
        return steps.result

    On leaving, the flow is closed, wherever it is; if another thread is just running a step of it, by whoever waits
    for that thread.

    :param flow: the flow, not begun yet.
    """

    __slots__ = ("_flow", "error", "reply", "result")

    def __init__(self, flow: Flow[T]) -> None:
        self._flow = flow
        #: What is sent into the flow next, unless there is an error to throw.
        self.reply: Any = None
        self.error: AsyncApiError | None = None
        #: What the flow has returned, once the iteration is over.
        self.result: T

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if not getattr(self._flow, "gi_running", False):
            self._flow.close()

    def close(self) -> None:
        """Close the flow, which no thread is running any more."""
        self._flow.close()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Effect:
        error, self.error = self.error, None
        try:
            return self._flow.send(self.reply) if error is None else self._flow.throw(error)
        except StopIteration as end:
            self.result = end.value
            raise
