"""The HTTP route that lists jobs as a file, for spreadsheets."""

from __future__ import annotations

import csv
import io
import re
import time
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal, TypeAlias

from fastapi import APIRouter, Query, Response
from pydantic import Field

from airflow_provider_asyncapi.plugins.database import JobFilter, ReadableDags, Session, find_jobs
from airflow_provider_asyncapi.plugins.job_models import Job, JobsQuery

router = APIRouter()
#: Maximum number of rows in a file.
MAX_ROWS: Final = 10_000
_OTHER_COLUMNS: Final = ("health", "reasons", "delay")
_COLUMNS: Final = (*(name for name in Job.model_fields if name not in _OTHER_COLUMNS), *_OTHER_COLUMNS)
ColumnName: TypeAlias = Literal[_COLUMNS]  # type: ignore[valid-type]  # a computed Literal
#: The first characters by which a spreadsheet takes a text for a formula, see
#: https://owasp.org/www-community/attacks/CSV_Injection.
_FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r", "\n")
#: The filters that the name of a file contains, in this order, and the most characters of each that it does.
_NAMED_FILTERS: Final = ("dag_id", "run_id", "task_id", "conn_id", "kind", "group", "state", "health", "search")
_MAX_NAME: Final = 40


class JobsFileQuery(JobsQuery):
    """Filter, order and columns of a file of jobs."""

    column: list[ColumnName] = Field(
        [], max_length=len(_COLUMNS), description="The columns of the file, in this order; without any, all columns."
    )


@router.get("/jobs.csv", summary="List the remote jobs as a file", response_class=Response)
def export_jobs(query: Annotated[JobsFileQuery, Query()], readable: ReadableDags, session: Session) -> Response:
    """
    List the first 10,000 jobs that the same query of the list finds, as comma-separated values with a head.

    The name of the file contains the filters and the time, in UTC.
    """
    now = time.time()
    columns = list(dict.fromkeys(query.column)) or _COLUMNS
    wanted = JobFilter(readable=readable, now=now, **query.model_dump(exclude={"order_by", "column"}))
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(columns)
    for found in find_jobs(session, wanted, query.order_by, MAX_ROWS, 0):
        health, delay = found["health"], found["delay"]
        reasons = "; ".join(
            reason.message + (f" since {reason.since.isoformat()}" if reason.since else "") for reason in health.reasons
        )
        row = {**found, "health": health.level, "reasons": reasons, "delay": delay and delay.seconds}
        writer.writerow([_make_cell(row[name]) for name in columns])
    return Response(
        text.getvalue(),
        media_type="text/csv; charset=utf-8",
        headers={
            "Cache-Control": "no-store",
            "Content-Disposition": f'attachment; filename="{_name_file(query, now)}"',
        },
    )


def _name_file(query: JobsQuery, now: float) -> str:
    """Return a name that every file system takes, such as ``async-api-jobs-vendor-failed-20260131T1905Z.csv``."""
    filters = []
    for name in _NAMED_FILTERS:
        value = getattr(query, name)
        text = "-".join(value) if isinstance(value, list) else str(value or "")
        filters.append(re.sub(r"[^A-Za-z0-9_.]+", "-", text)[:_MAX_NAME].strip("-."))
    moment = f"{datetime.fromtimestamp(now, UTC):%Y%m%dT%H%MZ}"
    return "-".join(["async-api-jobs", *(each for each in filters if each), moment]) + ".csv"


def _make_cell(value: Any) -> Any:
    """Return a value as a spreadsheet shows it: an API may have put a formula into a text."""
    if isinstance(value, datetime):
        return value.isoformat()
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA_STARTS) else value
