from __future__ import annotations

import hashlib
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowSkipException, Asset
from airflow.sdk import DAG

from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.outcome import Outcome
from airflow_provider_asyncapi.operators.asyncapi import AsyncApiFetchOperator, AsyncApiTriggerOperator
from airflow_provider_asyncapi.sensors.asyncapi import AsyncApiSensor
from tests.unit.fake_airflow import TI, ApiServer, context_of, reply

pytestmark = pytest.mark.usefixtures("connection", "run_outside_of_airflow")


class Events:
    """The events of a task's outlets, found by the asset's address, as Airflow does: assets have no hash in 3.1."""

    def __init__(self) -> None:
        self.event = SimpleNamespace(extra={"by": "me"})

    def __getitem__(self, asset: Asset) -> Any:
        assert asset.uri == "file:///rows"
        return self.event


def fetching(**given: Any) -> AsyncApiFetchOperator:
    return AsyncApiFetchOperator(task_id="fetch", **{"job": "7", "endpoint": "/jobs/{identifier}", **given})


def test_events_of_outlets_carry_the_manifest(api: ApiServer, tmp_path: Any) -> None:
    api.respond_to("GET /jobs/7", reply({"rows": [1]}))
    outlets, events = [Asset("file:///rows"), SimpleNamespace()], Events()
    operator = fetching(result_path="rows", destination=f"{tmp_path}/x.json", outlets=outlets)
    manifest = operator.execute(context_of(TI(), outlet_events=events))
    assert manifest["sha256"] == [hashlib.sha256(b"[1]").hexdigest()]
    assert events.event.extra == {"by": "me", **manifest}


def test_the_size_of_the_result_is_pushed_and_not_its_content(api: ApiServer, tmp_path: Any) -> None:
    api.respond_to("GET /jobs/7", reply([{"secret": "planted"}, {}]))
    ti = TI()
    fetching(job="7", result_path=None).execute(context_of(ti))
    result = ti.xcoms["job_result"]
    assert (result["identifier"], result["rows"]) == ("7", 2)
    assert "planted" not in str(result)
    fetching(job="7", result_path=None, destination=f"{tmp_path}/rows.json").execute(context_of(ti))
    result = ti.xcoms["job_result"]
    assert result["file_count"] == 1
    assert result["bytes"] > 0
    assert result["files"][0].endswith("rows.json")


def test_a_value_in_xcom_is_in_no_event(api: ApiServer) -> None:
    api.respond_to("GET /jobs/7", reply({"rows": [1]}))
    operator, events = fetching(outlets=[Asset("file:///rows")]), Events()
    assert operator.execute(context_of(TI(), outlet_events=events)) == {"rows": [1]}
    assert events.event.extra == {"by": "me"}


@pytest.mark.parametrize(
    ("destination", "datasets"), [(None, []), ("s3://aws_default@bucket/rows/", [("s3://bucket", "rows")])]
)
def test_open_lineage_is_told_of_what_was_written(destination: Any, datasets: Any) -> None:
    pytest.importorskip("airflow.providers.openlineage")
    lineage = fetching(destination=destination).get_openlineage_facets_on_complete(None)
    assert [(dataset.namespace, dataset.name) for dataset in lineage.outputs] == datasets


def test_all_tries_of_a_task_instance_own_the_same_files(api: ApiServer, tmp_path: Any, monkeypatch: Any) -> None:
    api.respond_to("GET /jobs/7", reply({}))
    owners = []
    monkeypatch.setattr(
        "airflow_provider_asyncapi.tasks.fetch_result.fetch",
        lambda _hook, task, _save: owners.append(task.owner),
    )
    for index, number in ((-1, 1), (3, 2)):
        ti = TI(index)
        ti.try_number = number
        fetching().execute(context_of(ti))
    assert [(owner.name, owner.is_retry) for owner in owners] == [("dag/run/wait/-1", False), ("dag/run/wait/3", True)]


@pytest.mark.parametrize(
    ("outcome", "from_wait", "warned"), [("running", False, True), ("running", True, True), ("success", True, False)]
)
def test_a_job_handle_from_before_the_wait_is_warned_of(
    api: ApiServer, capsys: pytest.CaptureFixture[str], outcome: str, from_wait: bool, warned: bool
) -> None:
    api.respond_to("GET /jobs/7", reply({}))
    with DAG("dag", schedule=None):
        submit = AsyncApiTriggerOperator(task_id="submit", endpoint="/jobs", identifier="id")
        wait = AsyncApiSensor(task_id="wait", job=submit.handle, endpoint="/jobs/{identifier}", completion_key="s")
        fetch = fetching(job=wait.job if from_wait else "{{ ti.xcom_pull('submit', key='job') }}")
    submitter = {"dag_id": "dag", "run_id": "run", "task_id": "submit", "map_index": -1}
    # As Airflow renders it.
    fetch.job = JobHandle("7", Outcome(outcome), task=submitter).dump()
    fetch.execute(context_of(TI()))
    assert ("pass the sensor's attribute handle (job=wait.handle)" in capsys.readouterr().out) is warned


def test_a_job_that_no_sensor_waits_for_is_fetched_without_a_warning(
    api: ApiServer, capsys: pytest.CaptureFixture[str]
) -> None:
    api.respond_to("GET /jobs/7", reply({}))
    with DAG("dag", schedule=None):
        AsyncApiSensor(task_id="wait", job="8", endpoint="/jobs/{identifier}", completion_key="s")
        fetch = fetching()
    for job in ("7", JobHandle("7", task={"task_id": "submit"}).dump()):
        fetch.job = job
        fetch.execute(context_of(TI()))
    assert "wait.handle" not in capsys.readouterr().out


def test_a_task_that_is_killed_leaves_nothing(api: ApiServer, tmp_path: Any, monkeypatch: Any) -> None:
    operator = fetching(output_type="file", destination=f"{tmp_path}/a/x")
    operator.on_kill()

    def killing(*_: Any) -> Any:
        operator.on_kill()

    api.respond_to("GET /jobs/7", reply("x" * 1000))
    monkeypatch.setattr("airflow_provider_asyncapi.results.destination.PartialFile.write", killing)
    with pytest.raises(SystemExit, match="was killed while it was fetching"):
        operator.execute(context_of(TI()))
    assert list(tmp_path.iterdir()) == []
    operator.on_kill()


def test_what_the_task_says_of_a_job_holds_nothing_that_a_terminal_acts_on(api: ApiServer) -> None:
    job = {"version": 1, "identifier": "a\x9b1m\u202eb", "outcome": "no_data"}
    with pytest.raises(AirflowSkipException) as caught:
        fetching(job=job).execute(context_of(TI()))
    assert str(caught.value).startswith("Job a\N{REPLACEMENT CHARACTER}1m\N{REPLACEMENT CHARACTER}b ended with no data")
