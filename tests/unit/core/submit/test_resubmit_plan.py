"""After a job has failed, another one is submitted as often as allowed, in good time before the deadline."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from airflow_provider_asyncapi.core.errors import ConfigurationError
from airflow_provider_asyncapi.core.submit.resubmit_plan import Attempt, ResubmitPlan
from airflow_provider_asyncapi.core.submit.submission import Submission


def test_no_further_job_is_submitted_by_default() -> None:
    assert ResubmitPlan.parse(None).delay_after(1, 0.0, 100.0) is None


def test_jobs_are_submitted_up_to_the_limit() -> None:
    plan = ResubmitPlan.parse(2)
    assert [plan.delay_after(failed, 0.0, 100.0) for failed in (1, 2, 3)] == [0.0, 0.0, None]


@pytest.mark.parametrize(("delay", "expected"), [(30, [30, 30, 30]), ([5, 60.5], [5, 60.5, 60.5])])
def test_the_last_delay_is_repeated(delay: Any, expected: list[float]) -> None:
    plan = ResubmitPlan.parse(3, delay)
    assert [plan.delay_after(failed, 0.0, 100.0) for failed in (1, 2, 3)] == expected


def test_no_job_is_submitted_at_the_deadline() -> None:
    plan = ResubmitPlan.parse(1, 10)
    assert plan.delay_after(1, 89.9, 100.0) == 10
    assert plan.delay_after(1, 90.0, 100.0) is None


@pytest.mark.parametrize("limit", [-1, True, 1.5, "2", 21])
def test_a_limit_that_is_no_small_number_is_an_error(limit: Any) -> None:
    with pytest.raises(ConfigurationError, match="resubmit: has to be the number of further jobs, from 0 to 20"):
        ResubmitPlan.parse(limit)


@pytest.mark.parametrize("delay", [-1, True, "5", [], [1, -1], float("inf"), float("nan"), {429: 5}])
def test_a_delay_that_is_no_number_of_seconds_is_an_error(delay: Any) -> None:
    with pytest.raises(ConfigurationError, match="resubmit_delay: has to be a number of seconds, or a list of them"):
        ResubmitPlan.parse(1, delay)


def test_the_record_keeps_a_line_about_each_failed_job() -> None:
    first = Submission("k-1", generation=3)
    second = first.for_next_job(Attempt("j-1", "FAILED", "out of memory " * 100, 1.0, 2.0))
    third = second.for_next_job(Attempt(2, None, "gone", None, 4.0))
    stored = Submission.parse(third.dump())
    assert stored == third
    assert len({first.key, second.key, third.key}) == 3
    assert [each["identifier"] for each in third.attempts] == ["j-1", 2]
    assert len(str(third.attempts[0]["message"])) < 330
    assert third.for_next_job().attempts == (), "another try of the task begins to count anew"


def test_the_next_job_is_due_after_the_delay_unless_it_may_have_been_submitted_or_the_task_was_cleared() -> None:
    attempt = Attempt("j-1", "FAILED", "lost", 1.0, 2.0)
    record = Submission.parse(Submission("k-1", generation=3).for_next_job(attempt, due_at=100.0).dump())
    assert record is not None
    assert [record.seconds_until_due(3, now) for now in (40.0, 100.0, 120.0)] == [60.0, 0.0, 0.0]
    assert record.seconds_until_due(4, 40.0) == 0.0
    assert dataclasses.replace(record, sent=True).seconds_until_due(3, 40.0) == 0.0
    assert Submission("k-1").for_next_job(attempt).seconds_until_due(0, 40.0) == 0.0


def test_a_record_whose_failed_jobs_cannot_be_read_is_read_without_them() -> None:
    stored = Submission.parse({**Submission("k-1").dump(), "attempts": "x"})
    assert stored is not None
    assert stored.attempts == ()
