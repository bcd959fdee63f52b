"""A task group that submits a job, waits for it, and fetches its result."""

from __future__ import annotations

from typing import Any

from airflow.providers.common.compat.sdk import TaskGroup, XComArg

from airflow_provider_asyncapi.operators.asyncapi import AsyncApiFetchOperator, AsyncApiTriggerOperator
from airflow_provider_asyncapi.sensors.asyncapi import AsyncApiSensor


class AsyncApiJob(TaskGroup):
    """A task group of ``submit``, ``wait`` and optionally ``fetch``; see :func:`async_api_job`."""

    submit: AsyncApiTriggerOperator
    wait: AsyncApiSensor
    fetch: AsyncApiFetchOperator | None = None

    @property
    def handle(self) -> XComArg:
        """The job handle after the wait."""
        return self.wait.handle

    @property
    def output(self) -> XComArg:
        """The return value of the last task: the result, the manifest of the written files, or the identifier."""
        last = self.wait if self.fetch is None else self.fetch
        return last.output


def async_api_job(
    group_id: str,
    *,
    submit: dict[str, Any] | None = None,
    status: dict[str, Any] | None = None,
    fetch: dict[str, Any] | None = None,
    profile: str | None = None,
    asyncapi_conn_id: str | None = None,
    **group_kwargs: Any,
) -> AsyncApiJob:
    """
    Return a task group that submits a job, waits for it, and fetches its result.

    :param group_id: the group's id; the tasks are ``submit``, ``wait`` and ``fetch`` in it.
    :param submit: the arguments of the :class:`~.operators.asyncapi.AsyncApiTriggerOperator`; None if the profile sets
        all of them.
    :param status: the arguments of the :class:`~.sensors.asyncapi.AsyncApiSensor`.
    :param fetch: the arguments of the :class:`~.operators.asyncapi.AsyncApiFetchOperator`; None for no fetch, an empty
        mapping if the profile sets all of them.
    :param profile: the profile for all three; by default the connection's.
    :param asyncapi_conn_id: the connection for all three; by default that of ``default_args``, or ``asyncapi_default``.
    :param group_kwargs: further arguments of the task group.
    """
    given = {"asyncapi_conn_id": asyncapi_conn_id, "profile": profile}
    # Arguments that are None are left to default_args.
    common = {name: value for name, value in given.items() if value is not None}
    group = AsyncApiJob(group_id, **group_kwargs)
    with group:
        group.submit = AsyncApiTriggerOperator(**{"task_id": "submit", **common, **(submit or {})})
        group.wait = AsyncApiSensor(**{"task_id": "wait", "job": group.submit.handle, **common, **(status or {})})
        group.submit >> group.wait
        if fetch is not None:
            group.fetch = AsyncApiFetchOperator(**{"task_id": "fetch", "job": group.wait.handle, **common, **fetch})
            group.wait >> group.fetch
    return group
