"""`dag.test()` and `airflow dags test` run against a recording and a scripted API, in the task and deferred."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from demo.airflow.configuration import configuration, environment, write_config
from tests.docs.snippets import snippets

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[2]
DAGS = """
from airflow.sdk import DAG

from airflow_provider_asyncapi.job import async_api_job
from airflow_provider_asyncapi.operators.job import AsyncApiJobOperator
from airflow_provider_asyncapi.testing.fake_api import PROFILE

for deferrable in (False, True):
    with DAG(f"export_{deferrable}", schedule=None) as dag:
        AsyncApiJobOperator(
            task_id="export",
            asyncapi_conn_id="acme",
            submit=PROFILE["submit"],
            status={**PROFILE["status"], "poke_interval": 3600},
            fetch=PROFILE["fetch"],
            deferrable=deferrable,
        )
    globals()[dag.dag_id] = dag

    with DAG(f"again_{deferrable}", schedule=None) as dag:
        AsyncApiJobOperator(
            task_id="export",
            asyncapi_conn_id="acme",
            submit=PROFILE["submit"],
            status=PROFILE["status"],
            fetch=PROFILE["fetch"],
            resubmit=1,
            resubmit_delay=3600,
            resubmit_on=[{"selector": "error.code", "in": ["QUOTA"]}],
            deferrable=deferrable,
        )
    globals()[dag.dag_id] = dag

for mode in ("poke", "deferred", "reschedule"):
    with DAG(f"group_{mode}", schedule=None) as dag:
        async_api_job(
            "export",
            asyncapi_conn_id="acme",
            submit=PROFILE["submit"],
            status={
                **PROFILE["status"],
                "poke_interval": 600,
                "deferrable": mode == "deferred",
                "mode": "reschedule" if mode == "reschedule" else "poke",
            },
            fetch=PROFILE["fetch"],
            resubmit=1,
            resubmit_delay=3600,
        )
    globals()[dag.dag_id] = dag
"""
RECORDING = """
exchanges:
  - request: {method: POST, url: /jobs}
    response: {status: 201, body: {id: "7"}}
  - request: {method: GET, url: /jobs/7}
    response: {body: {status: running}}
  - request: {method: GET, url: /jobs/7}
    response: {body: {status: done}}
  - request: {method: GET, url: /jobs/7/result}
    response: {body: {rows: [1, 2]}}
"""
TESTS = """
import pytest
from airflow.cli import cli_parser
from airflow.dag_processing.dagbag import DagBag


@pytest.fixture(params=["dag.test()", "dags test"])
def run(request):
    def run_dag(dag_id):
        if request.param == "dag.test()":
            assert DagBag({dags!r}).dags[dag_id].test().state == "success"
        else:
            arguments = cli_parser.get_parser().parse_args(["dags", "test", dag_id])
            # Ends with an error if the run fails.
            arguments.func(arguments)

    return run_dag


@pytest.mark.parametrize("dag_id", ["export_False", "export_True"])
def test_a_script(asyncapi_fake, run, dag_id):
    api = asyncapi_fake(["queued", "running", "done"], rows=[1], errors={{2: 503}}, conn_id="acme")
    run(dag_id)
    assert api.polls == {{"1": 3}}


@pytest.mark.parametrize("dag_id", ["again_False", "again_True", "group_poke", "group_deferred", "group_reschedule"])
def test_a_job_after_a_failed_one(asyncapi_fake, run, dag_id):
    api = asyncapi_fake([["queued", "failed"], ["running", "done"]], error={{"code": "QUOTA"}}, conn_id="acme")
    # Real pauses would take longer than this process may.
    run(dag_id)
    assert api.polls == {{"1": 2, "2": 2}}


@pytest.mark.parametrize("dag_id", ["export_False", "export_True"])
def test_a_recording(asyncapi_replay, run, dag_id):
    asyncapi_replay("recording.yaml", conn_id="acme")
    run(dag_id)
"""


def test_dags_are_tested_against_a_recording_and_a_script(tmp_path: Path) -> None:
    home, tests = tmp_path / "home", tmp_path / "tests"
    dags = home / "dags"
    dags.mkdir(parents=True)
    tests.mkdir()
    (dags / "modes.py").write_text(DAGS)
    (tests / "recording.yaml").write_text(RECORDING)
    (tests / "test_modes.py").write_text(TESTS.format(dags=str(dags)))
    for each in snippets("python", "yaml"):
        if each.file == "docs/guides/testing.md" and each.key == "file":
            is_dag = "DAG(" in each.text and "def test_" not in each.text
            ((dags if is_dag else tests) / each.value).write_text(each.text)
    write_config(home / "airflow.cfg", configuration(home, dags, "http://127.0.0.1:9", default_deferrable=False))
    env = environment(home) | {"PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))}
    for words in (["airflow", "db", "migrate"], ["pytest", "-q", "-p", "no:cacheprovider", str(tests)]):
        done = subprocess.run(
            [sys.executable, "-m", *words],
            cwd=tests,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=500,
            check=False,
        )
        assert done.returncode == 0, done.stdout
    assert "23 passed" in done.stdout
