"""Wait in the triggerer until a task may submit another job."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_asyncapi.core.effects import Log
from airflow_provider_asyncapi.core.errors import AsyncApiError
from airflow_provider_asyncapi.core.jobs.slots import wait_for_slot
from airflow_provider_asyncapi.hooks.airflow_client import describe_api_server, share_driver
from airflow_provider_asyncapi.triggers.deferral import SHORTEST_DEFERRAL

if TYPE_CHECKING:
    from airflow_provider_asyncapi.core.effects import Notification

#: Version of the layout of the trigger's arguments. Another version of the provider may have stored further arguments.
_LAYOUT = 1


class JobSlotTrigger(BaseTrigger):
    """
    Wait until a task has one of the slots that the connection's ``max_active_jobs`` allows.

    :param api_server: base URL of Airflow's API server.
    :param waiting_task: id of the task instance.
    :param version: version of the layout of these arguments, set by :meth:`serialize`.
    """

    def __init__(self, *, api_server: str, waiting_task: str, version: int = _LAYOUT, **_unknown: Any) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # untyped in Airflow
        self.api_server = api_server
        self.waiting_task = waiting_task
        self.version = version

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class and the arguments, which Airflow stores."""
        name = f"{type(self).__module__}.{type(self).__qualname__}"
        return name, {"version": _LAYOUT, "api_server": self.api_server, "waiting_task": self.waiting_task}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, and yield one event: ``{"status": "success" | "error", "message": …}``."""
        began = time.monotonic()
        airflow = describe_api_server(self.api_server)
        try:
            async with share_driver(airflow) as driver:
                await driver.run(wait_for_slot(airflow, self.waiting_task), observe=_log)
            event = {"status": "success", "message": "The task may submit another job"}
        except AsyncApiError as error:
            event = {"status": "error", "message": str(error)}
        if self.task_instance is not None:
            # The executor has to know of the deferral before the task is resumed.
            await asyncio.sleep(began + SHORTEST_DEFERRAL - time.monotonic())
        yield TriggerEvent(event)


def _log(event: Notification) -> None:
    if isinstance(event, Log):
        logging.getLogger(__name__).log(event.level, "%s", event.message)
