"""The task that fetches the result of a job: its checks, and its end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_asyncapi.tasks import lazy
from airflow_provider_asyncapi.tasks.base import JobTask
from airflow_provider_asyncapi.tasks.stages import FETCH, STATUS, Stage

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage

    from airflow_provider_asyncapi.core.jobs.handle import JobHandle

_MISSED_WAIT = (
    "job: the job handle of task %r is the one from before the wait, and task %r waits for this job; pass the sensor's"
    " attribute handle (job=wait.handle), which has what the wait captured, and makes this task run after the wait"
)


class FetchingTask(JobTask):
    """The base of the operator that fetches."""

    stage = FETCH

    if TYPE_CHECKING:
        destination: str | None
        unpack: bool | None

    def check_together(self, stage: Stage, described: Mapping[str, Any]) -> None:
        """Check that files have a destination, unless it is a template."""
        lazy.check_destination(described, self.destination, self.unpack)

    def warn_about_missed_wait(self, handle: JobHandle) -> None:
        """
        Log a warning if a sensor of the DAG waits for the same job, and the job handle is the one from before the wait.

        A sensor's attribute ``job`` is its argument: ``job=wait.job`` is that handle, and doesn't depend on the wait.
        """
        submitter = handle.task.get("task_id")
        if handle.outcome.is_final or submitter is None or not self.has_dag():
            return
        for task in self.dag.tasks:
            if isinstance(task, JobTask) and task.stages == (STATUS,):
                source = getattr(task.job, "operator", None)
                if source is not None and source.task_id == submitter:
                    self.log.warning(_MISSED_WAIT, submitter, task.task_id)

    def on_kill(self) -> None:
        """End the fetch, so that it removes partial files; Airflow allows a killed task some seconds for this."""
        self.end_fetch()

    def get_openlineage_facets_on_complete(self, _task_instance: Any) -> OperatorLineage[Any, Any]:
        """Report the dataset that was written to OpenLineage, if its provider is installed."""
        return lazy.make_lineage(self.destination)
