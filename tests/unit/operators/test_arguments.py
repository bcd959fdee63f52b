"""Each argument of an operator or a sensor is its attribute, and reaches the plan that reads it."""

from __future__ import annotations

import copy
import inspect
import pickle
from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_provider_asyncapi.job import async_api_job
from airflow_provider_asyncapi.operators.asyncapi import AsyncApiFetchOperator, AsyncApiTriggerOperator
from airflow_provider_asyncapi.sensors.asyncapi import AsyncApiSensor
from airflow_provider_asyncapi.tasks.stages import STATUS, SUBMIT
from tests.unit.operators.three_tasks import fetch, sensor, submit


def test_default_args_count_for_all_three() -> None:
    arguments = {"asyncapi_conn_id": "other", "profile": "celigo", "poke_interval": 7, "retries": 2}
    with DAG("dag", schedule=None, default_args=arguments):
        before = AsyncApiTriggerOperator(task_id="submit", variables={"flow": "f"})
        waiting = AsyncApiSensor(task_id="wait", job=before.handle)
        after = AsyncApiFetchOperator(task_id="fetch", job=waiting.handle)
    for each in (before, waiting, after):
        assert (each.asyncapi_conn_id, each.profile, each.retries) == ("other", "celigo", 2)
    assert waiting.poke_interval == 7


@pytest.mark.parametrize("make", [submit, sensor, fetch])
def test_templated_fields_exist_and_are_rendered(make: Any) -> None:
    with DAG("dag", schedule=None):
        operator = make()
        for name in operator.template_fields:
            assert hasattr(operator, name)
            setattr(operator, name, {"deep": ["{{ word }}"]})
        assert set(operator.template_fields_renderers) <= set(operator.template_fields)
        operator.render_template_fields({"word": "rendered"})
    for name in operator.template_fields:
        assert getattr(operator, name) == {"deep": ["rendered"]}


#: Arguments of each task; all others describe the API.
OF_EACH_TASK = {"task_id", "job_url", "profile", "asyncapi_conn_id", "kwargs"}


def test_a_group_needs_no_arguments_for_what_the_profile_says_completely(monkeypatch: pytest.MonkeyPatch) -> None:
    profile = {
        "submit": {"endpoint": "/jobs", "identifier": "id"},
        "status": {"endpoint": "/jobs/{identifier}", "completion_key": "status", "completion_value": "done"},
    }
    monkeypatch.setattr("airflow_provider_asyncapi.tasks.lazy.load_profile", {"whole": profile}.get)
    with DAG("dag", schedule=None):
        group = async_api_job("job", profile="whole")
    assert group.submit.effective_params(SUBMIT)["endpoint"] == "/jobs"


@pytest.mark.parametrize("make", [sensor, fetch])
def test_the_attribute_job_is_the_argument_and_is_rendered(make: Any) -> None:
    with DAG("dag", schedule=None):
        task = make(job="{{ params.job_id }}")
    assert task.job == "{{ params.job_id }}"
    assert "job" in task.template_fields


@pytest.mark.parametrize(
    ("make", "of_the_task"),
    [(submit, set()), (sensor, {"job", "submit", "deferrable", "on_warning_callback"}), (fetch, {"job"})],
)
def test_what_describes_the_api_is_what_the_plan_reads(make: Any, of_the_task: set[str]) -> None:
    operator = make()
    arguments = set(inspect.signature(type(operator)).parameters)
    # soft_fail is an argument of each sensor.
    options = set(operator.stage.options) - {"soft_fail"}
    assert arguments - OF_EACH_TASK - of_the_task - options == set(operator.stage.plan_type.parameters)


@pytest.mark.parametrize("make", [submit, sensor, fetch])
def test_each_argument_reaches_the_description(make: Any) -> None:
    operator = make()
    for name in operator.stage.plan_type.parameters:
        vars(operator).clear()
        # Airflow would look at the type of a start, and at the upstream tasks.
        vars(operator).update({"poke_interval": None, name: "given"})
        assert operator.explicit_params(operator.stage) == {name: "given"}


@pytest.mark.parametrize("make", [submit, sensor, fetch])
def test_arguments_are_attributes_that_copies_have_too(make: Any) -> None:
    with DAG("dag", schedule=None):
        operator = make(headers={"X": "1"}, method="PUT", job_url="https://vendor.example", asyncapi_conn_id="c")
    for each in (operator, copy.copy(operator), copy.deepcopy(operator), operator.prepare_for_execution()):
        assert (each.headers, each.method, each.profile) == ({"X": "1"}, "PUT", None)
        assert (each.job_url, each.asyncapi_conn_id) == ("https://vendor.example", "c")
        assert each.effective_params(each.stage, with_connection=False) == operator.effective_params(
            operator.stage, with_connection=False
        )
        assert not {"self", "kwargs", "__class__"} & vars(each).keys()


def test_times_are_described_in_seconds() -> None:
    waiting = sensor(poke_interval=timedelta(minutes=1), initial_delay=timedelta(seconds=5), timeout=timedelta(hours=1))
    described = waiting.effective_params(STATUS, with_connection=False)
    assert (described["poke_interval"], described["initial_delay"]) == (60, 5)
    assert waiting.poke_interval == timedelta(minutes=1)
    assert waiting.timeout == 3600


PROFILE = {"paced": {"status": {"poke_interval": 5}}}


@pytest.mark.parametrize(
    ("given", "attribute", "described"),
    [
        ({}, 60, 5),
        # What the DAG says goes before the profile, also if Airflow has the same as its default.
        ({"poke_interval": 60}, 60, 60),
        ({"poke_interval": 60.0}, 60, 60),
        ({"poke_interval": timedelta(minutes=2)}, timedelta(minutes=2), 120),
    ],
)
def test_the_poke_interval_is_what_was_given_and_else_the_profiles(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, Any], attribute: Any, described: float
) -> None:
    monkeypatch.setattr("airflow_provider_asyncapi.tasks.lazy.load_profile", PROFILE.get)
    with DAG("dag", schedule=None):
        waiting = sensor(profile="paced", **given)
    for each in (waiting, copy.copy(waiting), copy.deepcopy(waiting), waiting.prepare_for_execution()):
        assert each.poke_interval == attribute
        each.poke_interval = pickle.loads(pickle.dumps(each.poke_interval))
        assert each.effective_params(STATUS)["poke_interval"] == described


def test_a_poke_interval_that_a_policy_sets_holds() -> None:
    waiting = sensor()
    waiting.poke_interval = 600
    assert waiting.effective_params(STATUS, with_connection=False)["poke_interval"] == 600
