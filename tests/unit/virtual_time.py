"""An event loop whose clock jumps to the next timer when there is nothing else to do, so that no test waits for one."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Real for files, sockets and threads; not for tests in which they race with timers."""

    def __init__(self) -> None:
        selector = selectors.DefaultSelector()
        super().__init__(selector)
        self._passed = 0.0
        select = selector.select

        def jump(timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
            ready = select(timeout if timeout is None else 0)
            if not ready and timeout is not None:
                self._passed += timeout
            return ready

        selector.select = jump

    def time(self) -> float:
        return self._passed


def run_in_virtual_time(scenario: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine; what it has left to threads is waited for in real time."""

    async def main() -> T:
        try:
            return await scenario
        finally:
            await asyncio.get_running_loop().shutdown_default_executor()

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main())


async def pass_time(seconds: float) -> None:
    """Let time pass on the clock of the virtual loop."""
    assert isinstance(asyncio.get_running_loop(), VirtualTimeLoop)
    await asyncio.sleep(seconds)
