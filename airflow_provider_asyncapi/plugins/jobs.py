"""The jobs, as the page asks for them."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Annotated, Literal, TypeAlias

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from airflow_provider_asyncapi.core.wait.lateness import Reason
from airflow_provider_asyncapi.plugins.database import (
    ORDERS,
    Group,
    ReadableDags,
    Selection,
    Session,
    count_by_state,
    find,
)

router = APIRouter()
Order: TypeAlias = Literal[tuple(sign + name for name in ORDERS for sign in ("", "-"))]  # type: ignore[valid-type]


#: NUL is in no name, and Postgres refuses to look for it.
Name: TypeAlias = Annotated[str, StringConstraints(max_length=250, pattern=r"^[^\x00]*$")]


class JobsQuery(BaseModel):
    """Which jobs, in which order."""

    model_config = ConfigDict(extra="forbid")

    dag_id: Name | None = Field(None, description="Only those of this DAG.")
    run_id: Name | None = Field(None, description="Only those of runs with this id, whatever their age.")
    task_id: Name | None = Field(None, description="Only those that tasks with this id wait for.")
    map_index: int | None = Field(None, ge=-1, le=2**31 - 1, description="Only those with this map index.")
    group: Group | None = Field(None, description="Only those that are waited for, have failed, or are done.")
    search: Name | None = Field(
        None, max_length=200, description="Only those that hold this text: in DAG, run, task, connection or identifier."
    )
    hours: int = Field(24, ge=1, le=24 * 366, description="How old a run may be that is over, in hours.")
    order_by: Order = Field("-started_at", description="By what they are sorted; a minus turns it round.")
    limit: int = Field(50, ge=1, le=200, description="How many at most.")
    offset: int = Field(0, ge=0, le=10_000_000, description="How many to pass over.")


class PollDelay(BaseModel):
    """By how much polls are late."""

    model_config = ConfigDict(from_attributes=True)

    seconds: float
    reason: Reason = Field(description="What they have to wait for.")


class Job(BaseModel):
    """A remote job, and the task that waits for it."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int = Field(description="-1 where the task isn't mapped.")
    try_number: int
    state: str | None = Field(description="The state of the task in Airflow; null where it was cleared.")
    group: Group = Field(description="What that means: waiting, failed or done.")
    conn_id: str | None = Field(description="The connection that it waits with.")
    identifier: str | None = Field(description="The job's identifier at the API.")
    status: str | None = Field(description="The status that the API gave last.")
    progress: float | None = Field(description="How far the job is, from 0 to 1; null where the API doesn't say.")
    submitted_at: datetime | None = Field(description="When the job was submitted; null where another tool did.")
    started_at: datetime | None = Field(description="When the wait began.")
    ended_at: datetime | None = Field(description="When the task ended.")
    deadline: datetime | None = Field(description="When the wait ends at the latest.")
    next_poll: datetime | None = Field(description="About when the next poll is made, worked out from the interval.")
    delay: PollDelay | None = Field(description="By how much polls are late; none if they are on time.")
    error: str | None = Field(description="What went wrong with the last poll, or ended the wait.")
    url: str | None = Field(description="The job's page at the vendor.")


class Jobs(BaseModel):
    """A page of jobs."""

    jobs: list[Job]
    total: int = Field(description="How many there are in all, on this and other pages.")
    groups: dict[Group, int] = Field(description="How many there are of each group, whatever group is asked for.")
    now: datetime = Field(description="The server's time, from which those of the jobs count.")


@router.get("/jobs", summary="List the remote jobs that tasks wait for")
def list_jobs(
    query: Annotated[JobsQuery, Query()], readable: ReadableDags, session: Session, response: Response
) -> Jobs:
    """
    List the remote jobs of unfinished and recent runs, of the DAGs that the user may read.

    A job is here from the moment its sensor begins to wait for it; each sensor that waits for it has its own entry.
    """
    # What one user may see is kept by no cache on the way.
    response.headers["Cache-Control"] = "no-store"
    now = time.time()
    wanted = Selection(readable, now=now, **query.model_dump(exclude={"order_by", "limit", "offset"}))
    groups = count_by_state(session, wanted)
    total = sum(groups.values()) if query.group is None else groups[query.group]
    found = find(session, wanted, query.order_by, query.limit, query.offset) if total > query.offset else []
    return Jobs(
        jobs=[Job.model_validate(each) for each in found],
        total=total,
        groups=groups,
        now=datetime.fromtimestamp(now, UTC),
    )
