"""
What Airflow's own buttons *Mark as failed* and *Clear* do to a task instance, in the session of a request.

These are the functions of Airflow's REST API, so that its rules hold: for tasks downstream, for the state of the DAG
run, for mapped tasks, and for the version of the DAG. Neither checks permissions, nor writes the audit log.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from airflow.api_fastapi.common.dagbag import create_dag_bag
from airflow.models.dagbag import DBDagBag
from airflow.utils.state import TaskInstanceState

from airflow_provider_asyncapi.core.lazy import LazyModule

if TYPE_CHECKING:
    from airflow.api_fastapi.core_api.datamodels import task_instances as bodies
    from airflow.api_fastapi.core_api.routes.public import task_instances as routes
    from sqlalchemy.orm import Session

    from airflow_provider_asyncapi.airflow_private.api_server import BaseUser

else:
    # They import all routes of Airflow's REST API, which warn about pydantic before Airflow 3.2.
    bodies = LazyModule("airflow.api_fastapi.core_api.datamodels.task_instances")
    routes = LazyModule("airflow.api_fastapi.core_api.routes.public.task_instances")

__all__ = ["DBDagBag", "clear_with_downstream", "create_dag_bag", "mark_failed"]


def mark_failed(session: Session, dag_bag: DBDagBag, user: BaseUser, task: dict[str, Any]) -> None:
    """
    Mark a task instance as failed; a worker or triggerer that runs it is told to end it.

    :param task: ``dag_id``, ``run_id``, ``task_id`` and ``map_index``.
    :raises HTTPException: if Airflow refuses it, such as for a task that isn't in the DAG any more.
    """
    routes.patch_task_instance(
        dag_id=task["dag_id"],
        dag_run_id=task["run_id"],
        task_id=task["task_id"],
        dag_bag=dag_bag,
        body=bodies.PatchTaskInstanceBody(new_state=TaskInstanceState.FAILED),
        user=user,
        session=session,
        map_index=None if task["map_index"] < 0 else task["map_index"],
        update_mask=["new_state"],
    )


def clear_with_downstream(session: Session, dag_bag: DBDagBag, user: BaseUser, task: dict[str, Any]) -> int:
    """
    Clear a task instance and the tasks after it in its DAG run; return how many task instances were cleared.

    :param task: ``dag_id``, ``run_id``, ``task_id`` and ``map_index``.
    :raises HTTPException: if Airflow refuses it.
    """
    is_mapped = task["map_index"] >= 0
    body = bodies.ClearTaskInstancesBody(
        dry_run=False,
        dag_run_id=task["run_id"],
        task_ids=[(task["task_id"], task["map_index"]) if is_mapped else task["task_id"]],
        only_failed=False,
        include_downstream=True,
        reset_dag_runs=True,
    )
    # Before Airflow 3.3, clearing doesn't ask who does it.
    takes_user = "user" in inspect.signature(routes.post_clear_task_instances).parameters
    asker = {"user": user} if takes_user else {}
    cleared = routes.post_clear_task_instances(
        dag_id=task["dag_id"], dag_bag=dag_bag, body=body, session=session, **asker
    )
    return cleared.total_entries or 0
