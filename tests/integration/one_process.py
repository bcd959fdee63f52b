"""Run DAGs without a scheduler, in a process and an AIRFLOW_HOME of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from demo.airflow.configuration import configuration, environment, write_config
from demo.server import DemoServer

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True, slots=True)
class Ends:
    """How each way of running a DAG ended, and all output."""

    ends: dict[str, str]
    output: str

    def part(self, way: str) -> str:
        return self.output.partition(f"=== {way}\n")[2].partition("\n=== ")[0]


def run_without_scheduler(home: Path) -> Ends:
    """Run ``without_scheduler.py`` in this AIRFLOW_HOME, against a demo server of its own."""
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
        ended = _run(env, "-m", "airflow", "db", "migrate")
        assert ended.returncode == 0, ended.stdout
        ended = _run(env, str(HERE / "without_scheduler.py"), str(home / "ends.json"), connection)
        assert (home / "ends.json").exists(), ended.stdout
        return Ends(json.loads((home / "ends.json").read_text()), ended.stdout)


def secrets_backend(connections: Path) -> dict[str, str]:
    return {
        "backend": "airflow.secrets.local_filesystem.LocalFilesystemBackend",
        "backend_kwargs": json.dumps({"connections_file_path": str(connections)}),
    }


def _run(env: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        env=env,
        cwd=env["AIRFLOW_HOME"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=500,
        check=False,
    )
