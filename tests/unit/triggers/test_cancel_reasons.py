"""Whether the job of a task that is killed on a worker may be cancelled."""

from __future__ import annotations

import logging

import pytest

from airflow_provider_asyncapi.airflow_private.supervisor import SECONDS_TO_SIGKILL
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.triggers.cancel_reasons import KILL_TIMEOUT, reason_to_cancel_on_worker
from tests.unit.fake_airflow import TI, Supervisor

pytestmark = pytest.mark.usefixtures("run_outside_of_airflow")


def test_the_job_is_cancelled_if_airflow_says_that_the_task_has_ended(supervisor: Supervisor) -> None:
    supervisor.task_states = {"run": {"wait": "failed"}}
    assert reason_to_cancel_on_worker(TI(), JobHandle("j-1")) == "the task is failed"


def test_the_job_is_kept_if_airflow_does_not_answer_in_time(
    supervisor: Supervisor, caplog: pytest.LogCaptureFixture
) -> None:
    supervisor.task_states = {"run": {"wait": "failed"}}
    supervisor.delay = 0.2
    with caplog.at_level(logging.WARNING):
        assert reason_to_cancel_on_worker(TI(), JobHandle("j-1"), timeout=0) is None
    assert "Airflow didn't answer within 0 s" in caplog.text


def test_airflow_may_take_most_of_the_time_that_a_killed_task_has_and_leaves_some_for_the_cancel_request() -> None:
    assert SECONDS_TO_SIGKILL / 2 < KILL_TIMEOUT <= SECONDS_TO_SIGKILL - 1
