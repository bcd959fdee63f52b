"""What the sensor submits, and mistakes in it, are known when the DAG is parsed."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_asyncapi.core.errors import ConfigurationError
from airflow_provider_asyncapi.sensors.asyncapi import AsyncApiSensor
from tests.unit.sensors.resubmit_groups import LONG_STATUS, SUBMIT, make_group

pytestmark = pytest.mark.usefixtures("connection", "run_outside_of_airflow")


def test_tasks_of_different_connections_submit_no_job_of_a_profile() -> None:
    assert make_group(status={"asyncapi_conn_id": "other"}).wait.group_submit is None
    assert make_group().wait.group_submit == SUBMIT


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"submit": {"headers": {"X-Idempotency-Key": "{{ run_id }}"}}},
            r"resubmit: headers\['X-Idempotency-Key'\] is the same for each job",
        ),
        (
            {"submit": {"query_params": {"idempotencyToken": "a"}}},
            r"resubmit: query_params\['idempotencyToken'\] is the same for each job",
        ),
        (
            {"status": {"cancel": {"endpoint": "/jobs/current/cancel"}}},
            "resubmit: the request in cancel doesn't name the job",
        ),
        (
            {"submit": {"variables": {"a": 1}}, "status": {"cancel": {"endpoint": "/{a}/{connection.team}"}}},
            "resubmit: the request in cancel doesn't name the job",
        ),
    ],
)
def test_a_job_that_cant_be_told_from_the_failed_one_is_refused_when_the_dag_is_parsed(
    given: dict[str, Any], message: str
) -> None:
    make_group(**given)
    with pytest.raises(ConfigurationError, match=message):
        make_group(**given, resubmit=1)


def test_a_cancel_request_that_names_the_job_is_none_of_these() -> None:
    make_group(status={"cancel": {"endpoint": "/jobs/{identifier}"}}, resubmit=1)
    make_group(status={"cancel": {"endpoint": "/jobs", "json": {"id": "{part}"}}, "capture": {"part": "p"}}, resubmit=1)
    make_group(status={"cancel": {"endpoint": "{{ params.cancel }}"}}, resubmit=1)


def test_without_any_of_it_the_sensor_does_not_know_the_submit() -> None:
    assert make_group().wait.submit is None
    wait = make_group(resubmit=1).wait
    assert wait.submit == SUBMIT, "Airflow's arguments are those of the task that submits"


def test_a_start_in_the_triggerer_is_still_possible() -> None:
    wait = make_group(
        submit={"json": {"day": "{{ ds }}"}},
        status={"deferrable": True, "start_from_trigger": True, "cancel": False},
        resubmit=1,
    ).wait
    arguments: Any = wait.start_trigger_args
    if arguments is not None:
        assert "resubmit" not in arguments.trigger_kwargs["spec"]
        assert arguments.trigger_kwargs["spec"]["cancel"] is False, "only the trigger knows the connection's profile"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"resubmit": 30}, "resubmit: has to be the number of further jobs"),
        ({"resubmit": 1, "resubmit_on": [{}]}, r"resubmit_on\[0\]: has to have a selector"),
        ({"repair": {"endpoint": "/{identifier}"}}, "repair: has no effect, since resubmit is 0"),
        ({"resubmit": 1, "repair": {"endpoint": "/repair"}}, "repair: the request has to name the failed job"),
        ({"resubmit": 1, "repair_on": [{"selector": "a", "in": 1}]}, "repair_on: needs repair"),
        ({"resubmit": 1, "submit": {"lookup": {"endpoint": "/latest"}}}, "the request in lookup may find the failed"),
        ({"resubmit": 1, "submit": {"asyncapi_conn_id": "other"}}, "asyncapi_conn_id: the task that waits submits"),
        ({"resubmit": 1, "status": {"callback": True}}, "resubmit: isn't supported with callback"),
    ],
)
def test_mistakes_fail_when_the_dag_is_parsed(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        make_group(**given)


def test_a_sensor_alone_needs_the_arguments_of_the_submit() -> None:
    with pytest.raises(ConfigurationError, match="task 'wait': resubmit: needs submit, the arguments of the task"):
        AsyncApiSensor(task_id="wait", job="j-1", **LONG_STATUS, resubmit=1)
