"""
The hook, which sends requests to the API of an Airflow connection, and submits and polls remote jobs.

Its methods do the same as the operators, in a ``@task`` or in a trigger. Each has an asynchronous variant, whose name
begins with ``a``. The classes of their arguments and return values are here too: :class:`JobHandle` and
:class:`AsyncApiResponse`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self, TypeAlias, TypeVar, Unpack

from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook

from airflow_provider_asyncapi.connections import form as connection_form
from airflow_provider_asyncapi.core.errors import AsyncApiError
from airflow_provider_asyncapi.core.lazy import load_lazily
from airflow_provider_asyncapi.exceptions import to_airflow
from airflow_provider_asyncapi.hooks import lazy

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from airflow_provider_asyncapi.core.connection.api import Api
    from airflow_provider_asyncapi.core.effects import Flow, Notification
    from airflow_provider_asyncapi.core.jobs.handle import JobHandle
    from airflow_provider_asyncapi.hooks.calls import HookCall
    from airflow_provider_asyncapi.hooks.parameter_types import (
        FetchParameters,
        SendParameters,
        StepParameters,
        SubmitParameters,
        WaitParameters,
    )
    from airflow_provider_asyncapi.hooks.responses import AsyncApiResponse
    from airflow_provider_asyncapi.transports import Observer

__all__ = ["AsyncApiHook", "AsyncApiResponse", "JobHandle"]

T = TypeVar("T")
#: A job: a handle, its dict, or a bare identifier.
Job: TypeAlias = "JobHandle | Mapping[str, Any] | str | int"

#: Imported at their first use (PEP 562), so that the import of an operator is cheap for a DAG file.
__getattr__ = load_lazily(
    globals(),
    {
        "airflow_provider_asyncapi.core.jobs.handle": "JobHandle",
        "airflow_provider_asyncapi.hooks.responses": "AsyncApiResponse",
    },
)


class AsyncApiHook(BaseHook):
    """
    Send requests to the API of a connection of type ``asyncapi``, and submit, poll and fetch its jobs.

    As a context manager (``with`` or ``async with``) it keeps connections open between calls, and closes them at the
    end.

    :param asyncapi_conn_id: the connection.
    :param profile: the profile with the defaults of parameters; by default the connection's.
    """

    conn_name_attr = "asyncapi_conn_id"
    default_conn_name = "asyncapi_default"
    conn_type = connection_form.CONNECTION_TYPE
    hook_name = connection_form.HOOK_NAME

    def __init__(self, asyncapi_conn_id: str = default_conn_name, profile: str | None = None) -> None:
        super().__init__()
        self.asyncapi_conn_id = asyncapi_conn_id
        self.profile = profile
        self._kept_open: lazy.SharedClient | None = None
        #: The id for messages; None while Airflow's Test button tests a copy of the connection under another id.
        self._shown_conn_id: str | None = asyncapi_conn_id

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        client = lazy.SharedClient(self.asyncapi_conn_id, look_up_timeout=lazy.LOOK_UP_TIMEOUT)
        with lazy.convert_errors():
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
        """Return the fields of the form for Airflow 3.1, which doesn't read them from the provider info."""
        return connection_form.make_widgets()

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Return the labels of the form's standard fields for Airflow 3.1."""
        return connection_form.make_field_behaviour()

    @cached_property
    def api(self) -> Api:
        """
        The API of the connection; from the first access on, its secrets are masked in the task's log.

        :raises AirflowFailException: if the connection is missing a field, or a field is invalid.
        :raises AirflowNotFoundException: if there is no such connection; Airflow raises it too while its API server
            is unavailable, so a retry may succeed.
        """
        try:
            return lazy.read_connection(self.get_connection(self.asyncapi_conn_id))
        except AirflowNotFoundException as error:
            raise AirflowNotFoundException(
                f"asyncapi_conn_id: there is no connection {self.asyncapi_conn_id!r}; `airflow connections list` shows"
                " what there is"
            ) from error
        except AsyncApiError as error:
            raise to_airflow(lazy.name_connection(error, self._shown_conn_id)) from error

    def get_conn(self) -> lazy.RequestsDriver:
        """Return the driver that runs flows in this process."""
        return self._driver

    @cached_property
    def _driver(self) -> lazy.RequestsDriver:
        try:
            recorder = lazy.make_first_byte_recorder(self.asyncapi_conn_id)
            return lazy.RequestsDriver(self.api, record_first_byte=recorder)
        except AsyncApiError as error:
            raise to_airflow(lazy.name_connection(error, self._shown_conn_id)) from error

    def run(self, flow: Flow[T], *, observe: Observer | None = None) -> T:
        """
        Run a flow to its end.

        :param observe: called with each log line and each poll; by default lines are logged.
        :raises AirflowException: for each error of the flow (:mod:`..exceptions`).
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
        Send one request with the connection's credentials, and return its response.

        Connection errors, 408, 425, 429 and 5xx are retried for some seconds; a request that isn't idempotent (POST,
        PATCH) only if it can't have been carried out. The body of a response may have 1 MiB; use :meth:`fetch_result`
        for larger results.

        :param method: the HTTP method.
        :param endpoint: a path below the connection's host, or an absolute URL; may contain variables.
        :param variables: the variables that the request may contain as ``{name}``, beside ``{connection.<name>}``.
        :param parameters: ``query_params``, ``headers``, one body (``json``, ``xml``, ``data``, ``files``), ``rules``,
            ``error_message``, ``max_consecutive_errors`` (5), ``retry_delays`` and ``retry_after``, as for the
            operators.
        :raises AsyncApiRejected: if the status code isn't 2xx, and no rule accepts it.
        :raises AsyncApiUnavailable: if the API is unavailable for longer than that.
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
        Submit a job, and send the further requests that start it.

        Unlike ``AsyncApiTriggerOperator`` this keeps no record between tries: a retry of the task submits again, unless
        the API recognizes the same ``idempotency_key``.

        :param idempotency_key: the value of ``{idempotency_key}`` in requests; by default a new one for each call.
        :param parameters: as for ``AsyncApiTriggerOperator``, except ``callback``, ``on_changed_request`` and
            ``cancel``.
        :raises AsyncApiSubmitAmbiguous: if the job may have been submitted, and there is no way to find out.
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
        :param parameters: as for ``AsyncApiSensor``; parameters of the wait have no effect.
        :return: the current state of the job, whatever its outcome.
        :raises AsyncApiRetryableException: if the response contains no valid status.
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
        :param timeout: seconds, or a timedelta; by default ``[sensors] default_timeout``.
        :param parameters: as for ``AsyncApiSensor``, except ``callback``.
        :return: the job; its outcome is ``success`` or ``no_data``.
        :raises AsyncApiJobFailed: if the job failed.
        :raises AsyncApiTimeout: if it didn't end in time; with ``cancel``, it was cancelled then.
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
        Fetch the result of a job.

        :param job: a job handle, its dict, or a bare identifier.
        :param parameters: as for ``AsyncApiFetchOperator``, except ``callback``.
        :return: the value; with a ``destination``, the manifest of the written files.
        :raises AirflowSkipException: if the job ended with no data.
        :raises AsyncApiResultFailed: if the result is gone, partial, too large, or not in the expected format.
        """
        return lazy.fetch_result(self, job, self.profile, parameters)

    async def afetch_result(self, job: Job, **parameters: Unpack[FetchParameters]) -> Any:
        """
        Fetch the result of a job, as :meth:`fetch_result` does.

        Requests are sent on the running event loop; files are written on a thread.
        """
        return await lazy.run_on_thread(
            self.asyncapi_conn_id,
            lambda runner, cancellation: lazy.fetch_result(runner, job, self.profile, parameters, cancellation),
            self.log_events,
        )

    def cancel_job(
        self, job: Job, *, reason: str = "cancel_job() was called", **parameters: Unpack[StepParameters]
    ) -> bool:
        """
        Send the request that cancels a job. Errors of the request are logged, and not raised.

        :param job: a job handle, its dict, or a bare identifier.
        :param reason: the reason, for the log.
        :param parameters: the request, as the parameter ``cancel`` of ``AsyncApiSensor`` describes it; POST by default.
        :return: whether the API accepted the request, which doesn't mean that the job has ended; False if the job was
            over already.
        """
        return self._call(self._calls.cancel_job, job, reason, parameters)

    async def acancel_job(
        self, job: Job, *, reason: str = "acancel_job() was called", **parameters: Unpack[StepParameters]
    ) -> bool:
        """Send the request that cancels a job, as :meth:`cancel_job` does, on the running event loop."""
        return await self._acall(self._calls.cancel_job, job, reason, parameters)

    @property
    def webhook_url(self) -> str:
        """
        The URL of the connection's webhook, which causes asset events; see ``callback.events`` of the connection.

        Register it by :meth:`request` if the API requires it.
        """
        try:
            return lazy.make_webhook_url(self.asyncapi_conn_id)
        except AsyncApiError as error:
            raise to_airflow(error) from error

    @cached_property
    def _calls(self) -> lazy.HookCalls:
        return lazy.HookCalls(self.profile)

    def _call(self, prepare: Callable[..., HookCall[T]], *arguments: Any) -> T:
        try:
            call = prepare(*arguments)
        except AsyncApiError as error:
            raise to_airflow(error) from error

        with call.trace(self.asyncapi_conn_id) as traced:

            def make_flow() -> Flow[T]:
                return (yield from traced.make_flow(self.api))

            def observe(event: Notification) -> None:
                self.log_events(event)
                traced.observe(event)

            return self.run(make_flow(), observe=observe)

    async def _acall(self, prepare: Callable[..., HookCall[T]], *arguments: Any) -> T:
        try:
            call = prepare(*arguments)
        except AsyncApiError as error:
            raise to_airflow(error) from error
        return await lazy.run_call(self.asyncapi_conn_id, call, self.log_events)

    def log_events(self, event: Notification) -> None:
        """Write the log lines of a flow."""
        if isinstance(event, lazy.Log):
            self.log.log(event.level, "%s", event.message)

    def close(self) -> None:
        """Close all connections to the API."""
        if "_driver" in self.__dict__:
            self._driver.close()

    def test_connection(self) -> tuple[bool, str]:
        """
        Log in, and request the connection's ``test_endpoint``; the Test button calls this.

        :return: whether it works, and the result in words.
        """
        self._shown_conn_id = None
        try:
            # A token from another process doesn't show that the credentials are valid.
            self.api = replace(self.api, tokens=None)
            return True, self.run(lazy.probe(self.api))
        except Exception as error:  # noqa: BLE001 - the button shows whatever it is
            return False, str(error)
        finally:
            self.close()
