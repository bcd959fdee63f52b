"""The XComs that other processes of a task have published about its wait: read, continue or delete them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import XCom
from airflow.providers.standard.utils.skipmixin import XCOM_SKIPMIXIN_KEY

from airflow_provider_asyncapi.core.wait.history import JobHistory
from airflow_provider_asyncapi.monitoring.xcoms import (
    HISTORY_KEY,
    JOB_KEY,
    JOB_URL_KEY,
    POLL_KEY,
    RETURN_KEY,
    WAIT_KEY,
    choose_part,
    keep_parts,
    push_for_users,
    task_ids,
)

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context


log = logging.getLogger(__name__)


def delete_xcoms(context: Context) -> None:
    """Delete the XComs of an earlier try, as Airflow does when a try begins on a worker."""
    for key in (JOB_KEY, JOB_URL_KEY, WAIT_KEY, POLL_KEY, HISTORY_KEY, RETURN_KEY, XCOM_SKIPMIXIN_KEY):
        XCom.delete(key=key, **task_ids(context["ti"]))


def publish_summary(context: Context, summary: dict[str, Any]) -> None:
    """Push the summary of a wait that another process has begun, with what that process has published in it."""
    push_for_users(context, WAIT_KEY, continue_summary(context["ti"], summary))


def continue_summary(ti: Any, summary: dict[str, Any]) -> dict[str, Any]:
    """Return the summary of a wait with what another process has published in it."""
    try:
        return keep_parts(summary, _pull_own(ti, WAIT_KEY))
    except Exception:
        log.warning("XCom %s can't be read, so it lacks the first polls", WAIT_KEY, exc_info=True)
        return summary


def read_history(ti: Any) -> JobHistory:
    """Return the history that other processes have published."""
    own = _pull_own(ti, HISTORY_KEY)
    summary = _pull_own(ti, WAIT_KEY) if own is None else None
    return JobHistory.parse(choose_part(HISTORY_KEY, own, summary))


def _pull_own(ti: Any, key: str) -> Any:
    return ti.xcom_pull(task_ids=ti.task_id, key=key, map_indexes=ti.map_index)
