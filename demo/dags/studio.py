"""Jobs to look at in Airflow's UI: some take minutes, some are slow, and some behave badly."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG

from airflow_provider_asyncapi.job import async_api_job
from airflow_provider_asyncapi.operators.job import AsyncApiJobOperator

STATUS: dict[str, Any] = {
    "endpoint": "/studio/renders/{identifier}",
    "completion_key": "render.state",
    "completion_value": "FINISHED",
    "running_value": ["QUEUED", "RENDERING"],
    "failure_value": ["FAILED", "CANCELLED"],
    "error_message": "render.error.message",
    "progress": "render.percent",
    "poke_interval": 10,
    "timeout": timedelta(hours=2),
    "cancel": {"method": "DELETE", "endpoint": "/studio/renders/{identifier}"},
}
FETCH = {"endpoint": "/studio/renders/{identifier}/film"}


def submit(title: str, minutes: float, behaviour: str = "steady") -> dict[str, Any]:
    """Describe the submit of a job that takes some minutes and behaves in one of the server's ways."""
    return {
        "endpoint": "/studio/renders",
        "json": {"title": title, "minutes": minutes, "behaviour": behaviour},
        "identifier": "render.id",
        "capture": {"page": "render.page"},
    }


def render(
    task_id: str, minutes: float, behaviour: str = "steady", conn_id: str = "studio", **status: Any
) -> AsyncApiJobOperator:
    """Make a task for one job; ``status`` has what it has of its own."""
    return AsyncApiJobOperator(
        task_id=task_id,
        asyncapi_conn_id=conn_id,
        submit=submit(task_id.replace("_", " "), minutes, behaviour),
        status={**STATUS, **status},
        fetch=FETCH,
        job_url="{page}",
        fetch_in_trigger=True,
        deferrable=True,
    )


with DAG(
    "studio_trailers",
    schedule="*/5 * * * *",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    max_active_runs=2,
    tags=["asyncapi", "scheduled"],
    doc_md="""A studio renders trailers: every five minutes jobs that take minutes, one that fails, one by an API that
    limits the rate of requests, and one by an API with errors.""",
) as trailers:
    render("teaser", 1)
    render("trailer", 3)
    render("long_trailer", 4.5)
    render("disk_is_full", 1.5, "fails")
    render("rate_is_limited", 3, "busy", conn_id="studio_busy")
    render("server_errors", 3, "unwell")

with DAG(
    "studio_films",
    schedule="*/30 * * * *",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    max_active_runs=1,
    tags=["asyncapi", "scheduled"],
    doc_md="""A studio renders films: slow jobs, jobs that make no progress or have no time left, and jobs whose status
    isn't as documented.""",
) as films:
    async_api_job(
        "feature_film",
        asyncapi_conn_id="studio",
        submit={**submit("feature film", 25), "job_url": "{page}"},
        status={**STATUS, "job_url": "{page}", "deferrable": True},
        fetch=FETCH,
    )
    render("slow_film", 28, warn_after=timedelta(minutes=2))
    render("stalls", 10, "stalls", timeout=timedelta(minutes=28))
    render("stalls_and_is_cancelled", 5, "stalls", stall_timeout=timedelta(minutes=4))
    render("is_cancelled_at_its_deadline", 28, timeout=timedelta(minutes=6))
    render("status_in_another_field", 28, "moved", timeout=timedelta(minutes=28), running_value=None)
    # With values of running jobs, a status that none of the values lists would fail the job.
    render("status_is_an_unknown_word", 20, "odd", running_value=None)
    render("is_refused", 0)
