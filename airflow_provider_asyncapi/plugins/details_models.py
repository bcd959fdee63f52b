"""The shape of the page's view of one job."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from airflow_provider_asyncapi.plugins.job_models import Job, Name


class DetailsQuery(BaseModel):
    """The task that waits for the job."""

    model_config = ConfigDict(extra="forbid")

    dag_id: Name = Field(description="The DAG.")
    run_id: Name = Field(description="The run.")
    task_id: Name = Field(description="The task that waits for the job.")
    map_index: int = Field(-1, ge=-1, le=2**31 - 1, description="The map index; -1 if the task isn't mapped.")


class TimelineEntry(BaseModel):
    """Something that has happened to a job, or to the wait for it."""

    at: datetime = Field(description="Its time.")
    kind: Literal[
        "submitted",
        "waiting",
        "status",
        "status_missing",
        "unknown_status",
        "error",
        "recovered",
        "callback",
        "late_wait",
        "cancelled",
        "deadline",
        "stalled",
        "failed",
        "resubmitted",
        "repaired",
        "fetched",
        "ended",
    ] = Field(description="What has happened.")
    message: str = Field(description="A sentence for people; empty if the kind and the status say all.")
    status: str | None = Field(None, description="The status of the job at that time.")
    progress: float | None = Field(None, description="The progress of the job at that time, from 0 to 1.")


class LastResponse(BaseModel):
    """The last response of the API that has found something new, masked and cut."""

    at: datetime | None = Field(description="Its time.")
    request: str | None = Field(description="The request, without its query.")
    status_code: int | None = Field(description="The status code of the response.")
    content_type: str | None = Field(description="The media type of the body.")
    text: str = Field(description="The beginning of the body, without secrets.")


class Attempt(BaseModel):
    """An earlier job of the task, which has failed."""

    identifier: str | None = Field(description="The identifier of the job.")
    status: str | None = Field(description="Its last status.")
    message: str | None = Field(description="Why it has failed.")
    submitted_at: datetime | None = Field(description="Time of its submission.")
    ended_at: datetime | None = Field(description="When its failure was found.")
    how: Literal["submit", "repair"] = Field(description="How the job was begun.")


class Result(BaseModel):
    """What was fetched."""

    at: datetime | None = Field(description="When it was fetched.")
    rows: int | None = Field(description="Number of rows; null if the result has none.")
    bytes: int | None = Field(description="Size of the files; null without files.")
    files: list[str] = Field(description="The first files.")
    file_count: int = Field(description="Number of all files.")


class JobDetails(BaseModel):
    """All that is known about one job."""

    job: Job
    timeline: list[TimelineEntry] = Field(description="What has happened, the oldest first.")
    left_out: int = Field(description="Number of entries of the timeline that weren't kept.")
    last_response: LastResponse | None = Field(
        description="The last response that has found something new; null if there is none, or the user may not read"
        " the XComs of this DAG."
    )
    result: Result | None = Field(description="What was fetched; null if nothing was.")
    now: datetime = Field(description="The server's current time.")
