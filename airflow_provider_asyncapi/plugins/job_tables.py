"""The tables from which jobs are listed, and the columns by which they are filtered and sorted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from sqlalchemy import and_, case, func
from sqlalchemy.orm import aliased

from airflow_provider_asyncapi.airflow_private.database import Job, TaskInstance, Trigger, XComModel
from airflow_provider_asyncapi.monitoring.xcoms import ATTEMPTS_KEY, JOB_KEY, JOB_URL_KEY, PARTS, POLL_KEY, WAIT_KEY
from airflow_provider_asyncapi.plugins.json_fields import TextField, as_json_text

if TYPE_CHECKING:
    from sqlalchemy.sql import ColumnElement, Select

Group: TypeAlias = Literal["waiting", "failed", "done"]
#: What a row is about: a wait for a job, or a submit that has failed.
Kind: TypeAlias = Literal["wait", "submit"]
#: The states of tasks that have ended. In any other state, including that of a cleared task, a task will wait again.
ENDED: Final[dict[Group, frozenset[str]]] = {
    "failed": frozenset({"failed", "upstream_failed"}),
    "done": frozenset({"success", "skipped", "removed"}),
}
#: The states of tasks whose jobs are polled.
POLLING: Final = frozenset({"running", "deferred", "up_for_reschedule"})

ti = TaskInstance
wait, job, poll, url, attempts = (aliased(XComModel, name=name) for name in ("wait", "job", "poll", "url", "attempts"))
trigger, triggerer = aliased(Trigger, name="wait_trigger"), aliased(Job, name="triggerer")

#: The columns by which jobs can be sorted.
ORDERS: Final[dict[str, Any]] = {
    "dag_id": ti.dag_id,
    "run_id": ti.run_id,
    "task_id": ti.task_id,
    "state": ti.state,
    "conn_id": TextField(wait.value, "asyncapi_conn_id"),
    "identifier": TextField(job.value, "identifier"),
    "status": TextField(job.value, "status"),
    # These sort correctly as text: a fraction from 0 to 1, and times of one time zone.
    "progress": TextField(job.value, "progress"),
    "started_at": TextField(wait.value, "started_at"),
    "deadline": TextField(wait.value, "deadline"),
}
#: Those of the job handle.
JOB_ORDERS: Final = frozenset({"identifier", "status", "progress"})


def match_same_task(other: Any, key: str) -> ColumnElement[bool]:
    """Return the join condition of another XCom of the same task instance."""
    return and_(
        other.dag_run_id == wait.dag_run_id,
        other.task_id == wait.task_id,
        other.map_index == wait.map_index,
        other.key == key,
    )


def join_for_health(statement: Select[Any]) -> Select[Any]:
    """Add the tables that tell how a wait is doing: its job, its polls, its trigger and the triggerer that runs it."""
    return (
        statement.outerjoin(job, match_job())
        .outerjoin(poll, match_poll())
        .outerjoin(trigger, trigger.id == ti.trigger_id)
        .outerjoin(triggerer, triggerer.id == trigger.triggerer_id)
    )


def join_for_display(statement: Select[Any]) -> Select[Any]:
    """Add the tables that only say something about the rows of a page."""
    return statement.outerjoin(url, match_same_task(url, JOB_URL_KEY)).outerjoin(
        attempts, match_same_task(attempts, ATTEMPTS_KEY)
    )


def match_wait(run_id: ColumnElement[int]) -> ColumnElement[bool]:
    """Return the join condition of the XCom that makes a task instance a row of the page."""
    return and_(
        wait.dag_run_id == run_id, wait.task_id == ti.task_id, wait.map_index == ti.map_index, wait.key == WAIT_KEY
    )


def match_job() -> ColumnElement[bool]:
    """Return the join condition of the job handle."""
    return match_same_task(job, JOB_KEY)


def match_poll() -> ColumnElement[bool]:
    """Return the join condition of the summary of the polls."""
    return match_same_task(poll, POLL_KEY)


def read_optional(value: Any, name: str) -> Any:
    """Return a field of a JSON object as text; null if it isn't there or is JSON's null, which MySQL has as a text."""
    return func.nullif(TextField(value, name), "null")


def read_poll(name: str) -> Any:
    """Return a field of the summary of the polls as text, wherever it is; null as for :func:`read_optional`."""
    part = TextField(wait.value, PARTS[POLL_KEY], name)
    return func.nullif(case((poll.key.is_(None), part), else_=TextField(poll.value, name)), "null")


def has_poll() -> ColumnElement[bool]:
    """Return the condition that there is a summary of the polls, even if it can't be read."""
    part = TextField(wait.value, PARTS[POLL_KEY])
    return func.coalesce(case((poll.key.is_(None), part), else_=as_json_text(poll.value)), "null") != "null"
