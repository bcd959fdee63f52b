"""Each documented way to run a DAG, with its connection in the database, the environment and a secrets backend."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from demo.airflow.configuration import configuration, environment, write_config
from demo.server import DemoServer

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

HERE = Path(__file__).resolve().parent
WAYS = (
    *("dags test, database", "dags test, environment", "dags test, backend", "dags test, callback"),
    *("dag.test()", "dag.test(), by hand", "tasks test"),
)
#: Where the connection is.
PLACES = ("database", "environment", "backend")
#: Those that call the hook themselves.
BY_HAND = ("by_hand", "in_a_trigger_of_ones_own")


@dataclass(frozen=True, slots=True)
class Ends:
    """How each way ended, and all that was said."""

    ends: dict[str, str]
    output: str

    def part(self, way: str) -> str:
        return self.output.partition(f"=== {way}\n")[2].partition("\n=== ")[0]


@pytest.fixture(scope="module")
def without_scheduler(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ends]:
    home = tmp_path_factory.mktemp("without_scheduler")
    with DemoServer(job_seconds=2.0) as server:
        connection = json.dumps({"conn_type": "asyncapi", "host": server.url})
        file = home / "connections.json"
        file.write_text(json.dumps({"in_backend": json.loads(connection)}))
        config = configuration(home, HERE / "dags", "http://127.0.0.1:9", default_deferrable=False)
        config["secrets"] = secrets_backend(file)
        write_config(home / "airflow.cfg", config)
        env = environment(home) | {
            "AIRFLOW_CONN_IN_ENVIRONMENT": connection,
            "ASYNCAPI_TEST_DAGS": str(HERE / "dags" / "ways.py"),
            "PYTHONPATH": os.pathsep.join(filter(None, (str(HERE.parents[1]), os.environ.get("PYTHONPATH")))),
            "TMPDIR": str(home),
        }
        ended = run(env, "-m", "airflow", "db", "migrate")
        assert ended.returncode == 0, ended.stdout
        ended = run(env, str(HERE / "without_scheduler.py"), str(home / "ends.json"), connection)
        assert (home / "ends.json").exists(), ended.stdout
        yield Ends(json.loads((home / "ends.json").read_text()), ended.stdout)


def secrets_backend(connections: Path) -> dict[str, str]:
    return {
        "backend": "airflow.secrets.local_filesystem.LocalFilesystemBackend",
        "backend_kwargs": json.dumps({"connections_file_path": str(connections)}),
    }


def run(env: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        env=env,
        cwd=env["AIRFLOW_HOME"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.parametrize("way", WAYS)
def test_a_deferred_job_runs_to_its_end_without_a_scheduler(without_scheduler: Ends, way: str) -> None:
    assert without_scheduler.ends.get(way) == "success", without_scheduler.part(way)[-5000:]


@pytest.mark.parametrize("way", WAYS)
def test_nothing_is_logged_as_an_error(without_scheduler: Ends, way: str) -> None:
    lines = without_scheduler.part(way).splitlines()
    assert lines
    assert [line for line in lines if "[error" in line or "can't be looked up" in line] == []


@pytest.fixture(scope="module")
def started(run_dag) -> dict[str, str]:
    """All runs at once: one after the other, most of the time would be waiting."""
    return {dag_id: run_dag.start(dag_id) for dag_id in (*BY_HAND, *(f"connection_in_{place}" for place in PLACES))}


@pytest.mark.parametrize("dag_id", BY_HAND)
def test_the_hook_does_a_job_by_hand_on_a_worker_on_its_event_loop_and_in_the_triggerer(
    run_dag, started, dag_id: str
) -> None:
    result = run_dag.finish(dag_id, started[dag_id])
    assert result.state == "success", result.failures()


@pytest.mark.parametrize("place", PLACES)
def test_a_deferred_job_runs_to_its_end_with_a_scheduler_and_a_triggerer(run_dag, started, place: str) -> None:
    result = run_dag.finish(f"connection_in_{place}", started[f"connection_in_{place}"])
    assert result.state == "success", result.failures()
