"""Run all example DAGs on a real Airflow against the demo server, and tell what happens."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from demo.airflow import RUN_OVER, AirflowClient, AirflowStartError, Dag, LocalAirflow, TaskState
from demo.connections import connections
from demo.server import DemoServer

#: How long a job takes: long enough to see it wait, and how far it is.
_JOB_SECONDS = 14.0
REPO: Final = Path(__file__).resolve().parent.parent
HOME: Final = REPO / ".demo"
RESULTS: Final = HOME / "results"
# A DAG with this tag shows how a failure looks; it has to end as failed.
EXPECTED_FAILURE: Final = "expected-failure"
RUNS_TIMEOUT: Final = 300.0
#: The line of a task's log that says why the task has failed.
_REASON: Final = re.compile(r"\bAsyncApi\w+: ")

# Over within a blink; to show them doubles the lines and tells nothing.
_UNTOLD: Final = frozenset({None, "scheduled", "queued", "removed"})
_COLOURS: Final = {
    "success": "32",
    "failed": "31",
    "upstream_failed": "31",
    "deferred": "35",
    "running": "36",
    "up_for_retry": "33",
    "skipped": "2",
}


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


class Console:
    """Print lines with the seconds since the start before them; in colour on a terminal only."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR")

    def step(self, text: str) -> None:
        """Tell a step."""
        self.line(self.paint(text, "1"))

    def line(self, text: str) -> None:
        """Tell a detail."""
        print(f"{time.monotonic() - self._start:7.1f} s  {text}", flush=True)

    def paint(self, text: str, colour: str) -> str:
        """Wrap a text in an ANSI colour, where colours are wanted."""
        return f"\033[{colour}m{text}\033[0m" if self._coloured and colour else text


def run(*, keep_running: bool) -> int:
    """
    Run the demo and return its exit code: 0 if every DAG run ended as it should.

    :param keep_running: keep Airflow and the demo server until Ctrl-C
    """
    console = Console()
    try:
        with _fresh_home():
            return _run(console, keep_running=keep_running)
    except AirflowStartError as error:
        print(error, file=sys.stderr)
        return 1


def _run(console: Console, *, keep_running: bool) -> int:
    console.step("Starting the demo server")
    with DemoServer(job_seconds=_JOB_SECONDS) as server:
        airflow = LocalAirflow(
            HOME / "airflow",
            REPO / "example_dags",
            connections=connections(server.url),
            env={"ASYNCAPI_DEMO_RESULTS": RESULTS.as_uri()},
            serve_logs=keep_running,
            say=console.step,
        )
        with airflow:
            if keep_running:
                _tell_ui(console, airflow)
            runs = _trigger_all(console, airflow.client)
            states = _watch(console, airflow, runs)
            good = bool(runs) and all(states[one] == one.expected for one in runs)
            _print_table(console, [row for one in runs for row in make_rows(airflow.client, one, states[one])])
            for one in runs:
                if states[one] != one.expected:
                    _print_failure(console, airflow.client, one, states[one])
                elif one.expected == "failed":
                    _print_expected_failure(console, airflow.client, one)
            if keep_running:
                _tell_ui(console, airflow)
                _wait_for_ctrl_c(airflow)
    if good:
        console.step(f"Done: {len(runs)} DAG runs, each ended as it should. To look at them in Airflow's UI: make ui")
    else:
        console.step(f"Not all DAG runs ended as they should. Airflow's logs are in {HOME / 'airflow'}")
    return 0 if good else 1


@contextmanager
def _fresh_home() -> Iterator[None]:
    """Empty the demo's folder, and keep others from doing so while we use it."""
    HOME.mkdir(exist_ok=True)
    with (HOME / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AirflowStartError(f"Another demo is running in {HOME}; stop it first.") from None
        for name in ("airflow", "results"):
            shutil.rmtree(HOME / name, ignore_errors=True)
        RESULTS.mkdir()
        yield


def _trigger_all(console: Console, client: AirflowClient) -> list[Run]:
    dags = client.dags()
    console.step(f"Triggering {len(dags)} DAGs at once")
    return [Run(dag.dag_id, client.trigger(dag.dag_id), _expected(dag)) for dag in dags]


def _expected(dag: Dag) -> str:
    return "failed" if EXPECTED_FAILURE in dag.tags else "success"


def _watch(console: Console, airflow: LocalAirflow, runs: list[Run]) -> dict[Run, str]:
    """Tell each change of each task until all runs are over; return the runs' states."""
    told: dict[tuple[str, str, int], str] = {}
    deadline = time.monotonic() + RUNS_TIMEOUT
    width = max((len(one.dag_id) for one in runs), default=0)
    while True:
        airflow.check()
        # The runs come first: of one that is over, the tasks' last states can still be told.
        by_id = airflow.client.run_states()
        states = {one: by_id[one.dag_id, one.run_id] for one in runs}
        for task in airflow.client.tasks():
            if task.state in _UNTOLD:
                continue
            news = _describe(console, airflow.client, task)
            place = (task.dag_id, task.task_id, task.map_index)
            if told.get(place) != news:
                told[place] = news
                console.line(f"{task.dag_id:{width}}  {task.label:18}  {news}")
        if RUN_OVER.issuperset(states.values()):
            return states
        if time.monotonic() > deadline:
            console.line(console.paint(f"Not all runs are over after {RUNS_TIMEOUT:.0f} s", "31"))
            return states
        time.sleep(0.5)


def _describe(console: Console, client: AirflowClient, task: TaskState) -> str:
    state = str(task.state)
    text = console.paint(f"{state:10}", _COLOURS.get(state, ""))
    if state == "deferred":
        text += f"  {_remote(_job(client, task))}"
    if task.try_number > 1:
        text += f"  (try {task.try_number})"
    return text.rstrip()


def _remote(job: Mapping[str, Any] | None) -> str:
    """Put a job handle's status and progress into words."""
    if not job:
        return ""
    progress = job.get("progress")
    return f"{job.get('status') or ''}{'' if progress is None else f'  {progress:.0%}'}"


def _job(client: AirflowClient, task: TaskState) -> dict[str, Any] | None:
    handle = client.xcom(task.dag_id, task.run_id, task.task_id, "job", map_index=task.map_index)
    return handle if isinstance(handle, dict) else None


def make_rows(client: AirflowClient, one: Run, state: str) -> list[Row]:
    """Make a row of each job of a run: the tasks with a handle tell its course, those after them its result."""
    tasks = [task for task in client.tasks(one.dag_id, one.run_id) if task.start]
    handles = {task: handle for task in tasks if (handle := _job(client, task))}
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


def _print_table(console: Console, rows: list[Row]) -> None:
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


def _print_failure(console: Console, client: AirflowClient, one: Run, state: str) -> None:
    console.line(console.paint(f"{one.dag_id} ended as {state}, not as {one.expected}", "31"))
    for task in client.tasks(one.dag_id, one.run_id):
        if task.state == "failed":
            log = client.log(one.dag_id, one.run_id, task.task_id, task.try_number, map_index=task.map_index)
            print(f"--- the end of the log of {task.label}", *log.splitlines()[-12:], sep="\n    ", flush=True)


def _print_expected_failure(console: Console, client: AirflowClient, one: Run) -> None:
    """Show what the log of a task that was to fail says about the reason."""
    console.line(f"{one.dag_id} has failed, as it should. This is what an error looks like in the log of its task:")
    for task in client.tasks(one.dag_id, one.run_id):
        if task.state == "failed":
            log = client.log(one.dag_id, one.run_id, task.task_id, task.try_number, map_index=task.map_index)
            reasons = [line for line in log.splitlines() if _REASON.search(line)]
            print(f"--- {task.label}", *reasons[-1:], sep="\n    ", flush=True)


def _tell_ui(console: Console, airflow: LocalAirflow) -> None:
    console.step(f"Airflow's UI: {airflow.url}  user {airflow.user}, password {airflow.password}; Ctrl-C stops all")


def _wait_for_ctrl_c(airflow: LocalAirflow) -> None:
    while True:
        airflow.check()
        time.sleep(1)
