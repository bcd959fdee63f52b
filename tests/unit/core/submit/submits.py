"""Submits of a job, with scripted responses."""

from __future__ import annotations

from typing import Any

from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.submit.flow import submit
from airflow_provider_asyncapi.core.submit.plan import SubmitPlan
from airflow_provider_asyncapi.core.submit.submission import Submission
from tests.unit.core.flow_runner import FlowRunner, make_api, make_response

FIELDS = {"endpoint": "/jobs", "json": {"gstin": "x"}, "identifier": "data.id"}
NEW = Submission("key-1")
CREATED = make_response({"data": {"id": "job-7"}}, 201)


def run(runner: FlowRunner, **given: Any) -> JobHandle:
    plan = SubmitPlan.parse({**FIELDS, **given})
    handle = runner.run(submit(runner.api, plan, NEW))
    assert isinstance(handle, JobHandle)
    return handle


def submitted(*replies: Any, **given: Any) -> tuple[JobHandle, FlowRunner]:
    runner = FlowRunner(make_api(), *replies)
    return run(runner, **given), runner


SAYS_NO = [{"selector": "error", "exists": True, "outcome": "failure"}]


# Rules


def rule(outcome: str, **condition: Any) -> dict[str, Any]:
    return {"outcome": outcome, **condition}
