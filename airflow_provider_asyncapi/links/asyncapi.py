"""Links from a task to the remote job."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeGuard

from airflow.providers.common.compat.sdk import BaseOperatorLink, XCom

from airflow_provider_asyncapi.monitoring.xcoms import JOB_URL_KEY

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator, TaskInstanceKey


class RemoteJobLink(BaseOperatorLink):
    """A link to the job's page at the vendor, rendered from ``job_url``."""

    name = "Remote job"

    @property
    def xcom_key(self) -> str:
        """The key of the XCom in which the UI finds the URL, which the task pushes while it runs."""
        return JOB_URL_KEY

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """
        Return the URL; an empty string if there is none yet.

        Airflow calls this whenever the task's process ends, deferrals included, so it never raises an exception. The
        return value replaces the XCom, so a process that has pushed no URL returns that of an earlier process. Airflow
        3.3 logs an error if an XCom is missing, so the XCom is only read if the task has a ``job_url``.
        """
        task: Any = operator
        try:
            url = task.pushed_job_url
            if url is None and task.find_job_url():
                url = XCom.get_value(ti_key=ti_key, key=JOB_URL_KEY)
        except Exception:  # noqa: BLE001 - a missing link must not fail the task
            return ""
        return url if is_web_address(url) else ""


def is_web_address(url: Any) -> TypeGuard[str]:
    """Return whether a value is an http(s) URL; a value from an API could be a script instead."""
    return isinstance(url, str) and url.startswith(("http://", "https://"))
