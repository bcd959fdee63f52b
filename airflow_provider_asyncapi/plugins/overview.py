"""The HTTP route of the page's overview: how the jobs of each connection are doing."""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Final

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import func, select

from airflow_provider_asyncapi.core.json_values import as_number
from airflow_provider_asyncapi.core.wait.summaries import parse_time
from airflow_provider_asyncapi.plugins.database import JobFilter, ReadableDags, Session
from airflow_provider_asyncapi.plugins.health import HealthConditions
from airflow_provider_asyncapi.plugins.job_models import Name
from airflow_provider_asyncapi.plugins.job_rows import find_group
from airflow_provider_asyncapi.plugins.job_tables import ORDERS, POLLING, read_poll, ti, wait
from airflow_provider_asyncapi.plugins.json_fields import Selected, TextField, as_text, to_datetime

if TYPE_CHECKING:
    from collections.abc import Iterable

router = APIRouter()
#: Number of the latest jobs of each connection of which the median duration is taken.
_SAMPLE: Final = 100
#: Maximum number of waits with rate limits that are added up, and of connections that are listed.
_MAX_LIMITED, _MAX_CONNECTIONS = 10_000, 200


class OverviewQuery(BaseModel):
    """The jobs that the overview is about."""

    model_config = ConfigDict(extra="forbid")

    dag_id: Name | None = Field(None, description="Only jobs of this DAG.")
    hours: int = Field(24, ge=1, le=24 * 366, description="Maximum age of a finished run, in hours.")


class ConnectionOverview(BaseModel):
    """How the jobs of a connection are doing."""

    conn_id: str | None = Field(description="The connection; null for XComs that can't be read.")
    waiting: int = Field(description="Number of jobs that tasks wait for.")
    at_risk: int = Field(description="Number of these that somebody should look at.")
    failed: int = Field(description="Number of jobs whose task has failed.")
    done: int = Field(description="Number of jobs whose task has ended otherwise.")
    error_rate: float | None = Field(
        description="The fraction of ended tasks that have failed, from 0 to 1; null if none has ended."
    )
    rate_limited: int = Field(
        description="Number of polls answered 429, as far as the last process of each wait has seen them. Equal answers"
        " in a row count as one until a poll is answered otherwise."
    )
    rate_limited_since: datetime | None = Field(description="Time of the first of these polls; null if there is none.")
    rate_limited_until: datetime | None = Field(
        description="Time of the last of these polls, which is now if the last poll of a job was answered 429."
    )
    last_success: datetime | None = Field(description="When a task last succeeded; null if none has.")
    median_duration: float | None = Field(
        description="Median of the seconds that the latest 100 successful waits took; null if there is none."
    )


class Overview(BaseModel):
    """How the jobs of all connections are doing."""

    connections: list[ConnectionOverview] = Field(description="The connections, those with jobs at risk first.")
    now: datetime = Field(description="The server's current time.")


@dataclass(slots=True)
class _Totals:
    waiting: int = 0
    at_risk: int = 0
    failed: int = 0
    done: int = 0
    rate_limited: int = 0
    rate_limited_since: float | None = None
    rate_limited_until: float | None = None
    last_success: datetime | None = None
    durations: list[float] = field(default_factory=list)


@router.get("/connections", summary="Show how the jobs of each connection are doing")
def show_overview(
    query: Annotated[OverviewQuery, Query()], readable: ReadableDags, session: Session, response: Response
) -> Overview:
    """Add up the jobs of unfinished and recent runs of the DAGs that the user may read, by connection."""
    response.headers["Cache-Control"] = "no-store"
    now = time.time()
    wanted = JobFilter(readable=readable, now=now, **query.model_dump())
    totals: defaultdict[str | None, _Totals] = defaultdict(_Totals)
    _add_counts(session, wanted, totals)
    _add_durations(session, wanted, totals)
    _add_rate_limits(session, wanted, totals)
    found = [_describe_connection(conn_id, each) for conn_id, each in totals.items()]
    found.sort(key=lambda each: (-each.at_risk, -each.waiting, each.conn_id or ""))
    return Overview(connections=found[:_MAX_CONNECTIONS], now=datetime.fromtimestamp(now, UTC))


def _add_counts(session: Session, wanted: JobFilter, totals: defaultdict[str | None, _Totals]) -> None:
    conn_id, level = ORDERS["conn_id"], HealthConditions(wanted.now).level
    columns = (Selected(conn_id).label("conn_id"), ti.state, level.label("level"), func.count().label("jobs"))
    statement = wanted.select(*columns, func.max(ti.end_date).label("last"), with_health=True)
    for row in session.execute(statement.group_by(conn_id, ti.state, level)):
        total, group = totals[as_text(row.conn_id)], find_group(row.state)
        setattr(total, group, getattr(total, group) + row.jobs)
        if group == "waiting" and row.level != "ok":
            total.at_risk += row.jobs
        if row.state == "success":
            total.last_success = row.last


def _add_durations(session: Session, wanted: JobFilter, totals: defaultdict[str | None, _Totals]) -> None:
    """Add the durations of the latest successful waits of each connection."""
    conn_id = ORDERS["conn_id"]
    rank = func.row_number().over(partition_by=conn_id, order_by=ti.end_date.desc())
    started = TextField(wait.value, "started_at")
    columns = (
        Selected(conn_id).label("conn_id"),
        Selected(started).label("started_at"),
        ti.end_date,
        rank.label("rank"),
    )
    ranked = wanted.select(*columns).where(ti.state == "success", ti.end_date.is_not(None)).subquery()
    for row in session.execute(select(ranked).where(ranked.c.rank <= _SAMPLE)):
        began = parse_time(as_text(row.started_at))
        if began is not None and row.end_date.timestamp() >= began:
            totals[as_text(row.conn_id)].durations.append(row.end_date.timestamp() - began)


def _add_rate_limits(session: Session, wanted: JobFilter, totals: defaultdict[str | None, _Totals]) -> None:
    # Added up here: a database fails a whole query if one of the values isn't a number.
    number = read_poll("rate_limited")
    columns = (
        Selected(ORDERS["conn_id"]).label("conn_id"),
        ti.state,
        Selected(number).label("number"),
        *(Selected(read_poll(name)).label(name) for name in ("at", "rate_limited_since", "rate_limited_until")),
    )
    limited = wanted.select(*columns, with_health=True).where(number.is_not(None)).limit(_MAX_LIMITED)
    for row in session.execute(limited):
        count = as_number(as_text(row.number))
        since, until = parse_time(as_text(row.rate_limited_since)), parse_time(as_text(row.rate_limited_until))
        if count is None or since is None or until is None or not 0 < count < 1e9:  # noqa: PLR2004 - more polls than a wait can have
            continue
        total = totals[as_text(row.conn_id)]
        total.rate_limited += int(count)
        total.rate_limited_since = min(since, since if total.rate_limited_since is None else total.rate_limited_since)
        # Equal errors are published once: the polls since then have been answered 429, too.
        if row.state in POLLING and row.rate_limited_until == row.at:
            until = wanted.now
        total.rate_limited_until = max(until, total.rate_limited_until or until)


def _describe_connection(conn_id: str | None, total: _Totals) -> ConnectionOverview:
    ended = total.failed + total.done
    return ConnectionOverview(
        conn_id=conn_id,
        waiting=total.waiting,
        at_risk=total.at_risk,
        failed=total.failed,
        done=total.done,
        error_rate=total.failed / ended if ended else None,
        rate_limited=total.rate_limited,
        rate_limited_since=to_datetime(total.rate_limited_since),
        rate_limited_until=to_datetime(total.rate_limited_until),
        last_success=total.last_success,
        median_duration=_find_median(total.durations),
    )


def _find_median(durations: Iterable[float]) -> float | None:
    known = list(durations)
    return round(statistics.median(known), 3) if known else None
