"""The tries of a task that submits a job, with scripted responses."""

from __future__ import annotations

import json
from typing import Any

from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.submit.flow import submit
from airflow_provider_asyncapi.core.submit.plan import SubmitPlan
from airflow_provider_asyncapi.core.submit.submission import Submission
from tests.unit.core.flow_runner import FlowRunner, make_api, make_response

FIELDS: dict[str, Any] = {"endpoint": "/jobs", "json": {"gstin": "x"}, "identifier": "id", "max_consecutive_errors": 3}
KEYED = {**FIELDS, "headers": {"Idempotency-Key": "{idempotency_key}"}}
LOOKED_UP: dict[str, Any] = {
    **FIELDS,
    "lookup": {"endpoint": "/jobs", "query_params": {"key": "{idempotency_key}"}, "identifier": "jobs[0].id"},
}
NEW = Submission("key-1", generation=3)
CREATED = make_response({"id": "j-1"}, 201)


class KilledError(Exception):
    """The process ends here."""


def killed(_: Any) -> Any:
    raise KilledError


class Tries:
    """Several tries of one task: each begins with what the last one kept, as JSON."""

    def __init__(self, fields: dict[str, Any], *, generation: int = 3, **connection: Any) -> None:
        self.fields = fields
        self.connection = connection
        self.generation = generation
        self.stored: str | None = None
        self.scripts: list[FlowRunner] = []

    def run(self, *replies: Any, **fields: Any) -> JobHandle:
        runner = self.make_runner(*replies)
        self.scripts.append(runner)
        kept = None if self.stored is None else Submission.parse(json.loads(self.stored))
        plan = SubmitPlan.parse({**self.fields, **fields})
        try:
            handle = runner.run(submit(runner.api, plan, Submission("key-1", self.generation), kept))
            assert isinstance(handle, JobHandle)
            return handle
        finally:
            if runner.kept:
                self.stored = json.dumps(runner.kept[-1].dump())

    def make_runner(self, *replies: Any) -> FlowRunner:
        return FlowRunner(make_api(**self.connection), *replies)

    @property
    def paths(self) -> list[str]:
        return [path for runner in self.scripts for path in runner.paths]

    @property
    def log_text(self) -> str:
        return self.scripts[-1].log_text


CANCEL = {"on_changed_request": "cancel", "cancel": {"endpoint": "/jobs/{identifier}/cancel"}}


def stored(runner: FlowRunner) -> Submission:
    submission = Submission.parse(json.loads(json.dumps(runner.kept[-1].dump())))
    assert submission is not None
    return submission
