"""Run a call of the hook on an event loop, with the client that its tasks share."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from airflow_provider_asyncapi.airflow_private.supervisor import AirflowUnavailableError
from airflow_provider_asyncapi.core.errors import AsyncApiError
from airflow_provider_asyncapi.exceptions import AsyncApiRetryableException, to_airflow
from airflow_provider_asyncapi.hooks.clients import CurrentClient
from airflow_provider_asyncapi.transports.cancellation import Cancellation

if TYPE_CHECKING:
    from airflow_provider_asyncapi.core.connection.api import Api
    from airflow_provider_asyncapi.core.effects import Flow, Notification
    from airflow_provider_asyncapi.hooks.calls import HookCall
    from airflow_provider_asyncapi.transports.aiohttp import AiohttpDriver

T = TypeVar("T")
#: Timeout of the look-up of a connection, in seconds.
LOOK_UP_TIMEOUT = 60.0


class FlowRunner(Protocol):
    """Runs flows for synchronous code: the hook on a worker, or a thread beside an event loop."""

    asyncapi_conn_id: str

    @property
    def api(self) -> Api:
        """The connection."""

    def run(self, flow: Flow[T], /) -> T:
        """
        Run a flow to its end.

        :raises AirflowException: for each error of the flow.
        """


@contextlib.contextmanager
def convert_errors() -> Iterator[None]:
    """Convert the errors of the core into exceptions of Airflow."""
    try:
        yield
    except AsyncApiError as error:
        raise to_airflow(error) from error
    except AirflowUnavailableError as error:
        raise AsyncApiRetryableException(str(error)) from error


async def run_call(conn_id: str, call: HookCall[T], log: Callable[[Notification], object]) -> T:
    """
    Run a call of the hook on the running event loop.

    :param conn_id: the connection.
    :param log: writes the log lines.
    """
    with convert_errors(), call.trace(conn_id) as traced:

        def observe(event: Notification) -> None:
            log(event)
            traced.observe(event)

        while True:
            async with CurrentClient(conn_id, lambda: LOOK_UP_TIMEOUT) as (api, driver):
                # The first flow imports the parsers of selectors, which would block the loop for too long.
                flow = await asyncio.to_thread(traced.make_flow, api)
                return await driver.run(flow, observe=observe)


async def run_on_thread(
    conn_id: str, work: Callable[[FlowRunner, Cancellation], T], log: Callable[[Notification], object]
) -> T:
    """
    Run a function that uses files and flows: the function on a thread, its flows on the running event loop.

    :param conn_id: the connection.
    :param work: the function; its second argument tells it when to stop.
    :param log: writes the log lines.
    """
    with convert_errors():
        while True:
            async with CurrentClient(conn_id, lambda: LOOK_UP_TIMEOUT) as (api, driver):
                return await _work_on_thread(_ThreadRunner(conn_id, api, driver, log), work)


async def _work_on_thread(runner: _ThreadRunner, work: Callable[[FlowRunner, Cancellation], T]) -> T:
    # Not on the loop's own executor: it has few threads, and the flows read files on them.
    executor = ThreadPoolExecutor(1, thread_name_prefix="asyncapi-fetch")
    context = contextvars.copy_context()
    working = asyncio.get_running_loop().run_in_executor(executor, context.run, work, runner, runner.cancellation)
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        runner.cancel()
        # Wait until the thread has removed the files that it has written.
        await asyncio.gather(working, return_exceptions=True)
        raise
    finally:
        executor.shutdown(wait=False)


class _ThreadRunner:
    """Runs flows for one thread on the event loop of another."""

    def __init__(self, conn_id: str, api: Api, driver: AiohttpDriver, log: Callable[[Notification], object]) -> None:
        self.asyncapi_conn_id, self.api = conn_id, api
        self._driver, self._log = driver, log
        self._loop = asyncio.get_running_loop()
        self._running: Future[Any] | None = None
        self.cancellation = Cancellation()

    def run(self, flow: Flow[T], /) -> T:
        self.cancellation.check()
        self._running = running = asyncio.run_coroutine_threadsafe(
            self._driver.run(flow, observe=self._log), self._loop
        )
        with convert_errors():
            return running.result()

    def cancel(self) -> None:
        """Cancel the running flow and the writing of files, and run no other flow."""
        self.cancellation.request()
        if self._running is not None:
            self._running.cancel()
