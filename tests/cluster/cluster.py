"""An Airflow of several processes of a kind, any of which can be killed."""

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import psycopg2
import pytest

from demo.airflow import RUN_OVER, LocalAirflow
from demo.airflow.client import log_line
from tests.cluster.services import Services

HERE = Path(__file__).resolve().parent
WORKERS = ("worker-1", "worker-2")
TRIGGERERS = ("triggerer-1", "triggerer-2")
#: How many jobs the DAG ``many`` has.
JOBS = 54
#: How many the DAG ``deadline`` has, and its timeout in seconds, before which all of them are deferred.
LATE_JOBS, DEADLINE = 6, 25
#: How many jobs the runs of the DAG ``endurance`` have together. Runs of fifty: for each task that waits for another,
#: Airflow's scheduler looks at all tasks of its run that have ended, and one run of thousands would crawl.
ENDURING_JOBS = int(os.environ.get("CLUSTER_JOBS", "20"))
ENDURING_RUNS = math.ceil(ENDURING_JOBS / 50)
ENDURING_JOBS_PER_RUN = math.ceil(ENDURING_JOBS / ENDURING_RUNS)
#: Seconds between two polls of one of them: a hundred a second in all, beside which Airflow has the two cores.
ENDURING_INTERVAL = max(5, ENDURING_JOBS // 100)
#: Seconds; long enough for a busy machine. A job has four legs on a worker, of which two cores manage two to three
#: a second.
DEFAULT_TIMEOUT = 240.0 + 4 * ENDURING_JOBS
#: How many tasks of a run that went wrong are told of, with their logs.
_MOST_TOLD = 12
_ONLY_HERE = ("--without-gossip", "--without-mingle")
COMPONENTS: dict[str, tuple[str, ...]] = {
    "api-server": ("api-server", "--workers", "1"),
    "scheduler": ("scheduler",),
    "dag-processor": ("dag-processor",),
    **dict.fromkeys(TRIGGERERS, ("triggerer", "--capacity", str(max(2000, ENDURING_JOBS)))),
    # Throughput is bound by the two cores; the processes beyond those are for tasks that are held up.
    **{name: ("celery", "worker", "-H", name, "-c", "6", "--pid", f"{name}.pid", *_ONLY_HERE) for name in WORKERS},
}


@dataclass(frozen=True, slots=True)
class Task:
    """A task instance as the database has it."""

    task_id: str
    map_index: int
    state: str | None
    try_number: int


class Cluster(LocalAirflow):
    """
    Run CeleryExecutor with two workers and two triggerers, on Postgres and Redis.

    :param home: the AIRFLOW_HOME to create
    :param services: Postgres and Redis
    :param connections: Airflow connection JSON, by connection id
    """

    def __init__(self, home: Path, services: Services, connections: dict[str, dict[str, Any]]) -> None:
        self._failing_names = home / "names-fail"
        super().__init__(
            home,
            HERE / "dags",
            components=COMPONENTS,
            connections=connections,
            config=make_configuration(services),
            start_timeout=DEFAULT_TIMEOUT,
            env={
                "JOBS": str(JOBS),
                "LATE_JOBS": str(LATE_JOBS),
                "DEADLINE": str(DEADLINE),
                "ENDURING_JOBS_PER_RUN": str(ENDURING_JOBS_PER_RUN),
                "ENDURING_INTERVAL": str(ENDURING_INTERVAL),
                "PYTHONPATH": str(HERE / "names"),
                "FAILING_NAMES": str(self._failing_names),
            },
        )
        self._database = psycopg2.connect(
            host="127.0.0.1", port=services.postgres_port, user="airflow", dbname="postgres"
        )
        self._database.autocommit = True

    def stop(self) -> None:
        self._database.close()
        super().stop()

    def query(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Ask Airflow's database, which answers whatever else is down."""
        with self._database.cursor() as cursor:
            cursor.execute(sql, values)
            rows: list[tuple[Any, ...]] = cursor.fetchall()
            return rows

    def tasks(self, run_id: str) -> dict[tuple[str, int], Task]:
        sql = "SELECT task_id, map_index, state, try_number FROM task_instance WHERE run_id = %s"
        return {row[:2]: Task(*row) for row in self.query(sql, run_id)}

    def states(self, run_id: str, task_id: str) -> list[str | None]:
        """Return the states of a task's instances."""
        return [task.state for task in self.tasks(run_id).values() if task.task_id == task_id]

    def trigger_of(self, run_id: str, task_id: str) -> int | None:
        """Return the id of the trigger that the task waits for."""
        found = self.query("SELECT trigger_id FROM task_instance WHERE run_id = %s AND task_id = %s", run_id, task_id)
        return found[0][0] if found else None

    def run_state(self, run_id: str) -> str | None:
        found = self.query("SELECT state FROM dag_run WHERE run_id = %s", run_id)
        return found[0][0] if found else None

    def finish(self, run_id: str, timeout: float = DEFAULT_TIMEOUT) -> str:
        """Wait for a run's end and give its state."""
        wait_until(lambda: self.run_state(run_id) in RUN_OVER, lambda: self.describe_jobs(run_id), timeout)
        return str(self.run_state(run_id))

    def describe_jobs(self, run_id: str, indices: Collection[int] = ()) -> str:
        """
        Return the state of the tasks of a run and the ends of their logs, for the message of a failed test.

        :param indices: the map indices of the tasks to tell of; all by default. Of many some are told, those that went
            well last
        """
        tasks = [task for task in self.tasks(run_id).values() if not indices or task.map_index in indices]
        tasks.sort(key=lambda task: (task.state == "success", task.state in {None, "deferred"}))
        lines = [f"{run_id}: {self.run_state(run_id)}, {Counter(task.state for task in tasks)}"]
        for task in tasks[:_MOST_TOLD]:
            lines.append(str(task))
            of_task = f"dag_id=*/run_id={run_id}/task_id={task.task_id}/map_index={task.map_index}/*.log*"
            for path in sorted((self.home / "logs").glob(of_task)):
                told = [
                    _shorten_line(line) for line in path.read_text(errors="replace").splitlines() if "::" not in line
                ]
                lines += [f"--- {path.relative_to(self.home / 'logs')}", *told[-12:]]
        return "\n".join(lines)

    def legs(self) -> int:
        """Count what was sent to workers: each task at least once, and once more for each resumption and retry."""
        logs = [(self.home / f"{name}.log").read_text(errors="replace") for name in WORKERS]
        return sum(log.count("] received") for log in logs)

    def waiting(self, dag_id: str) -> dict[str, set[int]]:
        """Return the map indices of a DAG's jobs that wait in a triggerer, by run."""
        sql = """
            SELECT run_id, map_index FROM task_instance
            WHERE dag_id = %s AND task_id = 'job.wait' AND state = 'deferred'
        """
        found: dict[str, set[int]] = defaultdict(set)
        for run_id, index in self.query(sql, dag_id):
            found[run_id].add(index)
        return found

    def running_at(self, worker: str, run_id: str, task_id: str) -> set[int]:
        """Return the map indices of a task's instances that a worker is running."""
        sql = """
            SELECT map_index FROM task_instance
            WHERE run_id = %s AND task_id = %s AND state = 'running' AND pid = ANY(%s)
        """
        pids = [process.pid for process in self.processes.family(worker)]
        return {index for (index,) in self.query(sql, run_id, task_id, pids)}

    def holders(self, run_id: str) -> dict[int, int]:
        """Return the triggerer that holds each waiting job of a run, by the map index."""
        sql = """
            SELECT task_instance.map_index, trigger.triggerer_id
            FROM task_instance JOIN trigger ON trigger.id = task_instance.trigger_id
            WHERE task_instance.run_id = %s AND task_instance.task_id = 'job.wait' AND triggerer_id IS NOT NULL
        """
        return dict(self.query(sql, run_id))

    def waiting_with(self, run_id: str, index: int) -> set[int]:
        """Return the map indices of all jobs that wait in the same triggerer as this job."""
        holders = self.holders(run_id)
        return {other for other, holder in holders.items() if holder == holders[index]}

    def holder(self, port: int) -> str:
        """Return the triggerer that asks the API at this port about most of its jobs."""
        asking = Counter(
            name
            for name in TRIGGERERS
            for process in self.processes.family(name)
            for connection in process.net_connections("tcp4")
            if connection.raddr and connection.raddr.port == port
        )
        return asking.most_common(1)[0][0]

    def wait_for_triggerers(self, count: int = len(TRIGGERERS)) -> None:
        """Wait until so many triggerers report that they are alive."""
        sql = """
            SELECT count(*) FROM job WHERE job_type = 'TriggererJob' AND state = 'running'
            AND latest_heartbeat > now() - interval '3 seconds'
        """
        wait_until(lambda: self.query(sql)[0][0] >= count, self.processes.tails)

    @contextlib.contextmanager
    def without_name(self, host: str) -> Iterator[None]:
        """Let a host's name be unknown for a while: one that ends in ``.test``."""
        failing = self._failing_names / host
        failing.parent.mkdir(exist_ok=True)
        failing.touch()
        try:
            yield
        finally:
            failing.unlink()

    def freeze(self, name: str) -> None:
        """Stop a component, as a machine does that hangs."""
        self.processes.signal(name, signal.SIGSTOP)

    def thaw(self, name: str) -> None:
        self.processes.signal(name, signal.SIGCONT)


def _shorten_line(line: str) -> str:
    """Return the beginning of a line of a log, which is JSON unless its process was killed in the middle of it."""
    with contextlib.suppress(ValueError):
        line = log_line(json.loads(line))
    return line[:500]


def wait_until(condition: Callable[[], object], describe: Callable[[], str], timeout: float = DEFAULT_TIMEOUT) -> None:
    """Wait for a condition; fail with the description if it doesn't hold in time."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"The condition wasn't met within {timeout:.0f} s.\n{describe()}")
        time.sleep(0.3)


def process_at(port: int, server_port: int) -> psutil.Process:
    """
    Find the process that has sent a request from a port.

    :param port: the client's port. A connection to another server may have the same.
    :param server_port: the port of the server that has received the request.
    """
    for connection in psutil.net_connections("tcp4"):
        ports = (connection.laddr.port, connection.raddr.port if connection.raddr else None)
        if ports == (port, server_port) and connection.pid is not None:
            return psutil.Process(connection.pid)
    raise AssertionError(f"no process has a connection from port {port} to port {server_port}")


def make_configuration(services: Services) -> dict[str, dict[str, str]]:
    """Return the configuration of an Airflow that uses these services."""
    return {
        "core": {
            "executor": "CeleryExecutor",
            "parallelism": "32",
            "max_active_tasks_per_dag": "2000",
            "default_pool_task_slot_count": "2000",
            "max_active_runs_per_dag": str(max(16, ENDURING_RUNS)),
        },
        "database": {
            "sql_alchemy_conn": services.postgres_url("psycopg2"),
            "sql_alchemy_conn_async": services.postgres_url("asyncpg"),
        },
        "celery": {
            "broker_url": services.redis_url,
            "result_backend": services.redis_url,
            # What a worker took and lost is found by the heartbeats, not by the broker.
            "worker_prefetch_multiplier": "1",
        },
        "scheduler": {
            "scheduler_idle_sleep_time": "0.25",
            "parsing_cleanup_interval": "60",
            "max_tis_per_query": "64",
            "task_instance_heartbeat_timeout": "20",
            "task_instance_heartbeat_timeout_detection_interval": "2",
            "scheduler_health_check_threshold": "15",
            "orphaned_tasks_check_interval": "5",
            # What a killed worker had taken, but not begun, is found only by this.
            "task_queued_timeout": "40",
            "task_queued_timeout_check_interval": "5",
        },
        "triggerer": {
            "job_heartbeat_sec": "1",
            # Of one that has been silent for so long, another takes over the work.
            "triggerer_health_check_threshold": "8",
            # So that none takes all, and all are taken soon.
            "max_trigger_to_select_per_loop": str(max(JOBS, ENDURING_JOBS) // 10),
        },
        "workers": {
            "min_heartbeat_interval": "2",
            # Of an API server that is away, a task makes as many attempts as by default, within 7 s and not 15.
            "execution_api_retry_wait_max": "2",
        },
    }
