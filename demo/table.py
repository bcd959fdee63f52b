"""The closing table of the demo: a line for each job."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from demo.airflow import AirflowClient, TaskState
from demo.console import Console

REPO: Final = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Run:
    """One DAG run, and how it has to end."""

    dag_id: str
    run_id: str
    expected: str


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the closing table: a job, or a run that got none."""

    dag_id: str
    identifier: str
    status: str
    seconds: str
    result: str
    colour: str


def make_rows(client: AirflowClient, one: Run, state: str) -> list[Row]:
    """Make a row of each job of a run: the tasks with a handle tell its course, those after them its result."""
    tasks = [task for task in client.tasks(one.dag_id, one.run_id) if task.start]
    handles = {task: handle for task in tasks if (handle := read_handle(client, task))}
    jobs: dict[str, list[TaskState]] = {}
    for task, handle in handles.items():
        jobs.setdefault(str(handle.get("identifier")), []).append(task)
    results = _results(client, tasks, handles)
    ending = state if state == one.expected == "success" else f"run {state}"
    if state == one.expected == "failed":
        ending += ", as expected"
    colour = "32" if state == one.expected else "31"
    if not jobs:
        return [Row(one.dag_id, "-", ending, "", _show(results.get(-1)), colour)]
    rows = []
    for number, (identifier, course) in enumerate(jobs.items(), start=1):
        # The one result of mapped jobs is told once, beside the last.
        place = course[-1].map_index if course[-1].map_index in results or number < len(jobs) else -1
        status = str(handles[course[-1]].get("status") or "")
        rows.append(
            Row(
                dag_id=one.dag_id if number == 1 else "",
                identifier=identifier,
                status=(status or ending) if state == "success" else f"{status} ({ending})".strip(),
                seconds=_seconds(course),
                result=_show(results.get(place)),
                colour=colour,
            )
        )
    return rows


def _results(
    client: AirflowClient, tasks: list[TaskState], handles: Mapping[TaskState, dict[str, Any]]
) -> dict[int, Any]:
    """Return what the tasks returned as results of the jobs, by map index."""
    jobs = [JobHandle.parse(handle) for handle in handles.values()]
    # Submit operators and sensors return the identifier.
    identifiers = [*(job.identifier for job in jobs), *(job.result_identifier for job in jobs)]
    first = min((task.start for task in handles if task.start), default=None)
    results: dict[int, Any] = {}
    for task in tasks:
        # A return value from before there was a job, such as the list that a task is mapped over, is no result.
        if first is None or task.start is None or task.start < first:
            continue
        value = client.xcom(task.dag_id, task.run_id, task.task_id, map_index=task.map_index)
        if value is not None and value not in identifiers:
            results[task.map_index] = value
    return results


def _seconds(course: list[TaskState]) -> str:
    starts = [task.start for task in course if task.start]
    ends = [task.end for task in course if task.end]
    return f"{(max(ends) - min(starts)).total_seconds():.1f}" if starts and ends else ""


def _show(result: Any) -> str:
    """Show a small result as it is, and of a manifest what was written where."""
    if result is None:
        return "-"
    if isinstance(result, dict) and isinstance(paths := result.get("paths"), list) and paths:
        place = str(paths[0]).removeprefix(f"{REPO.as_uri()}/").removeprefix(f"{REPO}/")
        more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
        return f"{place}{more}, {result.get('bytes')} bytes"
    return json.dumps(result)


def print_table(console: Console, rows: list[Row]) -> None:
    """Print the rows below their head; a result as far as there is room for it."""
    head = ("DAG", "job identifier", "status", "seconds", "result or files")
    cells = [(row.dag_id, row.identifier, row.status, row.seconds, row.result) for row in rows]
    widths = [max(len(line[column]) for line in (head, *cells)) for column in range(4)]
    # Piped into a file, lines may be long.
    room = shutil.get_terminal_size((160, 24)).columns if sys.stdout.isatty() else 160
    room = max(30, room - sum(widths) - 8)
    print(f"\n{_columns(head, widths)}{head[4]}")
    for row, line in zip(rows, cells, strict=True):
        result = row.result if len(row.result) <= room else f"{row.result[: room - 1]}…"
        print(console.paint(_columns(line, widths), row.colour) + result)
    print(flush=True)


def _columns(line: tuple[str, ...], widths: list[int]) -> str:
    return "".join(
        f"{cell:>{width}}  " if column == 3 else f"{cell:{width}}  "
        for column, (cell, width) in enumerate(zip(line, widths, strict=False))
    )


def read_handle(client: AirflowClient, task: TaskState) -> dict[str, Any] | None:
    """Return the job handle that a task has pushed, or None."""
    handle = client.xcom(task.dag_id, task.run_id, task.task_id, "job", map_index=task.map_index)
    return handle if isinstance(handle, dict) else None
