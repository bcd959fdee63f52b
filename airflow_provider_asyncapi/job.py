"""A task group that submits a job, waits for it, and fetches its result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from airflow.providers.common.compat.sdk import TaskGroup, XComArg

from airflow_provider_asyncapi.core.errors import ConfigurationError
from airflow_provider_asyncapi.operators.asyncapi import AsyncApiFetchOperator, AsyncApiTriggerOperator
from airflow_provider_asyncapi.sensors.asyncapi import AsyncApiSensor
from airflow_provider_asyncapi.tasks.stages import STATUS, SUBMIT


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
    resubmit: int | None = None,
    resubmit_delay: float | Sequence[float] | None = None,
    resubmit_on: list[dict[str, Any]] | None = None,
    repair: dict[str, Any] | Literal[False] | None = None,
    repair_on: list[dict[str, Any]] | None = None,
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
    :param resubmit: number of further jobs that the task ``wait`` submits, each after the failure of the one before;
        0 by default.
    :param resubmit_delay: seconds between the failure of a job and the next submit, or a list of them, of which the
        last one is repeated; 0 by default.
    :param resubmit_on: a list of rules without outcomes: another job is submitted only if one of them matches the
        response that reports the failure, or that of ``failure_details``.
    :param repair: the request that resumes the failed job, sent instead of the submit of another job: a mapping.
    :param repair_on: a list of rules without outcomes: the job is repaired only if one of them matches.
    :param profile: the profile for all three; by default the connection's.
    :param asyncapi_conn_id: the connection for all three; by default that of ``default_args``, or ``asyncapi_default``.
    :param group_kwargs: further arguments of the task group.
    """
    given = {"asyncapi_conn_id": asyncapi_conn_id, "profile": profile}
    # Arguments that are None are left to default_args.
    common = {name: value for name, value in given.items() if value is not None}
    again: dict[str, Any] = {
        "resubmit": resubmit,
        "resubmit_delay": resubmit_delay,
        "resubmit_on": resubmit_on,
        "repair": repair,
        "repair_on": repair_on,
    }
    rerun = {name: value for name, value in again.items() if value is not None}
    group = AsyncApiJob(group_id, **group_kwargs)
    with group:
        group.submit = AsyncApiTriggerOperator(**{"task_id": "submit", **common, **(submit or {})})
        in_profile = group.submit.merge_profile(STATUS, {}, with_connection=False)
        # The task ``wait`` submits further jobs with the arguments of the submit, except those of Airflow.
        own = {name: value for name, value in (submit or {}).items() if name in SUBMIT.arguments}
        if rerun or in_profile.get("resubmit"):
            rerun["submit"] = own
            _check_connection(group_id, submit or {}, status or {})
        waiting = {"task_id": "wait", "job": group.submit.handle, **common, **rerun, **(status or {})}
        group.wait = AsyncApiSensor(**waiting)
        if "submit" not in rerun and not group.wait.profile and not _find_difference(submit or {}, status or {}):
            group.wait.group_submit = own
        group.submit >> group.wait
        if fetch is not None:
            group.fetch = AsyncApiFetchOperator(**{"task_id": "fetch", "job": group.wait.handle, **common, **fetch})
            group.wait >> group.fetch
    return group


def _check_connection(group_id: str, submit: Mapping[str, Any], status: Mapping[str, Any]) -> None:
    """Check that the submit and the wait, which submits further jobs, use the same connection and profile."""
    if name := _find_difference(submit, status):
        raise ConfigurationError(
            f"task group {group_id!r}: {name}: the task that waits submits further jobs (resubmit, repair), so"
            " submit and status can't have different ones"
        )


def _find_difference(submit: Mapping[str, Any], status: Mapping[str, Any]) -> str | None:
    return next((name for name in ("asyncapi_conn_id", "profile") if submit.get(name) != status.get(name)), None)
