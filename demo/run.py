"""Run all example DAGs on a real Airflow against the demo server, and tell what happens."""

from __future__ import annotations

import fcntl
import re
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from demo.airflow import RUN_OVER, AirflowClient, AirflowStartError, Dag, LocalAirflow, TaskState
from demo.connections import connections
from demo.console import Console
from demo.server import DemoServer
from demo.table import REPO, Run, make_rows, print_table, read_handle

#: How long a job takes: long enough to see it wait, and how far it is.
_JOB_SECONDS = 14.0
HOME: Final = REPO / ".demo"
RESULTS: Final = HOME / "results"
EXAMPLES: Final = REPO / "example_dags"
# These have jobs of minutes, new ones again and again: something to look at in the UI.
UI_DAGS: Final = Path(__file__).resolve().parent / "dags"
# A DAG with this tag shows how a failure looks; it has to end as failed.
EXPECTED_FAILURE: Final = "expected-failure"
#: A DAG with this tag runs by its schedule; nobody waits for its end.
SCHEDULED: Final = "scheduled"
RUNS_TIMEOUT: Final = 600.0
_MOST_NAMES: Final = 4
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


def run(*, keep_running: bool) -> int:
    """
    Run the demo and return its exit code: 0 if every DAG run ended as it should.

    :param keep_running: keep Airflow and the demo server until Ctrl-C
    """
    try:
        with _fresh_home(), Console() as console:
            return _run(console, keep_running=keep_running)
    except AirflowStartError as error:
        print(error, file=sys.stderr)
        return 1


def _run(console: Console, *, keep_running: bool) -> int:
    console.step("Starting the demo server")
    with DemoServer(job_seconds=_JOB_SECONDS) as server:
        airflow = LocalAirflow(
            HOME / "airflow",
            _gather_dags(EXAMPLES, UI_DAGS) if keep_running else EXAMPLES,
            connections=connections(server.url),
            env={"ASYNCAPI_DEMO_RESULTS": RESULTS.as_uri()},
            serve_logs=keep_running,
            say=console.step,
        )
        with airflow:
            if keep_running:
                _tell_ui(console, airflow)
                _unpause_scheduled(console, airflow.client)
            runs = _trigger_all(console, airflow.client)
            states = _watch(console, airflow, runs)
            good = bool(runs) and all(states[one] == one.expected for one in runs)
            print_table(console, [row for one in runs for row in make_rows(airflow.client, one, states[one])])
            for one in runs:
                if states[one] != one.expected:
                    _print_failure(console, airflow.client, one, states[one])
                elif one.expected == "failed":
                    _print_expected_failure(console, airflow.client, one)
            if keep_running:
                _tell_ui(console, airflow)
                console.doing = ""
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
        for name in ("airflow", "dags", "results"):
            shutil.rmtree(HOME / name, ignore_errors=True)
        RESULTS.mkdir()
        yield


def _gather_dags(*folders: Path) -> Path:
    """Copy DAG files into one folder, as Airflow has one."""
    gathered = HOME / "dags"
    for folder in folders:
        shutil.copytree(folder, gathered, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    return gathered


def _unpause_scheduled(console: Console, client: AirflowClient) -> None:
    for dag in client.dags():
        if SCHEDULED in dag.tags:
            console.line(f"{dag.dag_id}: {_summary(client, dag)}")
            client.unpause(dag.dag_id)


def _trigger_all(console: Console, client: AirflowClient) -> list[Run]:
    """Start a run of each DAG that has no schedule, and tell what each shows."""
    dags = [dag for dag in client.dags() if SCHEDULED not in dag.tags]
    console.step(f"Triggering {len(dags)} DAGs at once; one of them fails on purpose")
    width = max((len(dag.dag_id) for dag in dags), default=0)
    for dag in dags:
        console.line(f"{dag.dag_id:{width}}  {_summary(client, dag)}")
    return [Run(dag.dag_id, client.trigger(dag.dag_id), _expected(dag)) for dag in dags]


def _summary(client: AirflowClient, dag: Dag) -> str:
    """Return the first sentence of a DAG's documentation."""
    return " ".join(client.doc(dag.dag_id).split("\n\n")[0].split())


def _expected(dag: Dag) -> str:
    return "failed" if EXPECTED_FAILURE in dag.tags else "success"


def _watch(console: Console, airflow: LocalAirflow, runs: list[Run]) -> dict[Run, str]:
    """Tell each change of each task until all runs are over; return the runs' states."""
    told: dict[tuple[str, str, int], str] = {}
    deadline = time.monotonic() + RUNS_TIMEOUT
    width = max((len(one.dag_id) for one in runs), default=0)
    mine = {one.dag_id for one in runs}
    while True:
        airflow.check()
        # The runs come first: of one that is over, the tasks' last states can still be told.
        by_id = airflow.client.run_states()
        states = {one: by_id[one.dag_id, one.run_id] for one in runs}
        for task in airflow.client.tasks():
            if task.state in _UNTOLD or task.dag_id not in mine:
                continue
            news = _describe(console, airflow.client, task)
            place = (task.dag_id, task.task_id, task.map_index)
            if told.get(place) != news:
                told[place] = news
                console.line(f"{task.dag_id:{width}}  {task.label:18}  {news}")
        left = [one.dag_id for one, state in states.items() if state not in RUN_OVER]
        if not left:
            return states
        console.doing = _sum_up(len(runs), left)
        if time.monotonic() > deadline:
            console.line(console.paint(f"Not all runs are over after {RUNS_TIMEOUT:.0f} s", "31"))
            return states
        time.sleep(0.5)


def _sum_up(total: int, left: list[str]) -> str:
    names = ", ".join(left[:_MOST_NAMES])
    more = f" and {len(left) - _MOST_NAMES} more" if len(left) > _MOST_NAMES else ""
    return f"{total - len(left)} of {total} runs are over; still running: {names}{more}"


def _describe(console: Console, client: AirflowClient, task: TaskState) -> str:
    state = str(task.state)
    text = console.paint(f"{state:10}", _COLOURS.get(state, ""))
    if state == "deferred":
        text += f"  {_remote(read_handle(client, task))}"
    if task.try_number > 1:
        text += f"  (try {task.try_number})"
    return text.rstrip()


def _remote(job: Mapping[str, Any] | None) -> str:
    """Put a job handle's status and progress into words."""
    if not job:
        return ""
    progress = job.get("progress")
    return f"{job.get('status') or ''}{'' if progress is None else f'  {progress:.0%}'}"


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
    console.line(f"The jobs: {airflow.url}/plugin/async-api-jobs")


def _wait_for_ctrl_c(airflow: LocalAirflow) -> None:
    while True:
        airflow.check()
        time.sleep(1)
