"""Run a flow step by step: the loop that the drivers share with flows that wrap other flows."""

from __future__ import annotations

from collections.abc import Callable, Generator
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from airflow_provider_asyncapi.core.errors import AsyncApiError

E = TypeVar("E")
F = TypeVar("F")
T = TypeVar("T")


class FlowSteps(Generic[E, T]):
    """
    The steps of a flow: iterate over its effects, and set the reply or the error of each::

        with FlowSteps(flow) as steps:
            for effect in steps:
                try:
                    steps.reply = perform(effect)
                except AsyncApiError as error:
                    steps.error = error
        return steps.result

    A flow that wraps another one passes on its effects with :meth:`forward`.

    The flow is closed at the end of the context. If another thread is running a step of it then, the code that waits
    for that thread has to close it.

    :param flow: the flow, which hasn't started yet.
    """

    __slots__ = ("_flow", "error", "reply", "result")

    def __init__(self, flow: Generator[E, Any, T]) -> None:
        self._flow = flow
        #: The value that is sent into the flow next, unless an error is set.
        self.reply: Any = None
        self.error: AsyncApiError | None = None
        #: The result of the flow, once the iteration is over.
        self.result: T

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if not getattr(self._flow, "gi_running", False):
            self._flow.close()

    def forward(self, effect: F) -> Generator[F, Any, None]:
        """Yield an effect to the driver of the flow that wraps this one, and keep the reply or the error."""
        try:
            self.reply = yield effect
        except AsyncApiError as error:
            self.error = error

    def close(self) -> None:
        """Close the flow, once no thread runs it any more."""
        self._flow.close()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> E:
        error, self.error = self.error, None
        try:
            return self._flow.send(self.reply) if error is None else self._flow.throw(error)
        except StopIteration as end:
            self.result = end.value
            raise


def map_effects(flow: Generator[E, Any, T], change: Callable[[E], F]) -> Generator[F, Any, T]:
    """
    Run a flow with other effects in place of its own.

    :param flow: the flow.
    :param change: returns the effect to perform in place of one; an error that it raises ends the flow.
    :return: the result of the flow.
    """
    with FlowSteps(flow) as steps:
        for effect in steps:
            yield from steps.forward(change(effect))
    return steps.result
