"""Where a wait begins or ends without a worker, and why it doesn't."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest
from airflow.providers.common.compat.sdk import TaskGroup
from airflow.sdk import DAG, Asset, task_group
from airflow.serialization import serialized_objects

from airflow_provider_asyncapi.airflow_private.versions import HAS_TRIGGER_ON_KILL
from airflow_provider_asyncapi.core.errors import ConfigurationError
from airflow_provider_asyncapi.operators.asyncapi import AsyncApiTriggerOperator
from airflow_provider_asyncapi.sensors.asyncapi import AsyncApiSensor

STATUS: dict[str, Any] = {
    "endpoint": "/jobs/{identifier}",
    "completion_key": "status",
    "completion_value": "done",
    "timeout": 60,
    "deferrable": True,
}
BOTH: dict[str, Any] = {"start_from_trigger": True, "end_from_trigger": True}
carried = pytest.mark.skipif(not HAS_TRIGGER_ON_KILL, reason="needs Airflow 3.3")


def make(**given: Any) -> AsyncApiSensor:
    with DAG("dag", schedule=None):
        return AsyncApiSensor(**{"task_id": "wait", "job": "j-1", **STATUS, **BOTH, **given})


def submit() -> AsyncApiTriggerOperator:
    return AsyncApiTriggerOperator(task_id="submit", endpoint="/jobs", identifier="id")


def begun(sensor: AsyncApiSensor) -> dict[str, Any]:
    assert sensor.start_trigger_args is not None
    return dict(sensor.start_trigger_args.trigger_kwargs or {})


def test_without_being_asked_for_a_worker_begins_and_ends() -> None:
    sensor = make(start_from_trigger=False, end_from_trigger=False)
    assert (sensor.start_from_trigger, sensor.end_from_trigger, sensor.start_trigger_args) == (False, False, None)


@carried
def test_the_triggerer_is_told_where_the_job_is_and_how_to_wait() -> None:
    with DAG("dag", schedule=None), TaskGroup("group"):
        sensor = AsyncApiSensor(task_id="wait", job=submit().handle, **STATUS, **BOTH)
    given = begun(sensor)
    begin = given["begin"]
    assert (begin["task_id"], begin["key"], begin["timeout"]) == ("group.submit", "job", 60)
    assert given["spec"] == {name: STATUS[name] for name in ("endpoint", "completion_key", "completion_value")}
    assert given["end_from_trigger"] is True
    assert sensor.upstream_task_ids == {"group.submit"}


@carried
def test_airflows_own_timeout_comes_long_after_the_deadline() -> None:
    sensor = make()
    assert sensor.start_trigger_args is not None
    timeout = sensor.start_trigger_args.timeout
    assert timeout == timedelta(seconds=begun(sensor)["begin"]["airflow_timeout"])
    assert timeout > timedelta(hours=1)


@carried
@pytest.mark.parametrize("given", [{}, BOTH], ids=["begun by a worker", "begun by the triggerer"])
def test_the_dag_processor_can_send_a_sensor_with_all_defaults(given: dict[str, Any]) -> None:
    with DAG("dag", schedule=None) as dag:
        AsyncApiSensor(task_id="wait", job="j-1", endpoint="/jobs", completion_value="done", deferrable=True, **given)
    serialized: Any = getattr(serialized_objects, "DagSerialization", serialized_objects.SerializedDAG)
    assert msgspec.msgpack.encode(serialized.to_dict(dag))


@carried
def test_a_job_that_the_author_knows_is_handed_on_as_it_is() -> None:
    assert begun(make(job=7))["begin"]["job"] == 7


@carried
@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"endpoint": "/{{ ds }}/{identifier}"}, "endpoint: is a template"),
        ({"headers": {"X-Deep": ["{% if x %}{% endif %}"]}}, "headers: is a template"),
        ({"asyncapi_conn_id": "{{ params.conn }}"}, "asyncapi_conn_id: is a template"),
        ({"job": "{{ ti.xcom_pull('submit') }}"}, "job: is neither"),
        ({"job_url": "https://x.example/{identifier}"}, "job_url: Airflow stores extra links on workers only"),
        ({"execution_timeout": timedelta(hours=1)}, "it has an execution_timeout"),
        ({"on_execute_callback": lambda _: None}, "it has an on_execute_callback"),
        ({"pre_execute": lambda _: None}, "or pre_execute"),
    ],
)
def test_what_airflow_does_on_workers_only_keeps_the_beginning_there(given: dict[str, Any], why: str) -> None:
    sensor = make(**given)
    assert sensor.start_from_trigger is False
    assert sensor.start_trigger_args is None
    assert why in sensor._unsupported_options["start_from_trigger"]


@carried
def test_an_xcom_that_airflow_would_have_to_resolve_keeps_the_beginning_on_a_worker() -> None:
    with DAG("dag", schedule=None):
        one = submit()
        many = AsyncApiTriggerOperator.partial(task_id="many", identifier="id").expand(endpoint=["/a", "/b"])
        jobs = {"mapped": many.output, "changed": one.output.map(str), "nested": {"identifier": one.output}}
        sensors = {name: AsyncApiSensor(task_id=name, job=job, **STATUS, **BOTH) for name, job in jobs.items()}
        header = AsyncApiSensor(task_id="header", job=one.handle, headers={"X-Job": one.output}, **STATUS, **BOTH)
    for name, sensor in sensors.items():
        assert "job: is neither" in sensor._unsupported_options["start_from_trigger"], name
    assert "headers: is a template" in header._unsupported_options["start_from_trigger"]


@carried
def test_in_a_mapped_task_group_a_worker_begins() -> None:
    made: list[AsyncApiSensor] = []

    @task_group
    def group(endpoint: str) -> None:
        one = AsyncApiTriggerOperator(task_id="submit", endpoint=endpoint, identifier="id")
        made.append(AsyncApiSensor(task_id="wait", job=one.handle, **STATUS, **BOTH))

    with DAG("dag", schedule=None):
        group.expand(endpoint=["/a", "/b"])
    assert made[0]._unsupported_options == {"start_from_trigger": "it is in a mapped task group"}


@carried
def test_a_mapped_sensor_is_given_to_no_trigger_by_airflow() -> None:
    with DAG("dag", schedule=None):
        mapped: Any = AsyncApiSensor.partial(task_id="wait", **STATUS, **BOTH).expand(job=["a", "b"])
    # Airflow would start it with the arguments of the class, and without the mapped value.
    assert mapped.start_trigger_args is None


@carried
@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"outlets": [Asset("a")]}, "it has outlets"),
        (
            {"cleanup": {"endpoint": "/jobs/{identifier}"}, "cleanup_on": "success"},
            "cleanup_on: a worker sends the cleanup request after a success",
        ),
        ({"on_success_callback": lambda _: None}, "it has an on_success_callback"),
        ({"post_execute": lambda *_: None}, "or post_execute"),
        ({"on_execute_callback": lambda _: None}, "it has an on_execute_callback"),
        ({"do_xcom_push": False}, "do_xcom_push"),
        ({"multiple_outputs": True}, "multiple_outputs"),
    ],
)
def test_what_airflow_does_on_workers_only_keeps_the_end_there(given: dict[str, Any], why: str) -> None:
    sensor = make(start_from_trigger=False, **given)
    assert why in sensor._unsupported_options["end_from_trigger"]
    assert sensor.start_trigger_args is None


@carried
def test_an_end_that_airflow_does_not_support_stays_the_argument_that_was_given() -> None:
    assert make(outlets=[Asset("a")]).end_from_trigger is True


@carried
def test_a_start_without_the_end_says_so_to_the_trigger() -> None:
    sensor = make(outlets=[Asset("a")])
    assert sensor.start_from_trigger is True
    assert begun(sensor)["end_from_trigger"] is False


@pytest.mark.skipif(HAS_TRIGGER_ON_KILL, reason="an older Airflow")
def test_an_older_airflow_takes_a_worker_and_says_so() -> None:
    sensor = make()
    assert sensor.start_from_trigger is False
    assert sensor._unsupported_options == dict.fromkeys(
        ("end_from_trigger", "start_from_trigger"), "Airflow doesn't support it before 3.3"
    )


@pytest.mark.parametrize("name", ["start_from_trigger", "end_from_trigger"])
def test_without_a_trigger_there_is_nothing_to_begin_or_end_from(name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"task 'wait': {name}: needs deferrable=True"):
        make(**{**dict.fromkeys(BOTH, False), name: True, "deferrable": False})
