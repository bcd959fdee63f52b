"""Run a task as Airflow does: from deferral to deferral. Imports Airflow, which the tests of core/ do without."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from airflow.providers.common.compat.sdk import TaskDeferred


def run_try(make_task: Callable[[], Any], make_context: Callable[[], Any]) -> Any:
    """
    Run one try of a task, with as many deferrals as it needs; each trigger is rebuilt from what it stores.

    :param make_task: returns the task of each process.
    :param make_context: returns its context.
    """
    method, arguments = "", dict[str, Any]()
    while True:
        task, context = make_task(), make_context()
        try:
            return task.resume_execution(method, arguments, context) if method else task.execute(context)
        except TaskDeferred as deferral:
            event = asyncio.run(_find_first_event(deferral.trigger)).payload
            method, arguments = deferral.method_name, {**(deferral.kwargs or {}), "event": event}


async def _find_first_event(trigger: Any) -> Any:
    kind, kwargs = trigger.serialize()
    assert kind == f"{type(trigger).__module__}.{type(trigger).__name__}"
    return await anext(type(trigger)(**kwargs).run())
