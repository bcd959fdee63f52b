"""An operator and a trigger as somebody else writes them: the hook does a job in the triggerer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from airflow.sdk import BaseOperator
from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_asyncapi.hooks.asyncapi import AsyncApiHook


class JobTrigger(BaseTrigger):
    """Do a job from its submission to its result."""

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return f"{__name__}.{type(self).__name__}", {}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        async with AsyncApiHook("in_database", profile="http_202") as hook:
            job = await hook.asubmit_job(endpoint="/standard/jobs", json={"outcome": "ok"})
            # The task's own process has to end first.
            job = await hook.await_for_job(job, initial_delay=7, poke_interval=1, timeout=60)
            rows = await hook.afetch_result(job)
        yield TriggerEvent({"status": "success", "message": f"Job {job.identifier}", "rows": len(rows)})


class JobOperator(BaseOperator):
    def execute(self, context: Any) -> None:
        self.defer(trigger=JobTrigger(), method_name="execute_complete")

    def execute_complete(self, context: Any, event: dict[str, Any]) -> int:
        return int(event["rows"])
