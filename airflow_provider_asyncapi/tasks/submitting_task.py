"""The task that submits a job, or several with one request: the handles of its jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_asyncapi.core.errors import ConfigurationError
from airflow_provider_asyncapi.tasks import lazy
from airflow_provider_asyncapi.tasks.base import JobTask
from airflow_provider_asyncapi.tasks.stages import SUBMIT

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import XComArg


class SubmittingTask(JobTask):
    """The base of the operator that submits."""

    stage = SUBMIT

    if TYPE_CHECKING:
        output: XComArg

    @property
    def handle(self) -> XComArg:
        """
        The job handle that this task pushes, for the ``job`` of the next.

        :raises ConfigurationError: if the submit makes several jobs.
        """
        if self.has_several_jobs(with_connection=False):
            raise ConfigurationError(
                f"handle: task {self.task_id!r} makes several jobs (identifiers); {lazy.MAP_ADVICE}"
            )
        return super().handle

    @property
    def handles(self) -> XComArg:
        """The job handles of a submit that makes several jobs: the task's return value, to map the next tasks over."""
        return self.output

    def has_several_jobs(self, *, with_connection: bool = True) -> bool:
        """
        Return whether the submit makes several jobs.

        :param with_connection: whether the connection's profile counts if the task names none.
        """
        return self.effective_params(SUBMIT, with_connection=with_connection).get("identifiers") is not None
