"""The HTTP routes that list jobs: for the page, and as a file."""

from __future__ import annotations

import csv
import io
import time
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Response

from airflow_provider_asyncapi.plugins.database import JobFilter, ReadableDags, Session, count_by_state, find_jobs
from airflow_provider_asyncapi.plugins.job_models import Job, Jobs, JobsPageQuery, JobsQuery

router = APIRouter()
#: Maximum number of rows in a file.
MAX_ROWS: Final = 10_000
_COLUMNS: Final = tuple(name for name in Job.model_fields if name not in ("health", "delay"))
#: The first characters by which a spreadsheet takes a text for a formula, see
#: https://owasp.org/www-community/attacks/CSV_Injection.
_FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r", "\n")


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


@router.get("/jobs.csv", summary="List the remote jobs as a file", response_class=Response)
def export_jobs(query: Annotated[JobsQuery, Query()], readable: ReadableDags, session: Session) -> Response:
    """List the first 10,000 jobs that the same query of the list finds, as comma-separated values with a head."""
    wanted = JobFilter(readable=readable, now=time.time(), **query.model_dump(exclude={"order_by"}))
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow([*_COLUMNS, "health", "reasons", "delay"])
    for found in find_jobs(session, wanted, query.order_by, MAX_ROWS, 0):
        health, delay = found["health"], found["delay"]
        reasons = "; ".join(
            reason.message + (f" since {reason.since.isoformat()}" if reason.since else "") for reason in health.reasons
        )
        values = [*(found[name] for name in _COLUMNS), health.level, reasons, delay and delay.seconds]
        writer.writerow([_make_cell(value) for value in values])
    return Response(
        text.getvalue(),
        media_type="text/csv; charset=utf-8",
        headers={"Cache-Control": "no-store", "Content-Disposition": 'attachment; filename="async-api-jobs.csv"'},
    )


def _make_cell(value: Any) -> Any:
    """Return a value as a spreadsheet shows it: an API may have put a formula into a text."""
    if isinstance(value, datetime):
        return value.isoformat()
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA_STARTS) else value
