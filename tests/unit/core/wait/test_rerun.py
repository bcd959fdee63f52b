"""The error about a failed job says whether the rules allow another one."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from airflow_provider_asyncapi.core.errors import ConfigurationError, JobFailedError, read_error
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.outcome import Rerun
from airflow_provider_asyncapi.core.wait.checkpoint import WaitCheckpoint
from airflow_provider_asyncapi.core.wait.flow import wait
from airflow_provider_asyncapi.core.wait.plan import WaitPlan
from tests.unit.core.flow_runner import START, FlowRunner, make_api, make_response, plan_fields

FAILED = make_response({"status": "failed", "code": "TIMEOUT", "attempt": 2, "error": "e-1"})
DETAILS = {"failure_details": {"endpoint": "/errors"}}


def fail(*replies: Any, **given: Any) -> tuple[JobFailedError, FlowRunner]:
    runner = FlowRunner(make_api(), *replies)
    state = WaitCheckpoint(JobHandle("7", submitted_at=START, variables={"most": 3}), START)
    with pytest.raises(JobFailedError) as raised:
        runner.run(wait(runner.api, WaitPlan.parse(plan_fields(**given)), state))
    return raised.value, runner


@pytest.mark.parametrize(
    ("rules", "rerun"),
    [
        (None, None),
        ([{"selector": "code", "in": ["TIMEOUT", "LOST"]}], Rerun.SUBMIT),
        ([{"selector": "code", "in": "timeout"}], Rerun.NEVER),
        ([{"selector": "code", "in": "OTHER"}, {"selector": "code", "matches": "^TIME"}], Rerun.SUBMIT),
        ([{"all": [{"selector": "code", "in": "TIMEOUT"}, {"selector": "attempt", "lt": 2}]}], Rerun.NEVER),
        ([{"selector": "attempt", "lt": "{most}"}], Rerun.SUBMIT),
        ([{"selector": "nothing", "exists": True}], Rerun.NEVER),
    ],
)
def test_the_rules_decide_by_the_response_that_reports_the_failure(rules: Any, rerun: Rerun | None) -> None:
    error, _ = fail(FAILED, resubmit_on=rules)
    assert error.rerun == rerun
    assert read_error(error.dump()).rerun == rerun, "the event of a trigger carries it"


def test_strings_are_compared_without_case_if_those_of_the_status_are() -> None:
    error, _ = fail(FAILED, resubmit_on=[{"selector": "code", "in": "timeout"}], ignore_case=True)
    assert error.rerun == Rerun.SUBMIT


@pytest.mark.parametrize(("cause", "rerun"), [("node lost", Rerun.SUBMIT), ("bad query", Rerun.NEVER)])
def test_the_rules_read_the_details_of_the_failure_too(cause: str, rerun: Rerun) -> None:
    details = make_response({"cause": cause})
    error, runner = fail(FAILED, details, resubmit_on=[{"selector": "cause", "in": "node lost"}], **DETAILS)
    assert error.rerun == rerun
    assert len(runner.requests) == 2


def test_a_failure_that_matches_already_stays_one_whatever_its_details_say() -> None:
    error, _ = fail(FAILED, make_response({}), resubmit_on=[{"selector": "code", "in": "TIMEOUT"}], **DETAILS)
    assert error.rerun == Rerun.SUBMIT


ON_TIMEOUT = [{"selector": "code", "in": "TIMEOUT"}]
ON_OTHER = [{"selector": "code", "in": "OTHER"}]


@pytest.mark.parametrize(
    ("given", "rerun"),
    [
        ({"repair_on": ON_TIMEOUT}, Rerun.REPAIR),
        ({"repair_on": ON_OTHER}, Rerun.SUBMIT),
        ({"repair_on": ON_TIMEOUT, "resubmit_on": ON_OTHER}, Rerun.NEVER),
        ({"repair_on": ON_TIMEOUT, "resubmit_on": ON_TIMEOUT}, Rerun.REPAIR),
        ({"repair_on": ON_OTHER, "resubmit_on": ON_TIMEOUT}, Rerun.SUBMIT),
        ({"repair_on": [{"selector": "xpath:/a", "exists": True}]}, Rerun.SUBMIT),
    ],
)
def test_rules_decide_whether_the_job_is_repaired(given: Any, rerun: Rerun) -> None:
    error, _ = fail(FAILED, repair={"endpoint": "/jobs/{identifier}/repair"}, **given)
    assert error.rerun == rerun


def test_rules_that_cannot_read_the_response_allow_no_other_job() -> None:
    error, runner = fail(
        make_response(b"not JSON", status=202),
        rules=[{"selector": "status_code", "in": 202, "outcome": "failure"}],
        completion_key=None,
        completion_value=None,
        failure_value=None,
        resubmit_on=[{"selector": "code", "in": "TIMEOUT"}],
    )
    assert error.rerun == Rerun.NEVER
    (warning,) = [text for level, text in runner.logs if level == logging.WARNING]
    assert "resubmit_on can't be evaluated" in warning


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], r"resubmit_on: has to be a list of rules without outcomes, not \[\]"),
        ({"selector": "code", "in": "x"}, "resubmit_on: has to be a list of rules"),
        (["code"], r"resubmit_on\[0\]: has to be a rule without outcome, not 'code'"),
        ([{"selector": "code", "in": "x", "outcome": "failure"}], r"resubmit_on\[0\]: has to be a rule without"),
        ([{"selector": "code", "is": "x"}], r"resubmit_on\[0\]: has to have a selector and one of"),
        ([{"selector": "code", "in": "x"}, {"selector": "..[", "in": "x"}], r"resubmit_on\[1\]"),
    ],
)
def test_rules_that_cannot_be_read_are_errors(given: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        WaitPlan.parse(plan_fields(resubmit_on=given))
