"""Fetch the result of a task's job."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import Asset

from airflow_provider_asyncapi.core.fetch.lineage import dataset_name
from airflow_provider_asyncapi.core.fetch.result_summary import summarize_result
from airflow_provider_asyncapi.monitoring.xcoms import RESULT_KEY, RETURN_KEY, push_for_users
from airflow_provider_asyncapi.results.destination import Owner
from airflow_provider_asyncapi.results.fetching import FetchTask, fetch
from airflow_provider_asyncapi.results.limits import ResultLimits
from airflow_provider_asyncapi.tasks.callbacks import find_result
from airflow_provider_asyncapi.tasks.secrets import load_secret
from airflow_provider_asyncapi.tasks.stages import FETCH

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context
    from airflow.providers.openlineage.extractors import OperatorLineage

    from airflow_provider_asyncapi.core.jobs.handle import JobHandle
    from airflow_provider_asyncapi.core.plans import FetchPlan
    from airflow_provider_asyncapi.tasks.base import JobTask


def fetch_result(
    task: JobTask, context: Context, handle: JobHandle, destination: str | None, limits: Mapping[str, Any]
) -> Any:
    """
    Fetch the result of a job, and add the manifest of the files to the events of the task's outlets.

    :param task: a task that works on the stage ``fetch``.
    :param destination: a file, or a folder with a slash at its end; None for XCom.
    :param limits: the limits of the result that the DAG sets; the profile may set others.
    :return: the value, or the manifest.
    """
    plan: FetchPlan = task.build_plan(FETCH)
    ti: Any = context["ti"]
    name = "/".join(map(str, (ti.dag_id, ti.run_id, ti.task_id, ti.map_index)))
    owner = Owner(name, is_retry=ti.try_number > 1, secret=partial(load_secret, context))
    task.is_fetching = True
    try:
        callback = find_result(context, plan, handle)
        is_last_try = ti.try_number > ti.max_tries
        chosen = _choose_limits(task, limits)
        fetch_task = FetchTask(
            plan, handle, destination, chosen, owner, callback, is_last_try=is_last_try, profile=task.profile_version()
        )
        result: Any = fetch(task.hook, fetch_task, partial(ti.xcom_push, RETURN_KEY))
    finally:
        task.is_fetching = False
    if len(task.stages) == 1:
        # The page finds by it the task that has fetched the result of a job.
        push_for_users(context, RESULT_KEY, summarize_result(handle, result, destination, time.time()))
    if destination is not None:
        for outlet in task.outlets:
            if isinstance(outlet, Asset):
                context["outlet_events"][outlet].extra.update(result)
    return result


def _choose_limits(task: JobTask, given: Mapping[str, Any]) -> ResultLimits:
    """Return the limits of a result: the DAG's, and the profile's for the rest."""
    described = {**task.effective_params(FETCH), **given}
    names = [each.name for each in dataclasses.fields(ResultLimits)]
    return ResultLimits(**{name: described[name] for name in names if described.get(name) is not None})


def make_lineage(destination: str | None) -> OperatorLineage[Any, Any]:
    """Return the dataset that was written, for OpenLineage."""
    from airflow.providers.common.compat.openlineage.facet import Dataset  # noqa: PLC0415 - needs an optional package
    from airflow.providers.openlineage.extractors import OperatorLineage  # noqa: PLC0415 - an optional package

    outputs = [] if destination is None else [Dataset(*dataset_name(destination))]
    return OperatorLineage(outputs=outputs)
