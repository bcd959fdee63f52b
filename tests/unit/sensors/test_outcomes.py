"""The ends of a wait, which are the same in all modes."""

from __future__ import annotations

import time
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSkipException,
    DownstreamTasksSkipped,
)

from airflow_provider_asyncapi import exceptions
from tests.unit.fake_airflow import TI, ApiServer, reply
from tests.unit.sensors.modes import MODES, POLL, handle, in_all_modes, make_sensor, running, wait

pytestmark = pytest.mark.usefixtures("connection", "run_outside_of_airflow")


def test_success_returns_the_identifier_and_hands_on_the_job(api: ApiServer) -> None:
    outcome = in_all_modes(lambda: api.respond_to(POLL, running(), reply({"status": "done"})))
    assert outcome.error is None
    assert outcome.returned == "j-1"
    job = outcome.xcoms["job"]
    assert (job["identifier"], job["outcome"], job["status"], job["progress"]) == ("j-1", "success", "done", 1.0)


def test_a_result_identifier_is_what_is_returned(api: ApiServer) -> None:
    def script() -> None:
        api.respond_to(POLL, running(), reply({"status": "done", "result": {"id": 7}, "pages": 3}))

    outcome = in_all_modes(script, result_identifier="result.id", capture={"pages": "pages"})
    assert outcome.returned == 7
    assert outcome.xcoms["job"]["variables"] == {"result_identifier": 7, "result.id": 7, "pages": 3}


def test_a_value_that_only_an_early_answer_held_is_kept(api: ApiServer) -> None:
    for mode in MODES[:3]:
        api.respond_to(POLL, running(place="eu"), running(), reply({"status": "done"}))
        assert wait(mode, capture={"region": "place"}).xcoms["job"]["variables"]["region"] == "eu", mode


def test_a_failed_job_fails_the_task_for_good(api: ApiServer) -> None:
    def script() -> None:
        api.respond_to(POLL, running(), reply({"status": "failed", "error": {"message": "no such table"}}))

    outcome = in_all_modes(script)
    assert type(outcome.error) is exceptions.AsyncApiJobFailed
    assert isinstance(outcome.error, AirflowFailException)
    assert "no such table" in str(outcome.error)


def test_no_data_skips_what_needs_the_data_and_nothing_else(api: ApiServer) -> None:
    outcome = in_all_modes(lambda: api.respond_to(POLL, running(), reply({"status": "empty"})))
    assert isinstance(outcome.error, DownstreamTasksSkipped)
    assert outcome.error.tasks == ["next"]
    # Airflow skips them again when they are cleared.
    assert outcome.xcoms["skipmixin_key"] == {"skipped": ["next"]}
    assert outcome.xcoms["return_value"] == "j-1"
    assert outcome.xcoms["job"]["outcome"] == "no_data"


@pytest.mark.parametrize("mode", MODES)
def test_no_data_is_a_good_end_also_with_soft_fail(api: ApiServer, mode: str) -> None:
    api.respond_to(POLL, reply({"status": "empty"}))
    assert isinstance(wait(mode, soft_fail=True).error, DownstreamTasksSkipped)


@pytest.mark.parametrize("mode", MODES)
def test_no_data_of_a_mapped_task_is_told_by_its_handle(api: ApiServer, mode: str) -> None:
    api.respond_to(POLL, reply({"status": "empty"}))
    outcome = wait(mode, TI(map_index=2))
    assert outcome.returned == "j-1"
    assert outcome.error is None
    assert outcome.xcoms["job"]["outcome"] == "no_data"
    assert "skipmixin_key" not in outcome.xcoms


REMOVE = "DELETE /jobs/j-1"


def test_a_job_with_an_unknown_status_is_not_removed_since_it_may_be_running(api: ApiServer) -> None:
    for mode in MODES[:3]:
        api.respond_to(POLL, running(), reply({"status": "paused"}))
        outcome = wait(mode, cleanup={"endpoint": "/jobs/{identifier}"}, running_value="running")
        assert isinstance(outcome.error, exceptions.AsyncApiUnknownStatus), mode
    assert api.count(REMOVE) == 0


@pytest.mark.parametrize(
    ("status", "cleanup_on", "sent"),
    [
        ("empty", None, 1),
        ("failed", None, 1),
        ("done", None, 0),
        ("done", "success", 1),
        ("empty", "failure", 0),
        ("failed", ["no_data", "success"], 0),
    ],
)
def test_a_job_after_which_nothing_is_fetched_is_removed_where_the_author_says_so(
    api: ApiServer, status: str, cleanup_on: Any, sent: int
) -> None:
    for mode in MODES[:3]:
        before = api.count(REMOVE)
        api.respond_to(POLL, running(), reply({"status": status}))
        api.respond_to(REMOVE, reply(b"", 204))
        wait(mode, cleanup={"endpoint": "/jobs/{identifier}"}, cleanup_on=cleanup_on)
        assert api.count(REMOVE) - before == sent, mode


def test_a_job_that_had_failed_when_submitted_is_removed_and_a_failing_removal_changes_nothing(api: ApiServer) -> None:
    api.respond_to(REMOVE, reply({"why": "no"}, 405))
    outcome = wait("poke", job=handle("failure"), cleanup={"endpoint": "/jobs/{identifier}"})
    assert type(outcome.error) is exceptions.AsyncApiJobFailed
    assert api.count(REMOVE) == 1


def test_a_wait_that_ends_by_its_deadline_removes_nothing(api: ApiServer) -> None:
    api.respond_to(POLL, running())
    outcome = wait("poke", cleanup={"endpoint": "/jobs/{identifier}"}, max_iterations=1)
    assert type(outcome.error) is exceptions.AsyncApiTimeout
    assert api.count(REMOVE) == 0


def test_airflow_is_told_that_the_sensor_may_skip_what_comes_after() -> None:
    assert make_sensor("poke").inherits_from_skipmixin is True


def test_too_many_polls_are_a_timeout(api: ApiServer) -> None:
    api.respond_to("DELETE /jobs/j-1", reply(status=204))
    outcome = in_all_modes(
        lambda: api.respond_to(POLL, running()),
        max_iterations=3,
        poke_interval=0.02,
        cancel={"method": "DELETE", "endpoint": "/jobs/{identifier}"},
    )
    assert type(outcome.error) is exceptions.AsyncApiTimeout
    assert "3 polls; the API has accepted the cancel, but the job still has status" in str(outcome.error)
    assert api.count(POLL) == (3 + 1) * len(MODES), "and one to see what the cancel has done"
    assert api.count("DELETE /jobs/j-1") == len(MODES)


@pytest.mark.parametrize("mode", MODES)
def test_the_deadline_is_a_timeout_with_a_last_poll_at_it(api: ApiServer, mode: str) -> None:
    api.respond_to(POLL, running())
    # What the first poll imports is no part of the time that the next wait has until its deadline.
    wait(mode, max_iterations=1)
    polled = api.count(POLL)
    began = time.time()
    outcome = wait(mode, timeout=3, poke_interval=2.5)
    assert type(outcome.error) is exceptions.AsyncApiTimeout
    assert "wasn't done by the deadline" in str(outcome.error)
    assert time.time() - began >= 3
    assert api.count(POLL) == polled + 2, "the first poll, and the one at the deadline"


def test_too_many_errors_in_a_row_are_for_a_retry_to_mend(api: ApiServer) -> None:
    outcomes = {}
    for mode in MODES[:3]:
        api.respond_to(POLL, reply(status=503), running(), reply(status=503), reply(status=503), reply(status=503))
        outcomes[mode] = wait(mode, max_consecutive_errors=3).summary
    assert outcomes["deferred"] == outcomes["poke"] == outcomes["reschedule"]
    _, kind, said, _ = outcomes["poke"]
    assert kind is exceptions.AsyncApiUnavailable
    assert not issubclass(kind, AirflowFailException)
    assert "3 errors in a row" in said


def test_without_a_task_state_store_other_limits_end_a_row_of_errors(api: ApiServer) -> None:
    api.respond_to(POLL, reply(status=503))
    outcome = wait("reschedule without a store", max_consecutive_errors=3, max_iterations=5)
    assert type(outcome.error) is exceptions.AsyncApiTimeout
    assert api.count(POLL) == 5


def test_refused_credentials_end_the_wait_at_once(api: ApiServer) -> None:
    outcome = in_all_modes(lambda: api.respond_to(POLL, reply({"message": "who are you?"}, 401)))
    assert type(outcome.error) is exceptions.AsyncApiUnauthorized
    assert isinstance(outcome.error, AirflowFailException)
    assert api.count(POLL) == len(MODES)


def test_an_unknown_job_ends_the_wait_at_once(api: ApiServer) -> None:
    outcome = in_all_modes(lambda: api.respond_to(POLL, reply(status=404)))
    assert type(outcome.error) is exceptions.AsyncApiJobNotFound


def test_an_unknown_status_is_a_failure_where_running_values_are_given(api: ApiServer) -> None:
    outcome = in_all_modes(lambda: api.respond_to(POLL, running(), reply({"status": "odd"})), running_value="running")
    assert type(outcome.error) is exceptions.AsyncApiUnknownStatus
    assert "odd" in str(outcome.error)


def test_an_unknown_status_counts_as_running_otherwise(api: ApiServer) -> None:
    outcome = in_all_modes(lambda: api.respond_to(POLL, reply({"status": "odd"}), reply({"status": "done"})))
    assert outcome.returned == "j-1"


def test_a_job_that_was_over_when_submitted_is_not_polled(api: ApiServer) -> None:
    outcome = in_all_modes(lambda: None, job=handle("success", variables={"rows": [1]}))
    assert outcome.returned == "j-1"
    assert outcome.xcoms["job"]["variables"] == {"rows": [1]}
    assert not api.requests


def test_a_job_that_had_failed_when_submitted_fails(api: ApiServer) -> None:
    outcome = in_all_modes(lambda: None, job=handle("failure"))
    assert type(outcome.error) is exceptions.AsyncApiJobFailed
    assert not api.requests


def test_a_handle_of_a_newer_version_is_refused_until_this_one_is_upgraded(api: ApiServer) -> None:
    outcome = in_all_modes(lambda: None, job=handle("running") | {"version": 9})
    assert type(outcome.error) is exceptions.AsyncApiRetryableException
    assert "layout 9" in str(outcome.error)
    assert not api.requests


@pytest.mark.parametrize("forgiving", ["soft_fail", "never_fail"])
@pytest.mark.parametrize("answer", [reply({"status": "failed"}), reply(status=401), running()])
def test_a_failure_is_a_skip_where_the_author_wants_that(api: ApiServer, forgiving: str, answer: Any) -> None:
    outcome = in_all_modes(lambda: api.respond_to(POLL, answer), max_iterations=2, **{forgiving: True})
    assert type(outcome.error) is AirflowSkipException
    assert "j-1" in str(outcome.error)
