"""The XComs that tasks push: their keys, whose they are, and what is news."""

from __future__ import annotations

import dataclasses
import logging
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_asyncapi.core.effects import Polled
    from airflow_provider_asyncapi.core.wait.poll_summary import ShownPoll

log = logging.getLogger(__name__)

#: The job handle.
JOB_KEY: Final = "job"
#: The address of the job's page at the vendor.
JOB_URL_KEY: Final = "job_url"
#: The callbacks that have come in, on the task that has submitted the job.
CALLS_KEY: Final = "asyncapi_calls"
#: Which callback URLs that task has given away, before Airflow 3.3 (then its task state store knows).
SUBMISSION_KEY: Final = "asyncapi_submission"
#: On the task that waits for a callback: the key ends in who has submitted the job.
AWAITED_KEY: Final = "asyncapi_awaited_"
#: On the task that has submitted a job which calls back: the key ends in its connection and identifier.
JOB_OF_KEY: Final = "asyncapi_job_"
#: What people are shown of a wait that stays the same: the connection, when it began, when it ends at the latest.
WAIT_KEY: Final = "job_wait"
#: What people are shown of the polls: the last error, and how long lies between them.
POLL_KEY: Final = "job_poll"


def show(context: Context, key: str, value: Any) -> bool:
    """
    Push an XCom that people look at, and no task needs: how a task ends doesn't hang on it.

    :return: whether it could be pushed.
    """
    ti: Any = context["ti"]
    try:
        ti.xcom_push(key, value)
    except Exception:
        log.warning("XCom %s can't be pushed; people won't see it", key, exc_info=True)
        return False
    return True


class Showing:
    """
    What is new to people after each poll, as XComs.

    :param shown: what they see of the polls so far; None where that isn't known.
    """

    def __init__(self, shown: ShownPoll | None = None) -> None:
        self._shown = shown

    def after(self, polled: Polled) -> dict[str, Any]:
        """Give the XComs to push: of most polls none."""
        is_plain = not polled.changed and polled.error is None and polled.delay is None
        if is_plain and self._shown is not None and self._shown.error is None and self._shown.delay is None:
            return {}
        from airflow.providers.common.compat.sdk import redact

        from airflow_provider_asyncapi.core.wait.poll_summary import ShownPoll

        if polled.error is not None:
            # As in the task's log.
            polled = dataclasses.replace(polled, error=str(redact(polled.error)))
        news: dict[str, Any] = {}
        if polled.changed:
            news[JOB_KEY] = polled.handle.dump()
        poll = ShownPoll.of(polled)
        if poll.is_news(self._shown, changed=polled.changed):
            self._shown = poll
            news[POLL_KEY] = poll.dump()
        return news


#: What the task returns; Airflow's own.
RETURN_KEY: Final = "return_value"


def reference(ti: Any) -> dict[str, Any]:
    """Give what tells a task instance, and its XComs, from all others, whichever its try."""
    map_index = -1 if ti.map_index is None else ti.map_index
    return {"dag_id": ti.dag_id, "run_id": ti.run_id, "task_id": ti.task_id, "map_index": map_index}
