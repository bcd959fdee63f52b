"""Links from a task to the remote job."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeGuard

from airflow.providers.common.compat.sdk import BaseOperatorLink, XCom

from airflow_provider_asyncapi.monitoring.xcoms import JOB_URL_KEY

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator, TaskInstanceKey


class RemoteJobLink(BaseOperatorLink):
    """The job's page at the vendor, made of ``job_url``."""

    name = "Remote job"

    @property
    def xcom_key(self) -> str:
        """Where the UI finds the address: what the task pushes while it runs, not what is made of it when it ends."""
        return JOB_URL_KEY

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """
        Give the address; empty while there is none. It is asked after each leg of a task, and never raises.

        What is returned replaces the XCom, so that a leg that has pushed nothing returns what an earlier one pushed. An
        XCom that isn't there is an error in the task's log (Airflow 3.3), so none is looked for that nobody pushes.
        """
        task: Any = operator
        try:
            url = task.pushed_job_url
            if url is None and task.find_job_url():
                url = XCom.get_value(ti_key=ti_key, key=JOB_URL_KEY)
        except Exception:  # noqa: BLE001 - a link is no reason to fail a task
            return ""
        return url if is_web_address(url) else ""


def is_web_address(url: Any) -> TypeGuard[str]:
    """Tell whether a link may lead there; what an API says may be a script."""
    return isinstance(url, str) and url.startswith(("http://", "https://"))
