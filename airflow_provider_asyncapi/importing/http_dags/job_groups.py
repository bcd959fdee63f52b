"""The tasks of a DAG file that belong to one job: a submit, the wait for it, and a fetch."""

from __future__ import annotations

from collections.abc import Sequence

from airflow_provider_asyncapi.importing.http_dags.tasks import HttpTask


def group_by_job(tasks: Sequence[HttpTask]) -> list[list[HttpTask]]:
    """Return the tasks in groups; the tasks of one job are a group, in the order submit, wait, fetch."""
    by_name = {name: task for task in tasks for name in (task.task_id, task.variable) if name and not task.is_mapped}
    groups: list[list[HttpTask]] = []
    grouped: set[int] = set()
    for sensor in tasks:
        submits = [by_name[each.task] for each in sensor.find_references() if each.task in by_name]
        if not sensor.is_sensor or sensor.is_mapped or not submits or submits[0].is_sensor:
            continue
        submit = submits[0]
        names = {submit.task_id, submit.variable, sensor.task_id, sensor.variable}
        fetches = [
            task
            for task in tasks
            if not task.is_sensor
            and not task.is_mapped
            and task.line > sensor.line
            and any(each.task in names for each in task.find_references())
        ]
        group = [task for task in (submit, sensor, *fetches[:1]) if id(task) not in grouped]
        if submit in group and sensor in group:
            groups.append(group)
            grouped.update(map(id, group))
    groups += [[task] for task in tasks if id(task) not in grouped]
    return sorted(groups, key=lambda group: group[0].line)
