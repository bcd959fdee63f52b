"""The options of a wait that aren't part of its plan: the task, and the options of Airflow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_asyncapi.core.jobs.handle import JobHandle
    from airflow_provider_asyncapi.exceptions import AsyncApiJobFailed
    from airflow_provider_asyncapi.hooks.asyncapi import AsyncApiHook
    from airflow_provider_asyncapi.tasks.stages import Stage


class PollingTask(Protocol):
    """A task that works on the stage ``status``; most attributes are attributes of Airflow's operators."""

    asyncapi_conn_id: str
    profile: str | None
    execution_timeout: timedelta | None
    begins_again: bool

    @property
    def hook(self) -> AsyncApiHook:
        """The hook of the connection."""

    @property
    def log(self) -> Any:
        """The logger of the task."""

    def sets(self, stage: Stage, name: str) -> bool:
        """Return whether the DAG sets an argument of a stage."""

    def effective_params(self, stage: Stage) -> dict[str, Any]:
        """Return all parameters of a stage."""

    def profile_version(self) -> Mapping[str, str]:
        """Return name and version of the profile; empty if there is none."""

    def build_plan(self, stage: Stage) -> Any:
        """Return the plan of a stage."""

    def push_handle(self, context: Context, handle: JobHandle) -> None:
        """Push the job handle, and the job's URL."""

    def push_link(self, context: Context, handle: JobHandle) -> None:
        """Push the job's URL."""

    def find_job_url(self) -> str | None:
        """Return the template of the job's URL."""

    def execute_complete(
        self, context: Context, event: Any, wait: dict[str, Any] | None = None, job_url: str | None = None
    ) -> Any:
        """Continue after the deferral."""

    def defer(self, *, trigger: Any, method_name: str, kwargs: dict[str, Any] | None) -> NoReturn:
        """Defer the task."""

    def get_direct_relatives(self) -> Any:
        """Return the tasks that depend on this one."""

    def skip(self, ti: Any, tasks: Any) -> None:
        """Skip tasks."""


@dataclass(frozen=True, slots=True)
class WaitOptions:
    """
    The options of a wait in Airflow, in addition to its plan.

    :param find_timeout: returns the seconds for all tries together; called when the wait begins or continues.
    :param has_default_timeout: returns whether these seconds are Airflow's default, since nobody has set others.
    :param deferrable: whether the triggerer waits.
    :param reschedule: whether each poke is a process of its own.
    :param soft_fail: whether the task is skipped if the wait fails.
    :param end_from_trigger: whether a successful wait ends in the triggerer.
    :param fetch: the parameters with which the triggerer fetches the result after a successful wait, and ends the task;
        None if it doesn't.
    :param on_warning: the ``on_warning_callback`` of the task: a callable, or a list of them; None for none.
    :param resubmit: submits another job after one has failed; returns None if there is no further job.
    :param begins_with_submit: returns whether the task itself submits the job, and no further one in the same wait:
        then the wait begins with the submit, and nothing has to be stored for the next try. Called as ``find_timeout``.
    """

    find_timeout: Callable[[], float]
    has_default_timeout: Callable[[], bool]
    deferrable: bool
    reschedule: bool = False
    soft_fail: bool = False
    end_from_trigger: bool = False
    fetch: Mapping[str, Any] | None = None
    on_warning: Any = None
    resubmit: Callable[[AsyncApiJobFailed], JobHandle | None] | None = None
    begins_with_submit: Callable[[], bool] = lambda: False
