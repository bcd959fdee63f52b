"""
The hook: an Airflow connection in, requests to its API and remote jobs out.

Its methods do by hand what the operators do, in a ``@task`` or in a trigger; each has an asynchronous twin, whose name
begins with ``a``. What they take and return stands here too: :class:`JobHandle` and :class:`AsyncApiResponse`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self, TypeAlias, TypeVar, Unpack

from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook

from airflow_provider_asyncapi.connections import form as connection_form
from airflow_provider_asyncapi.connections.reading import add_connection_id, read_connection
from airflow_provider_asyncapi.core.errors import AsyncApiError
from airflow_provider_asyncapi.core.lazy import load_lazily
from airflow_provider_asyncapi.exceptions import to_airflow

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from airflow_provider_asyncapi.core.connection.settings import Api
    from airflow_provider_asyncapi.core.effects import Flow, Notification
    from airflow_provider_asyncapi.core.jobs.handle import JobHandle
    from airflow_provider_asyncapi.hooks.calls import HookCall, HookCalls
    from airflow_provider_asyncapi.hooks.clients import SharedClient
    from airflow_provider_asyncapi.hooks.parameters import (
        FetchParameters,
        SendParameters,
        StepParameters,
        SubmitParameters,
        WaitParameters,
    )
    from airflow_provider_asyncapi.hooks.responses import AsyncApiResponse
    from airflow_provider_asyncapi.transports import Observer
    from airflow_provider_asyncapi.transports.requests import RequestsDriver

__all__ = ["AsyncApiHook", "AsyncApiResponse", "JobHandle"]

T = TypeVar("T")
#: What is taken for a job: a handle, its dict, or a bare identifier.
Job: TypeAlias = "JobHandle | Mapping[str, Any] | str | int"

#: Loaded when they are first asked for (PEP 562), so that importing an operator costs a DAG file little.
__getattr__ = load_lazily(
    globals(),
    {
        "airflow_provider_asyncapi.core.jobs.handle": "JobHandle",
        "airflow_provider_asyncapi.hooks.responses": "AsyncApiResponse",
    },
)


class AsyncApiHook(BaseHook):
    """
    Talk to the API of a connection of type ``asyncapi``.

    As a context manager (``with`` or ``async with``) it keeps connections open between calls, and closes them.

    :param asyncapi_conn_id: the connection.
    :param profile: the profile that fills in the parameters that are left out; by default the connection's.
    """

    conn_name_attr = "asyncapi_conn_id"
    default_conn_name = "asyncapi_default"
    conn_type = connection_form.CONNECTION_TYPE
    hook_name = connection_form.HOOK_NAME

    def __init__(self, asyncapi_conn_id: str = default_conn_name, profile: str | None = None) -> None:
        super().__init__()
        self.asyncapi_conn_id = asyncapi_conn_id
        self.profile = profile
        self._kept_open: SharedClient | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        from airflow_provider_asyncapi.hooks.clients import SharedClient
        from airflow_provider_asyncapi.hooks.running import LOOK_UP_TIMEOUT, convert_errors

        client = SharedClient(self.asyncapi_conn_id, look_up_timeout=LOOK_UP_TIMEOUT)
        with convert_errors():
            await client.__aenter__()
        self._kept_open = client
        return self

    async def __aexit__(self, *_: object) -> None:
        client, self._kept_open = self._kept_open, None
        if client is not None:
            await client.__aexit__(None, None, None)
        self.close()

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """Give the form's fields to Airflow 3.1, which doesn't read them from the provider info yet."""
        return connection_form.make_widgets()

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Give the labels of the form's own fields to Airflow 3.1."""
        return connection_form.make_field_behaviour()

    @cached_property
    def api(self) -> Api:
        """
        What flows need to know about the API; its secrets are masked in the task's log from here on.

        :raises AirflowFailException: where the connection is missing a field, or a field can't be meant.
        :raises AirflowNotFoundException: if there is no such connection; a retry may find it, for while its API
            server is away, Airflow says the same.
        """
        try:
            return read_connection(self.get_connection(self.asyncapi_conn_id))
        except AirflowNotFoundException as error:
            raise AirflowNotFoundException(
                f"asyncapi_conn_id: there is no connection {self.asyncapi_conn_id!r}; `airflow connections list` shows"
                " what there is"
            ) from error
        except AsyncApiError as error:
            raise to_airflow(add_connection_id(self.asyncapi_conn_id, error)) from error

    def get_conn(self) -> RequestsDriver:
        """Give the driver that runs flows in this process."""
        return self._driver

    @cached_property
    def _driver(self) -> RequestsDriver:
        from airflow_provider_asyncapi.transports.requests import RequestsDriver

        try:
            return RequestsDriver(self.api)
        except AsyncApiError as error:
            raise to_airflow(add_connection_id(self.asyncapi_conn_id, error)) from error

    def run(self, flow: Flow[T], *, observe: Observer | None = None) -> T:
        """
        Run a flow to its end.

        :param observe: told of each log line and each poll; by default lines are logged.
        :raises AirflowException: what the flow raises, as Airflow understands it (:mod:`..exceptions`).
        """
        try:
            return self._driver.run(flow, observe=observe or self.log_events)
        except AsyncApiError as error:
            raise to_airflow(error) from error

    def request(
        self,
        method: str,
        endpoint: str,
        *,
        variables: Mapping[str, Any] | None = None,
        **parameters: Unpack[SendParameters],
    ) -> AsyncApiResponse:
        """
        Send one request with the connection's credentials, and return its answer.

        Connection errors, 408, 425, 429 and 5xx are retried for some seconds; a request that isn't idempotent (POST,
        PATCH) only if it can't have been carried out. The body of an answer has at most 1 MiB: :meth:`fetch_result`
        takes larger ones.

        :param method: the HTTP method.
        :param endpoint: a path below the connection's host, or an absolute URL; may name variables.
        :param variables: what the request may name as ``{name}``, beside ``{connection.<name>}``.
        :param parameters: ``query_params``, ``headers``, one body (``json``, ``xml``, ``data``, ``files``), ``rules``,
            ``error_message``, ``max_consecutive_errors`` (5) and ``retry_delays``, as the operators take them.
        :raises AsyncApiRejected: if the status code is no 2xx, and no rule accepts it.
        :raises AsyncApiUnavailable: if the API is away for longer than that.
        """
        return self._call(self._calls.request, method, endpoint, variables, parameters)

    async def arequest(
        self,
        method: str,
        endpoint: str,
        *,
        variables: Mapping[str, Any] | None = None,
        **parameters: Unpack[SendParameters],
    ) -> AsyncApiResponse:
        """Send one request, as :meth:`request` does, on the running event loop."""
        return await self._acall(self._calls.request, method, endpoint, variables, parameters)

    def submit_job(self, *, idempotency_key: str | None = None, **parameters: Unpack[SubmitParameters]) -> JobHandle:
        """
        Submit a job, and start it if that takes further requests.

        Unlike ``AsyncApiTriggerOperator`` this keeps no record from try to try: a task that is tried again submits
        again, unless the API recognizes the same ``idempotency_key``.

        :param idempotency_key: what requests may name as ``{idempotency_key}``; by default another one in each call.
        :param parameters: as ``AsyncApiTriggerOperator`` takes them, save ``callback``, ``on_changed_request`` and
            ``cancel``.
        :raises AsyncApiSubmitAmbiguous: if the job may have been submitted, and nothing tells.
        """
        return self._call(self._calls.submit_job, idempotency_key, parameters)

    async def asubmit_job(
        self, *, idempotency_key: str | None = None, **parameters: Unpack[SubmitParameters]
    ) -> JobHandle:
        """Submit a job, as :meth:`submit_job` does, on the running event loop."""
        return await self._acall(self._calls.submit_job, idempotency_key, parameters)

    def get_job(self, job: Job, **parameters: Unpack[WaitParameters]) -> JobHandle:
        """
        Poll a job once.

        :param job: a job handle, its dict, or a bare identifier.
        :param parameters: as ``AsyncApiSensor`` takes them; those that only matter for a wait don't count.
        :return: the job as it is now, whatever its outcome.
        :raises AsyncApiException: if the answer doesn't say how the job is.
        """
        return self._call(self._calls.get_job, job, parameters)

    async def aget_job(self, job: Job, **parameters: Unpack[WaitParameters]) -> JobHandle:
        """Poll a job once, as :meth:`get_job` does, on the running event loop."""
        return await self._acall(self._calls.get_job, job, parameters)

    def wait_for_job(
        self, job: Job, *, timeout: float | timedelta | None = None, **parameters: Unpack[WaitParameters]
    ) -> JobHandle:
        """
        Poll a job until it is over. This holds the worker; a deferrable ``AsyncApiSensor`` doesn't.

        :param job: a job handle, its dict, or a bare identifier.
        :param timeout: seconds, or a timedelta; by default as ``[sensors] default_timeout`` says.
        :param parameters: as ``AsyncApiSensor`` takes them, save ``callback``.
        :return: the job; its outcome is ``success`` or ``no_data``.
        :raises AsyncApiJobFailed: if the job failed.
        :raises AsyncApiTimeout: if it wasn't done in time; it has been cancelled then if ``cancel`` says how.
        """
        return self._call(self._calls.wait_for_job, job, timeout, parameters)

    async def await_for_job(
        self,
        job: Job,
        *,
        timeout: float | timedelta | None = None,  # noqa: ASYNC109 - it ends with a last poll and a cancel
        **parameters: Unpack[WaitParameters],
    ) -> JobHandle:
        """Poll a job until it is over, as :meth:`wait_for_job` does, on the running event loop."""
        return await self._acall(self._calls.wait_for_job, job, timeout, parameters)

    def fetch_result(self, job: Job, **parameters: Unpack[FetchParameters]) -> Any:
        """
        Fetch what a job made.

        :param job: a job handle, its dict, or a bare identifier.
        :param parameters: as ``AsyncApiFetchOperator`` takes them, save ``callback``.
        :return: the value; with a ``destination`` the manifest of what was written.
        :raises AirflowSkipException: if the job ended with no data.
        :raises AsyncApiResultFailed: if the result is gone, partial, too large, or not what was promised.
        """
        from airflow_provider_asyncapi.hooks.fetch_result import fetch_result

        return fetch_result(self, job, self.profile, parameters)

    async def afetch_result(self, job: Job, **parameters: Unpack[FetchParameters]) -> Any:
        """
        Fetch what a job made, as :meth:`fetch_result` does.

        Requests are sent on the running event loop; files are written on a thread.
        """
        from airflow_provider_asyncapi.hooks.fetch_result import fetch_result
        from airflow_provider_asyncapi.hooks.running import run_on_thread

        return await run_on_thread(
            self.asyncapi_conn_id,
            lambda runner: fetch_result(runner, job, self.profile, parameters),
            self.log_events,
        )

    def cancel_job(
        self, job: Job, *, reason: str = "cancel_job() was called", **parameters: Unpack[StepParameters]
    ) -> bool:
        """
        Send the request that stops a job. What goes wrong with it is logged, and no error.

        :param job: a job handle, its dict, or a bare identifier.
        :param reason: why, for the log.
        :param parameters: the request, as the parameter ``cancel`` of ``AsyncApiSensor`` describes it; POST by default.
        :return: whether the API accepted it, which alone doesn't end a job; False if the job was over already.
        """
        return self._call(self._calls.cancel_job, job, reason, parameters)

    async def acancel_job(
        self, job: Job, *, reason: str = "acancel_job() was called", **parameters: Unpack[StepParameters]
    ) -> bool:
        """Send the request that stops a job, as :meth:`cancel_job` does, on the running event loop."""
        return await self._acall(self._calls.cancel_job, job, reason, parameters)

    @cached_property
    def _calls(self) -> HookCalls:
        # Operators, which a DAG file imports, have no use for it.
        from airflow_provider_asyncapi.hooks.calls import HookCalls

        return HookCalls(self.profile)

    def _call(self, prepare: Callable[..., HookCall[T]], *arguments: Any) -> T:
        try:
            call = prepare(*arguments)
        except AsyncApiError as error:
            raise to_airflow(error) from error

        def make_flow() -> Flow[T]:
            return (yield from call.make_flow(self.api))

        def observe(event: Notification) -> None:
            self.log_events(event)
            call.observe(event)

        return self.run(make_flow(), observe=observe)

    async def _acall(self, prepare: Callable[..., HookCall[T]], *arguments: Any) -> T:
        from airflow_provider_asyncapi.hooks.running import run_call

        try:
            call = prepare(*arguments)
        except AsyncApiError as error:
            raise to_airflow(error) from error
        return await run_call(self.asyncapi_conn_id, call, self.log_events)

    def log_events(self, event: Notification) -> None:
        """Write the log lines of a flow."""
        from airflow_provider_asyncapi.core.effects import Log

        if isinstance(event, Log):
            self.log.log(event.level, "%s", event.message)

    def close(self) -> None:
        """Close all connections to the API."""
        if "_driver" in self.__dict__:
            self._driver.close()

    def test_connection(self) -> tuple[bool, str]:
        """
        Log in, and ask for the connection's ``test_endpoint``; what the Test button does.

        :return: whether it works, and what came of it.
        """
        from airflow_provider_asyncapi.core.connection.probe import probe

        try:
            # A token that another process was given says nothing about the credentials.
            self.api = replace(self.api, tokens=None)
            return True, self.run(probe(self.api))
        except Exception as error:  # noqa: BLE001 - the button shows whatever it is
            # The button tests a copy, under an id that nobody has seen.
            return False, str(error).replace(f"connection {self.asyncapi_conn_id!r}: ", "connection: ", 1)
        finally:
            self.close()
