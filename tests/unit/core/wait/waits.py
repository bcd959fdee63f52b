"""Waits for a job, with scripted responses."""

from __future__ import annotations

from typing import Any

from airflow_provider_asyncapi.core.effects import Flow, PollBatch, PollUntilChanged
from airflow_provider_asyncapi.core.errors import (
    AsyncApiError,
)
from airflow_provider_asyncapi.core.flow_steps import FlowSteps
from airflow_provider_asyncapi.core.http.messages import Response
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.wait.batch_rounds import BatchRounds
from airflow_provider_asyncapi.core.wait.checkpoint import WaitCheckpoint
from airflow_provider_asyncapi.core.wait.flow import wait
from airflow_provider_asyncapi.core.wait.plan import WaitPlan
from tests.unit.core.flow_runner import (
    START,
    FlowRunner,
    make_api,
    make_response,
    plan_fields,
)
from tests.unit.core.wait.batch_waiter import Waiter

JOB = JobHandle("7", submitted_at=START)
RUNNING, DONE = make_response({"status": "running"}), make_response({"status": "done"})
CANCEL: dict[str, Any] = {"cancel": {"endpoint": "/jobs/{identifier}", "method": "DELETE"}}


def state(handle: JobHandle = JOB, **given: Any) -> WaitCheckpoint:
    return WaitCheckpoint(handle, START, **given)


def run(runner: FlowRunner, at: WaitCheckpoint | None = None, **given: Any) -> JobHandle:
    handle = runner.run(wait(runner.api, WaitPlan.parse(plan_fields(**given)), at or state()))
    assert isinstance(handle, JobHandle)
    return handle


def waited(*replies: Any, at: WaitCheckpoint | None = None, **given: Any) -> tuple[JobHandle, FlowRunner]:
    runner = FlowRunner(make_api(), *replies)
    return run(runner, at, **given), runner


# In a batch

BATCH = {"endpoint": "/jobs", "query_params": {"ids": "{identifiers}"}, "items": "jobs[*]", "id": "id"}


def among(**item: Any) -> Response:
    return make_response({"jobs": [{"id": 7, **item}, {"id": "8", "status": "failed"}]})


class Resumed(FlowRunner):
    """Hands each response to the flow, even if it is unchanged."""

    def run(self, flow: Flow[Any]) -> Any:
        with FlowSteps(flow) as steps:
            for effect in steps:
                try:
                    steps.reply = self.perform(effect.send if isinstance(effect, PollUntilChanged) else effect)
                except AsyncApiError as error:
                    steps.error = error
        return steps.result


class InRounds(FlowRunner):
    """Polls in the rounds of a batch, as the driver of the triggerer does."""

    def perform(self, effect: Any) -> Any:
        if not isinstance(effect, PollBatch):
            return super().perform(effect)
        rounds, waiter = BatchRounds(self.api, effect.batch, effect.interval), Waiter(effect, self.polls.append)
        rounds.join(waiter)
        with FlowSteps(rounds.poll_in_rounds()) as steps:
            while not waiter.is_gone:
                steps.reply = self.perform(next(steps))
        return waiter.outcome()


def played(runner: FlowRunner, at: WaitCheckpoint | None = None, **given: Any) -> tuple[Any, Any]:
    """Run a wait; give what came of it, and the runner."""
    try:
        return run(runner, at, **given), runner
    except AsyncApiError as error:
        return error, runner


def passing(*replies: Any, at: WaitCheckpoint | None = None, **given: Any) -> tuple[Any, Any]:
    """Run a wait among others whose driver asks again by itself as long as it may."""
    return played(InRounds(make_api(), *replies), at, batch=BATCH, **given)
