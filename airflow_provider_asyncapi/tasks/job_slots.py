"""Wait, before a job is submitted, until the connection's ``max_active_jobs`` allows another active job."""

from __future__ import annotations

import logging
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_provider_asyncapi.airflow_private.supervisor import is_task_process
from airflow_provider_asyncapi.core.effects import Log
from airflow_provider_asyncapi.core.jobs.slots import SlotRequest, make_slot_key, wait_for_slot
from airflow_provider_asyncapi.core.wait.deferral import run_until_sleep
from airflow_provider_asyncapi.hooks.airflow_client import describe_api_server, make_tls_context
from airflow_provider_asyncapi.hooks.airflow_urls import find_base_url
from airflow_provider_asyncapi.monitoring.xcoms import SLOT_KEY
from airflow_provider_asyncapi.tasks.stages import STATUS
from airflow_provider_asyncapi.transports.requests import RequestsDriver
from airflow_provider_asyncapi.triggers.job_slots import JobSlotTrigger

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_asyncapi.core.effects import Notification
    from airflow_provider_asyncapi.tasks.base import JobTask

log = logging.getLogger(__name__)


def get_slot(task: JobTask, context: Context, limit: int, *, is_active: bool) -> None:
    """
    Return if the task may submit another job; if not, defer it until it may.

    It never waits on a worker: the tasks that hold the slots may need the same workers.

    :param limit: the connection's ``max_active_jobs``.
    :param is_active: whether the task resumes a job that an earlier try has submitted, which gets a slot at once.
    :raises ConfigurationError: if no setting has the address of Airflow's API server.
    """
    if not is_task_process():
        log.warning("max_active_jobs has no effect in a test of a DAG: there is no API server that counts the jobs")
        return
    ti: Any = context["ti"]
    key = SLOT_KEY + make_slot_key(task.asyncapi_conn_id)
    now = time.time()
    # Airflow deletes the XComs of earlier tries, so an existing request belongs to this try.
    if is_active or SlotRequest.parse(ti.xcom_pull(task_ids=ti.task_id, key=key, map_indexes=ti.map_index)) is None:
        request = SlotRequest(limit, now, now if is_active else None, ends_with_task=STATUS in task.stages)
        ti.xcom_push(key, request.dump())
    if is_active:
        return
    url = find_base_url("api_server_url", "max_active_jobs")
    airflow = describe_api_server(url)

    def defer(_pause: float) -> NoReturn:
        raise TaskDeferred(
            trigger=JobSlotTrigger(api_server=url, waiting_task=str(ti.id)),
            method_name=task.execute_with_slot.__name__,
            timeout=task.execution_timeout,
        )

    with closing(RequestsDriver(airflow, get_tls_context=make_tls_context)) as driver:
        driver.run(run_until_sleep(wait_for_slot(airflow, str(ti.id)), defer), observe=_log)


def return_slot(task: JobTask, context: Context, limit: int) -> None:
    """Return the slot of a task whose job has failed, so that no other task waits for the retry of this one."""
    ti: Any = context["ti"]
    if is_task_process():
        ti.xcom_push(SLOT_KEY + make_slot_key(task.asyncapi_conn_id), SlotRequest(limit, time.time()).dump())


def _log(event: Notification) -> None:
    if isinstance(event, Log):
        log.log(event.level, "%s", event.message)
