"""The HTTP route of the page's view of one job."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, HTTPException, Query, Response
from sqlalchemy import and_, or_, select

from airflow_provider_asyncapi.airflow_private.api_server import DagAccessEntity, GetUserDep
from airflow_provider_asyncapi.airflow_private.database import DagRun, XComModel
from airflow_provider_asyncapi.core.fetch.result_summary import summarize_manifest
from airflow_provider_asyncapi.core.json_values import as_number
from airflow_provider_asyncapi.core.text import shorten
from airflow_provider_asyncapi.core.wait.history import JobHistory
from airflow_provider_asyncapi.core.wait.summaries import parse_time
from airflow_provider_asyncapi.monitoring.xcoms import (
    ATTEMPTS_KEY,
    HISTORY_KEY,
    RESULT_KEY,
    RETURN_KEY,
    WAIT_KEY,
    choose_part,
)
from airflow_provider_asyncapi.plugins import database
from airflow_provider_asyncapi.plugins.details_models import (
    Attempt,
    DetailsQuery,
    JobDetails,
    LastResponse,
    Result,
    TimelineEntry,
)
from airflow_provider_asyncapi.plugins.job_models import Job
from airflow_provider_asyncapi.plugins.json_fields import TextField, as_json_text, as_text, load, to_datetime

router = APIRouter()
#: The maximum length of the body that is shown, and of other texts, in characters; and the number of files.
_MAX_BODY: Final = 4000
_MAX_TEXT: Final = 1000
_MAX_FILES: Final = 20
#: The ends of tasks that have a verb.
_ENDS: Final = {"success": "The task has succeeded", "failed": "The task has failed", "skipped": "The task was skipped"}


@router.get("/jobs/details", summary="Show one remote job")
def show_job(
    query: Annotated[DetailsQuery, Query()],
    readable: database.ReadableDags,
    user: GetUserDep,
    session: database.Session,
    response: Response,
) -> JobDetails:
    """
    Show all that is known about the job that a task waits for: its timeline, its last response, its result.

    There is no difference between a job that doesn't exist and one of a DAG that the user may not read.
    """
    response.headers["Cache-Control"] = "no-store"
    now = time.time()
    wanted = database.JobFilter(readable=readable, now=now, hours=1, **query.model_dump())
    found = database.find_jobs(session, wanted, "dag_id", 1, 0)
    if not found:
        raise HTTPException(404, "There is no such job, or you may not read its DAG")
    job = Job.model_validate(found[0])
    xcoms = _read_xcoms(session, query)
    history = JobHistory.parse(choose_part(HISTORY_KEY, xcoms.get(HISTORY_KEY), xcoms.get(WAIT_KEY)))
    attempts = _list_attempts(xcoms.get(ATTEMPTS_KEY))
    result = _describe_result(xcoms.get(RETURN_KEY)) or _describe_result(_find_result(session, job))
    timeline = sorted(_make_timeline(job, history, attempts, result), key=lambda entry: entry.at)
    may_read = bool(database.find_permitted_dags(session, user, {job.dag_id}, DagAccessEntity.XCOM, "GET"))
    return JobDetails(
        job=job,
        timeline=timeline,
        left_out=history.left_out,
        last_response=_describe_response(history.last_response) if may_read else None,
        result=result,
        now=datetime.fromtimestamp(now, UTC),
    )


def _read_xcoms(session: database.Session, query: DetailsQuery) -> dict[str, Any]:
    """Return the XComs of a task that only this view shows, each None if it can't be read."""
    statement = (
        select(XComModel.key, as_json_text(XComModel.value), XComModel.timestamp)
        .join(DagRun, DagRun.id == XComModel.dag_run_id)
        .where(
            DagRun.dag_id == query.dag_id,
            DagRun.run_id == query.run_id,
            XComModel.task_id == query.task_id,
            XComModel.map_index == query.map_index,
            or_(
                XComModel.key.in_((HISTORY_KEY, WAIT_KEY, ATTEMPTS_KEY)),
                # A manifest, and not a result, which may be large.
                and_(XComModel.key == RETURN_KEY, TextField(XComModel.value, "sha256").is_not(None)),
            ),
        )
    )
    found = {key: (load(text), moment) for key, text, moment in session.execute(statement)}
    manifest, at = found.get(RETURN_KEY, (None, None))
    is_manifest = isinstance(manifest, Mapping) and {"paths", "bytes", "sha256"} <= manifest.keys()
    result = summarize_manifest(manifest, at.timestamp()) if is_manifest and at is not None else None
    return {**{key: value for key, (value, _) in found.items()}, RETURN_KEY: result}


def _find_result(session: database.Session, job: Job) -> Any:
    """Return the size of the result that another task of the run has fetched; None if none has."""
    if job.identifier is None:
        return None
    statement = (
        select(as_json_text(XComModel.value))
        .join(DagRun, DagRun.id == XComModel.dag_run_id)
        .where(
            DagRun.dag_id == job.dag_id,
            DagRun.run_id == job.run_id,
            XComModel.key == RESULT_KEY,
            TextField(XComModel.value, "identifier") == job.identifier,
        )
        .order_by(XComModel.timestamp.desc())
        .limit(1)
    )
    return load(session.scalar(statement))


def _make_timeline(
    job: Job, history: JobHistory, attempts: list[Attempt], result: Result | None
) -> Iterator[TimelineEntry]:
    for number, attempt in enumerate(attempts, 1):
        begun = "resubmitted" if number > 1 else "submitted"
        yield from _at(
            attempt.submitted_at, "repaired" if attempt.how == "repair" else begun, _name(attempt.identifier)
        )
        yield from _at(attempt.ended_at, "failed", attempt.message or "", status=attempt.status)
    begun = "resubmitted" if attempts else "submitted"
    if job.kind == "wait":
        yield from _at(job.submitted_at, begun, _name(job.identifier))
        yield from _at(job.started_at, "waiting", f"Task {job.task_id} waits for the job")
    for entry in history.entries:
        yield from _at(
            to_datetime(entry.at), str(entry.kind), entry.message, status=entry.status, progress=entry.progress
        )
    yield from _at(job.warned_at, "late_wait", _describe_late_wait(job))
    if result is not None:
        yield from _at(result.at, "fetched", _summarize(result))
    if job.group == "waiting":
        return
    error = job.error if job.group == "failed" and job.error else ""
    end = _ENDS.get(job.state or "", f"The task has ended in state {job.state}")
    yield from _at(job.ended_at, "ended", f"{end}{': ' if error else ''}{error}", status=job.status)


def _at(moment: datetime | None, kind: str, message: str, **more: Any) -> Iterator[TimelineEntry]:
    if moment is not None:
        yield TimelineEntry(at=moment, kind=kind, message=message, **more)  # type: ignore[arg-type]  # pydantic checks it


def _describe_late_wait(job: Job) -> str:
    """Return how long a wait had taken when it was found to be late, which is warn_after or little more."""
    if job.warned_at is None or job.started_at is None or job.warned_at < job.started_at:
        return "The wait takes longer than warn_after"
    return f"The wait has taken {(job.warned_at - job.started_at).total_seconds():.0f} s, longer than warn_after"


def _name(identifier: str | None) -> str:
    return "" if identifier is None else f"Job {shorten(identifier, 200)}"


def _summarize(result: Result) -> str:
    parts = {"rows": result.rows, "bytes": result.bytes, "files": result.file_count or None}
    return ", ".join(f"{number} {unit}" for unit, number in parts.items() if number is not None)


def _describe_response(stored: Mapping[str, Any] | None) -> LastResponse | None:
    if stored is None or not isinstance(stored.get("text"), str):
        return None
    code = as_number(stored.get("status_code"))
    return LastResponse(
        at=to_datetime(parse_time(stored.get("at"))),
        request=_to_text(stored.get("request")),
        status_code=None if code is None or not 0 <= code < 1000 else int(code),  # noqa: PLR2004 - three digits
        content_type=_to_text(stored.get("content_type")),
        text=(as_text(stored["text"]) or "")[:_MAX_BODY],
    )


def _list_attempts(stored: Any) -> list[Attempt]:
    given = [each for each in stored if isinstance(each, Mapping)] if isinstance(stored, list) else []
    return [
        Attempt(
            identifier=_to_text(each.get("identifier")),
            status=_to_text(each.get("status")),
            message=_to_text(each.get("message")),
            submitted_at=to_datetime(as_number(each.get("submitted_at"))),
            ended_at=to_datetime(as_number(each.get("ended_at"))),
            how="repair" if each.get("how") == "repair" else "submit",
        )
        for each in given[:100]
    ]


def _describe_result(stored: Any) -> Result | None:
    if not isinstance(stored, Mapping):
        return None
    files = stored.get("files")
    names = [text for each in files if (text := _to_text(each))] if isinstance(files, list) else []
    return Result(
        at=to_datetime(parse_time(stored.get("at"))),
        rows=_to_count(stored.get("rows")),
        bytes=_to_count(stored.get("bytes")),
        files=names[:_MAX_FILES],
        file_count=_to_count(stored.get("file_count")) or len(names),
    )


def _to_text(value: Any) -> str | None:
    text = as_text(value)
    return None if text is None else text[:_MAX_TEXT]


def _to_count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63 else None
