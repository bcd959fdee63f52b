"""The task for the whole job names the stage of a mistake, and raises the exceptions of Airflow."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import (
    AirflowException,
)

from airflow_provider_asyncapi import exceptions
from airflow_provider_asyncapi.core.errors import ConfigurationError
from airflow_provider_asyncapi.operators.job import AsyncApiJobOperator
from tests.unit.fake_airflow import TI, ApiServer, context_of, reply
from tests.unit.operators.whole_jobs import (
    POST,
    STAGES,
    make,
    run,
)

pytestmark = pytest.mark.usefixtures("connection", "run_outside_of_airflow")


# Mistakes
@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"submit": {"idntifier": "x"}},
            r"submit: idntifier: .* did you mean identifier\?",
        ),
        (
            {"submit": {"identifier": None, "identifiers": "x"}},
            "submit: identifiers: this task waits for one job; take",
        ),
        ({"status": {"failure_values": "x"}}, r"status: failure_values: .* did you mean failure_value\?"),
        ({"fetch": {"destinationx": "x"}}, r"fetch: destinationx: .* did you mean destination\?"),
        ({"status": {"mode": "reschedule"}}, "status: mode: isn't an argument of status"),
        ({"fetch": {"params": {}}}, "fetch: params: is called query_params here"),
        ({"status": {"retries": 3}}, "status: retries: is an argument of the task itself, not of status"),
        ({"fetch": {"profile": "x"}}, "fetch: profile: is an argument of the task itself"),
        ({"status": {"variables": {}}}, "status: variables: is an argument of the task itself"),
        # The check of the submit reads the status too, if it has to tell one job from the next.
        ({"resubmit": 1, "status": {"nothing": 1}}, "status: nothing: isn't an argument of status"),
        ({"resubmit": 1, "status": {"rules": 3}}, "status: rules"),
        ({"fetch": {"job": "j-1"}}, "fetch: job: the task submits the job itself"),
        ({"submit": {"rules": 3}}, "submit: rules"),
        ({"status": {"timeout": -1}}, "status: timeout: has to be a number of seconds"),
        ({"status": {"end_from_trigger": True}}, "status: end_from_trigger: needs deferrable=True"),
        ({"fetch": {"output_type": "zip"}}, "fetch: destination"),
        ({"fetch": {"endpoint": "/{nothing}"}}, r"fetch: endpoint: .* nothing sets the variable {nothing}"),
        ({"status": {"endpoint": "/{part}", "capture": {"part": "p"}}}, "status: endpoint"),
    ],
)
def test_a_mistake_in_a_mapping_is_named_when_the_dag_is_parsed(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=f"task 'wait': {message}"):
        make(**given)


def test_an_argument_of_the_task_is_none_of_its_stages() -> None:
    for name in inspect.signature(AsyncApiJobOperator.__init__).parameters.keys() - {"self", "kwargs"}:
        with pytest.raises(ConfigurationError, match=f"status: {name}: is an argument of the task itself, not of"):
            make(status={name: None})


@pytest.mark.parametrize("stage", ["submit", "status", "fetch"])
def test_what_is_no_mapping_is_refused(stage: str) -> None:
    for more in ({}, {"resubmit": 1}):
        with pytest.raises(ConfigurationError, match=f"'wait': {stage}: has to be a mapping of arguments, not list"):
            AsyncApiJobOperator(task_id="wait", **{**STAGES, **more, stage: []})


@pytest.mark.parametrize("stage", [{"status": {}}, {"fetch": {}, "fetch_in_trigger": True}])
def test_a_secret_that_would_be_stored_with_the_trigger_is_refused(stage: dict[str, Any]) -> None:
    (name, *_) = stage
    secret = {name: {"headers": {"Authorization": "Bearer planted"}}}
    with pytest.raises(ConfigurationError, match=f"{name}: headers: 'Authorization' looks like a secret"):
        make("deferred", **{**stage, **secret})


def test_a_mistake_in_a_template_is_found_before_a_job_is_submitted(api: ApiServer) -> None:
    for stage, wrong in (("status", {"nothing": 1}), ("fetch", {"nothing": 1}), ("fetch", {"rules": 3})):
        task = AsyncApiJobOperator(task_id="wait", **{**STAGES, stage: "{{ params.described }}"})
        setattr(task, stage, wrong)
        with pytest.raises(exceptions.AsyncApiConfigurationError):
            task.execute(context_of(TI()))
    assert not api.requests


def test_errors_are_those_of_airflow(api: ApiServer) -> None:
    api.respond_to(POST, reply({"error": "no"}, 422))
    with pytest.raises(AirflowException) as refused:
        run("poke")
    assert type(refused.value) is exceptions.AsyncApiRejected


@pytest.mark.parametrize(
    ("stage", "given", "message"),
    [
        ("submit", {"method": "FLY"}, "submit: method 'FLY' isn't one of"),
        ("submit", {"rules": 7}, "submit: rules: has to be a list of rules"),
        ("submit", {"start": {"method": "FLY"}}, "submit: start: method 'FLY' isn't one of"),
        ("status", {"method": "FLY"}, "status: status request: method 'FLY' isn't one of"),
        ("fetch", {"method": "FLY"}, "fetch: method 'FLY' isn't one of"),
        ("fetch", {"rules": 7}, "fetch.rules: has to be a list of rules"),
        ("fetch", {"locate": {"method": "FLY"}}, "fetch: locate: method 'FLY' isn't one of"),
    ],
)
def test_an_error_names_the_stage_once(stage: str, given: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {stage: {"endpoint": "/x", **given}}
    with pytest.raises(ConfigurationError) as caught:
        make(**arguments)
    assert str(caught.value).startswith(f"task 'wait': {message}")
