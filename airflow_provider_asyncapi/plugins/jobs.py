"""The HTTP route that lists jobs for the page."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query, Response

from airflow_provider_asyncapi.plugins.database import JobFilter, ReadableDags, Session, count_by_state, find_jobs
from airflow_provider_asyncapi.plugins.job_models import Job, Jobs, JobsPageQuery

router = APIRouter()


@router.get("/jobs", summary="List the remote jobs that tasks wait for")
def list_jobs(
    query: Annotated[JobsPageQuery, Query()], readable: ReadableDags, session: Session, response: Response
) -> Jobs:
    """
    List the remote jobs of unfinished and recent runs of the DAGs that the user may read.

    A job is listed once its sensor has begun to wait for it; each sensor that waits for it has its own entry. A submit
    that failed is listed too.
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
