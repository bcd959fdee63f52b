"""One real Airflow and one demo server for all integration tests, those with a browser among them."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from demo.airflow import RUN_OVER, LocalAirflow, TaskState
from demo.connections import connections
from demo.server import DemoServer
from tests.integration.one_process import Ends, run_without_scheduler, secrets_backend

HERE = Path(__file__).resolve().parent
DAG_FOLDERS = (HERE.parents[1] / "example_dags", HERE / "dags", HERE / "ui" / "dags")
#: Folders whose modules each process of Airflow can import.
IMPORTABLE = (HERE / "ui" / "auth", HERE / "azure_provider")
#: Beside those of the demo.
CONNECTIONS: dict[str, dict[str, Any]] = {
    "standard_plain": {"conn_type": "asyncapi"},
    "in_database": {"conn_type": "asyncapi"},
    "limited": {
        "conn_type": "asyncapi",
        "password": "celigo-token",
        "extra": {"auth": "bearer", "max_active_jobs": 2},
    },
    "half_filled": {"conn_type": "asyncapi", "extra": {"auth": "bearer"}},
}
RUN_TIMEOUT = 180.0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the browser tests first: the jobs of other tests would fill the first page."""
    items.sort(key=lambda item: item.get_closest_marker("ui") is None)


@dataclass(frozen=True, slots=True)
class DagRunResult:
    """A DAG run that is over."""

    airflow: LocalAirflow
    dag_id: str
    run_id: str
    state: str
    tasks: Mapping[tuple[str, int], TaskState]

    def task(self, task_id: str, map_index: int = -1) -> TaskState:
        return self.tasks[task_id, map_index]

    def xcom(self, task_id: str, key: str = "return_value", *, map_index: int = -1) -> Any:
        """Return what the task has pushed, or None."""
        return self.airflow.client.xcom(self.dag_id, self.run_id, task_id, key, map_index=map_index)

    def log(self, task_id: str, map_index: int = -1) -> str:
        """Return the log of the task's last try."""
        number = self.task(task_id, map_index).try_number
        return self.airflow.client.log(self.dag_id, self.run_id, task_id, number, map_index=map_index)

    def failures(self) -> str:
        """Return the logs of all failed tasks: what to show where a run should have succeeded."""
        failed = [task for task in self.tasks.values() if task.state == "failed"]
        logs = [f"--- {task.label}\n{self.log(task.task_id, task.map_index)}" for task in failed]
        return "\n".join([f"{self.dag_id} ended as {self.state}", *logs])


@dataclass(frozen=True, slots=True)
class DagRunner:
    """Run DAGs: called, it waits for the end; `start` and `finish` let several run at once."""

    airflow: LocalAirflow

    def __call__(self, dag_id: str, conf: Mapping[str, Any] | None = None) -> DagRunResult:
        return self.finish(dag_id, self.start(dag_id, conf))

    def start(self, dag_id: str, conf: Mapping[str, Any] | None = None) -> str:
        """Start a run and return its id."""
        return self.airflow.client.trigger(dag_id, conf)

    def finish(self, dag_id: str, run_id: str, timeout: float = RUN_TIMEOUT) -> DagRunResult:
        """Wait for a run's end."""
        client = self.airflow.client
        deadline = time.monotonic() + timeout
        while (state := client.run_state(dag_id, run_id)) not in RUN_OVER:
            self.airflow.check()
            if time.monotonic() > deadline:
                states = ", ".join(f"{task.label} {task.state}" for task in client.tasks(dag_id, run_id))
                pytest.fail(f"{dag_id} is still {state} after {timeout:.0f} s: {states}")
            time.sleep(0.3)
        tasks = {(task.task_id, task.map_index): task for task in client.tasks(dag_id, run_id)}
        return DagRunResult(self.airflow, dag_id, run_id, state, tasks)


@pytest.fixture(scope="session")
def demo_server() -> Iterator[DemoServer]:
    with DemoServer(job_seconds=2.0) as server:
        yield server


@pytest.fixture(scope="session")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the example DAGs write what they fetch."""
    return tmp_path_factory.mktemp("results")


@pytest.fixture(scope="session")
def airflow(tmp_path_factory: pytest.TempPathFactory, demo_server: DemoServer, results: Path) -> Iterator[LocalAirflow]:
    dags = tmp_path_factory.mktemp("dags")
    for folder in DAG_FOLDERS:
        for file in folder.glob("*.py"):
            assert not (dags / file.name).exists(), f"{file}: another folder has a file of this name"
        shutil.copytree(folder, dags, dirs_exist_ok=True)
    home = tmp_path_factory.mktemp("airflow")
    # Temporary files go with the rest: login tokens among them, which the tests search like all else.
    (home / "tmp").mkdir()
    own = {name: {"host": demo_server.url, **fields} for name, fields in CONNECTIONS.items()}
    elsewhere = json.dumps({"conn_type": "asyncapi", "host": demo_server.url})
    (home / "connections.json").write_text(f'{{"in_backend": {elsewhere}}}')
    with LocalAirflow(
        home,
        dags,
        connections=connections(demo_server.url) | own,
        config={
            "secrets": secrets_backend(home / "connections.json"),
            # So that a machine that is busy with the browser loses no tasks (default 5).
            "workers": {"execution_api_timeout": "30"},
            # So that the jobs of a triggerer that was killed aren't left without one for half a minute.
            "triggerer": {"job_heartbeat_sec": "2", "triggerer_health_check_threshold": "10"},
            "core": {
                "auth_manager": "restricted.RestrictedAuthManager",
                "simple_auth_manager_users": "admin:admin,reader:viewer",
            },
        },
        env={
            "PYTHONPATH": os.pathsep.join(filter(None, (*map(str, IMPORTABLE), os.environ.get("PYTHONPATH")))),
            "ASYNCAPI_DEMO_RESULTS": results.as_uri(),
            "TMPDIR": str(home / "tmp"),
            "AIRFLOW_CONN_IN_ENVIRONMENT": elsewhere,
        },
        serve_logs=True,
    ) as running:
        yield running


@pytest.fixture(scope="session")
def begun_without_scheduler(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Future[Ends] | None]:
    """
    Run the DAGs that need no scheduler, if a test asks for them, beside the tests that come before it.

    They take half a minute, most of which they wait.
    """
    if not any("without_scheduler" in getattr(item, "fixturenames", ()) for item in request.session.items):
        yield None
        return
    with ThreadPoolExecutor(1) as beside:
        yield beside.submit(run_without_scheduler, tmp_path_factory.mktemp("without_scheduler"))


@pytest.fixture(scope="session")
def run_dag(airflow: LocalAirflow, begun_without_scheduler: Future[Ends] | None) -> DagRunner:
    """Return what runs DAGs; Airflow's start, which keeps all cores busy, is over when others begin beside it."""
    return DagRunner(airflow)
