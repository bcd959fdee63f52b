"""The HTTP route that lists jobs for the page."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Annotated, Literal, TypeAlias

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from airflow_provider_asyncapi.core.http.delays import Reason
from airflow_provider_asyncapi.plugins.database import (
    ORDERS,
    Group,
    JobFilter,
    ReadableDags,
    Session,
    count_by_state,
    find_jobs,
)

router = APIRouter()
Order: TypeAlias = Literal[tuple(sign + name for name in ORDERS for sign in ("", "-"))]  # type: ignore[valid-type]  # a computed Literal


#: No name contains NUL, and Postgres refuses to search for it.
Name: TypeAlias = Annotated[str, StringConstraints(max_length=250, pattern=r"^[^\x00]*$")]


class JobsQuery(BaseModel):
    """Filter, order and page of a list of jobs."""

    model_config = ConfigDict(extra="forbid")

    dag_id: Name | None = Field(None, description="Only jobs of this DAG.")
    run_id: Name | None = Field(None, description="Only jobs of runs with this id, of any age.")
    task_id: Name | None = Field(None, description="Only jobs for which tasks with this id wait.")
    map_index: int | None = Field(None, ge=-1, le=2**31 - 1, description="Only jobs of tasks with this map index.")
    group: Group | None = Field(
        None, description="Only jobs that a task waits for, that have failed, or that are done."
    )
    search: Name | None = Field(
        None, max_length=200, description="Only jobs with this text in DAG, run, task, connection or identifier."
    )
    hours: int = Field(24, ge=1, le=24 * 366, description="Maximum age of a finished run, in hours.")
    order_by: Order = Field("-started_at", description="Column by which jobs are sorted; a minus reverses the order.")
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
    state: str | None = Field(description="The state of the task in Airflow; null if the task was cleared.")
    group: Group = Field(description="The group of this state: waiting, failed or done.")
    conn_id: str | None = Field(description="The connection of the task.")
    identifier: str | None = Field(description="The job's identifier at the API.")
    status: str | None = Field(description="The latest status from the API.")
    progress: float | None = Field(
        description="The progress of the job, from 0 to 1; null if the API doesn't report it."
    )
    submitted_at: datetime | None = Field(description="Time of the submission; null if another tool submitted the job.")
    started_at: datetime | None = Field(description="Start of the wait.")
    ended_at: datetime | None = Field(description="End of the task.")
    deadline: datetime | None = Field(description="Deadline of the wait.")
    warned_at: datetime | None = Field(description="When the wait was found to take too long; null if it wasn't.")
    next_poll: datetime | None = Field(description="Approximate time of the next poll, calculated from the interval.")
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


@router.get("/jobs", summary="List the remote jobs that tasks wait for")
def list_jobs(
    query: Annotated[JobsQuery, Query()], readable: ReadableDags, session: Session, response: Response
) -> Jobs:
    """
    List the remote jobs of unfinished and recent runs of the DAGs that the user may read.

    A job is listed once its sensor has begun to wait for it; each sensor that waits for it has its own entry.
    """
    # No cache may store what one user may see.
    response.headers["Cache-Control"] = "no-store"
    now = time.time()
    wanted = JobFilter(readable=readable, now=now, **query.model_dump(exclude={"order_by", "limit", "offset"}))
    groups = count_by_state(session, wanted)
    total = sum(groups.values()) if query.group is None else groups[query.group]
    found = find_jobs(session, wanted, query.order_by, query.limit, query.offset) if total > query.offset else []
    return Jobs(
        jobs=[Job.model_validate(each) for each in found],
        total=total,
        groups=groups,
        now=datetime.fromtimestamp(now, UTC),
    )
