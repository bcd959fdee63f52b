"""The shapes of the page's requests and responses about jobs."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from airflow_provider_asyncapi.airflow_private.database import TaskInstanceState
from airflow_provider_asyncapi.core.http.delays import Reason
from airflow_provider_asyncapi.plugins.database import RISK
from airflow_provider_asyncapi.plugins.health import Health, Level
from airflow_provider_asyncapi.plugins.job_tables import ORDERS, Group, Kind

Order: TypeAlias = Literal[tuple(sign + name for name in (RISK, *ORDERS) for sign in ("", "-"))]  # type: ignore[valid-type]  # a computed Literal
State: TypeAlias = Literal[("none", *(str(each.value) for each in TaskInstanceState))]  # type: ignore[valid-type]  # a computed Literal
#: No name contains NUL, and Postgres refuses to search for it.
Name: TypeAlias = Annotated[str, StringConstraints(max_length=250, pattern=r"^[^\x00]*$")]


class JobsQuery(BaseModel):
    """Filter and order of a list of jobs."""

    model_config = ConfigDict(extra="forbid")

    dag_id: Name | None = Field(None, description="Only jobs of this DAG.")
    run_id: Name | None = Field(None, description="Only jobs of runs with this id, of any age.")
    task_id: Name | None = Field(None, description="Only jobs for which tasks with this id wait.")
    map_index: int | None = Field(None, ge=-1, le=2**31 - 1, description="Only jobs of tasks with this map index.")
    conn_id: Name | None = Field(None, description="Only jobs of this connection.")
    group: Group | None = Field(
        None, description="Only jobs that a task waits for, that have failed, or that are done."
    )
    state: list[State] = Field(
        [], max_length=20, description="Only jobs of tasks in one of these states; none is that of a cleared task."
    )
    health: list[Level] = Field([], max_length=3, description="Only jobs with one of these levels of health.")
    kind: Kind | None = Field(None, description="Only waits, or only submits that have failed.")
    search: Name | None = Field(
        None,
        max_length=200,
        description="Only jobs with this text in DAG, run, task, connection, identifier or error.",
    )
    hours: int = Field(24, ge=1, le=24 * 366, description="Maximum age of a finished run, in hours.")
    order_by: Order = Field(
        "-started_at",
        description="Column by which jobs are sorted; a minus reverses the order. risk sorts those first that somebody"
        " should look at.",
    )


class JobsPageQuery(JobsQuery):
    """Filter, order and page of a list of jobs."""

    limit: int = Field(50, ge=1, le=200, description="Maximum number of jobs.")
    offset: int = Field(0, ge=0, le=10_000_000, description="Number of jobs to skip.")


class PollDelay(BaseModel):
    """The delay of polls."""

    model_config = ConfigDict(from_attributes=True)

    seconds: float
    reason: Reason = Field(description="The cause of the delay.")


class Job(BaseModel):
    """A remote job, and the task that waits for it."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int = Field(description="-1 if the task isn't mapped.")
    try_number: int
    kind: Kind = Field(description="Whether the task waits for the job, or failed to submit it.")
    state: str | None = Field(description="The state of the task in Airflow; null if the task was cleared.")
    group: Group = Field(description="The group of this state: waiting, failed or done.")
    health: Health = Field(description="How the wait is doing; ok once it has ended.")
    conn_id: str | None = Field(description="The connection of the task.")
    identifier: str | None = Field(description="The job's identifier at the API.")
    status: str | None = Field(description="The latest status from the API.")
    progress: float | None = Field(
        description="The progress of the job, from 0 to 1; null if the API doesn't report it."
    )
    submitted_at: datetime | None = Field(description="Time of the submission; null if another tool submitted the job.")
    started_at: datetime | None = Field(description="Start of the wait.")
    ended_at: datetime | None = Field(description="End of the task.")
    duration: float | None = Field(
        description="Seconds from the submission, or the start of the wait, to the end or to now."
    )
    deadline: datetime | None = Field(description="Deadline of the wait; null if nobody has set one.")
    warned_at: datetime | None = Field(description="When the wait was found to take too long; null if it wasn't.")
    polls: int | None = Field(description="Approximate number of polls; null if it isn't known.")
    has_estimated_polls: bool = Field(description="Whether some of the polls are counted by the interval.")
    last_polled: datetime | None = Field(description="Approximate time of the last poll; null if it isn't known.")
    next_poll: datetime | None = Field(description="Approximate time of the next poll, calculated from the interval.")
    is_next_poll_latest: bool = Field(
        description="Whether the next poll may be earlier: after errors the pauses grow, and not each is known."
    )
    next_poll_reason: str | None = Field(description="What the time of the next poll follows from.")
    delay: PollDelay | None = Field(description="The delay of polls; null if they are on time.")
    error: str | None = Field(description="The error of the last poll, or the error that ended the wait.")
    attempt: int = Field(description="1 for the first job of the task, and one more after each job that has failed.")
    last_failure: str | None = Field(description="The message of the job that has failed before this one.")
    url: str | None = Field(description="The job's page at the vendor.")


class Jobs(BaseModel):
    """A page of jobs."""

    jobs: list[Job]
    total: int = Field(description="Number of jobs on all pages.")
    groups: dict[Group, int] = Field(description="Number of jobs in each group, whatever the requested group.")
    now: datetime = Field(description="The server's current time, to which the times of the jobs relate.")
