"""A wait is ended by a callback or by a poll, whichever says it first, and the log says which."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from airflow_provider_asyncapi.core.callbacks.settings import CallbackMode
from airflow_provider_asyncapi.core.errors import (
    ConfigurationError,
    DeadlineExceededError,
    JobFailedError,
    MissingValueError,
    RequestRejectedError,
    UnavailableError,
)
from airflow_provider_asyncapi.core.http.messages import Headers, Response
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.outcome import Outcome
from airflow_provider_asyncapi.core.wait.callback_flow import wait_with_callbacks
from airflow_provider_asyncapi.core.wait.checkpoint import WaitCheckpoint
from airflow_provider_asyncapi.core.wait.plan import WaitPlan
from tests.unit.core.flow_runner import START, FlowRunner, make_api, make_lost_error, make_response, plan_fields

JOB = JobHandle("7", submitted_at=START)
RUNNING, DONE, FAILED = (make_response({"status": word}) for word in ("running", "done", "failed"))
CANCEL = {"cancel": {"endpoint": "/jobs/{identifier}", "method": "DELETE"}}
#: The callback alone says when the job is over, and that it is.
ALONE = dict.fromkeys(("endpoint", "completion_key", "completion_value", "failure_value"))
BY_CALLBACK = "its callback has ended the wait"
BY_POLL = "A poll has ended the wait, no callback"


def plan(**given: Any) -> WaitPlan:
    return WaitPlan.parse({name: value for name, value in plan_fields(**{"callback": True, **given}).items() if value})


def waited(
    *replies: Any, calls: Any = (), at: WaitCheckpoint | None = None, **given: Any
) -> tuple[JobHandle, FlowRunner]:
    runner = FlowRunner(make_api(), *replies, forever=True, calls=calls)
    state = at or WaitCheckpoint(JOB, START, START + 100)
    return runner.run(wait_with_callbacks(runner.api, plan(**given), state)), runner


def failing(kind: type[Exception], *replies: Any, said: str | None = None, **given: Any) -> FlowRunner:
    runner = FlowRunner(make_api(), *replies, forever=True, calls=given.pop("calls", ()))
    with pytest.raises(kind, match=said) as raised:
        runner.run(wait_with_callbacks(runner.api, plan(**given), WaitCheckpoint(JOB, START, START + 100)))
    assert getattr(raised.value, "job", None) == "7", "each error names the job"
    return runner


# The plan


def test_without_a_request_for_the_status_a_callback_needs_no_other_word():
    alone = WaitPlan.parse({"callback": True})
    assert (alone.callback, alone.has_status_request, alone.policy.is_empty) == (CallbackMode.DECIDES, False, True)
    assert alone.schedule.interval == 300
    assert plan(poke_interval=None).schedule.interval == 300
    assert plan(poke_interval=20).schedule.interval == 20
    assert plan(
        endpoint=None, batch={"endpoint": "/j", "query_params": {"i": "{identifiers}"}, "items": "j[*]", "id": "i"}
    ).has_status_request


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"callback": "hint"}, "callback: after a 'hint' the status is polled, so endpoint is needed"),
        ({"callback": "maybe"}, "callback: has to be True"),
        ({"callback": True, "endpoint": "/jobs"}, "completion_key: is missing"),
        ({"callback": False, "completion_key": "a", "completion_value": "b"}, "endpoint is missing"),
        ({"callback": True, "completion_value": "b"}, "completion_value: needs completion_key"),
    ],
)
def test_what_cannot_be_meant_is_said(given, message):
    with pytest.raises(ConfigurationError, match=message):
        WaitPlan.parse(given)


def test_what_a_profile_may_still_add_is_not_missed():
    assert WaitPlan.parse({"callback": "hint"}, complete=False).callback is CallbackMode.HINT


def test_how_many_callbacks_were_heard_is_written_down_too():
    at = WaitCheckpoint(JOB, START, START + 60, callbacks_seen=3)
    assert WaitCheckpoint.parse(json.loads(json.dumps(at.dump()))) == at


# The callback decides


def test_a_callback_alone_means_that_the_job_is_done():
    handle, runner = waited(calls=[(50, make_response(b"anything"))], **ALONE, capture={"rows": "rows"})
    assert (handle.outcome, handle.status, handle.progress, handle.call) == (Outcome.SUCCESS, "called back", 1.0, 0)
    assert runner.requests == []
    assert runner.sleeps == [10] * 5
    assert BY_CALLBACK in runner.log_text
    assert BY_POLL not in runner.log_text


def test_a_callback_is_judged_as_a_poll_is():
    handle, runner = waited(calls=[(0, make_response({"status": "done", "file": "f-1"}))], capture={"file": "file"})
    assert (handle.outcome, handle.status, handle.variables["file"], handle.call) == (Outcome.SUCCESS, "done", "f-1", 0)
    assert runner.requests == []
    assert [poll.handle.outcome for poll in runner.polls] == [Outcome.SUCCESS]
    assert "Job 7 has status done, 100%: its callback has ended the wait" in runner.log_text


def test_a_callback_that_says_that_the_job_failed_fails_with_its_reason():
    call = make_response({"status": "failed", "error": {"message": "no such table"}})
    runner = failing(JobFailedError, calls=[(0, call)], said="no such table .*the job's callback answered")
    assert BY_CALLBACK in runner.log_text


@pytest.mark.parametrize("callback", [True, "hint"])
def test_a_callback_of_another_job_is_passed_over(callback):
    job = JobHandle("7", submitted_at=START, variables={"id": "7"})
    other, own = make_response({"id": "8", "status": "done"}), make_response({"id": "7", "status": "done"})
    replies = [RUNNING, RUNNING, DONE]
    handle, runner = waited(
        *replies, calls=[(0, other), (15, own)], at=WaitCheckpoint(job, START, START + 100), callback=callback
    )
    assert handle.outcome is Outcome.SUCCESS
    assert "A callback is about job 8, not about job 7, and is ignored" in runner.log_text
    assert handle.call == (None if callback == "hint" else 1)
    assert runner.log_text.count("polling its status") == (callback == "hint")


def test_a_callback_that_lacks_the_result_identifier_is_an_error():
    failing(MissingValueError, calls=[(0, DONE)], result_identifier="file", said="no result_identifier")


def test_a_rule_decides_too_and_form_fields_are_found():
    form = Response(200, Headers({"content-type": "application/x-www-form-urlencoded"}.items()), b"")
    form.__dict__["json"] = {"ok": "1"}
    handle, _ = waited(calls=[(0, form)], **ALONE, rules=[{"selector": "ok", "in": "1", "outcome": "no_data"}])
    assert (handle.outcome, handle.status, handle.call) == (Outcome.NO_DATA, "no_data", 0)


def test_a_callback_between_two_polls_is_heard_after_the_pause():
    handle, runner = waited(RUNNING, calls=[(15, DONE)])
    assert handle.call == 0
    assert runner.paths == ["GET /jobs/7"] * 2
    assert runner.sleeps == [10, 10]


def test_a_callback_between_two_polls_with_unchanged_responses_is_processed_after_the_pause():
    handle, runner = waited(RUNNING, RUNNING, RUNNING, RUNNING, calls=[(25, DONE)])
    assert (handle.call, runner.times) == (0, [0, 10, 20])
    assert [poll.polls for poll in runner.polls] == [1, 2, 3, 3]


def test_news_are_kept_and_the_wait_goes_on_with_its_count_of_polls():
    news = [(5, make_response({"status": "running", "p": 40, "at": n})) for n in (1, 2)]
    handle, runner = waited(RUNNING, RUNNING, DONE, calls=news, progress="p", capture={"at": "at"})
    assert (handle.outcome, handle.variables["at"], handle.call) == (Outcome.SUCCESS, 2, None)
    assert runner.log_text.count("Job 7 has status running, 40%, according to a callback; waiting on") == 2
    assert [poll.polls for poll in runner.polls] == [1, 1, 1, 2, 3]
    assert BY_POLL in runner.log_text


def test_news_while_the_next_poll_is_due_later_make_no_poll_sooner():
    at = WaitCheckpoint(JOB, START, START + 100, polls=1, next_poll=START + 70)
    handle, runner = waited(DONE, calls=[(0, RUNNING)], at=at)
    assert handle.outcome is Outcome.SUCCESS
    assert runner.sleeps == [70]
    assert runner.polls[0].pause == 70


def test_callbacks_that_were_heard_are_not_heard_again():
    handle, runner = waited(
        calls=[(0, FAILED), (0, RUNNING), (30, DONE)],
        at=WaitCheckpoint(JOB, START, START + 100, callbacks_seen=1),
        **{**ALONE, "completion_key": "status", "completion_value": "done"},
    )
    assert handle.call == 2
    assert runner.log_text.count("according to a callback") == 1


def test_the_first_of_several_callbacks_that_ends_the_wait_does():
    handle, runner = waited(calls=[(0, RUNNING), (0, DONE), (0, FAILED)])
    assert (handle.outcome, handle.call) == (Outcome.SUCCESS, 1)
    assert runner.requests == []


@pytest.mark.parametrize(
    "body",
    [b"{", b"<html>", b"", b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'],
    ids=["json", "html", "empty", "entities"],
)
@pytest.mark.parametrize("key", ["status", "xpath://status"])
def test_a_callback_that_cannot_be_read_is_passed_over(body, key):
    readable = make_response(b"<status>done</status>") if key.startswith("xpath") else DONE
    handle, runner = waited(calls=[(0, make_response(body)), (5, readable)], endpoint=None, completion_key=key)
    assert handle.call == 1
    assert [level for level, said in runner.logs if "can't be read, and is ignored" in said] == [logging.WARNING]


def test_a_callback_that_cannot_be_read_is_reported_without_a_secret_in_the_name_of_the_job():
    runner = FlowRunner(make_api(auth="bearer", password="planted-key"), calls=[(0, make_response(b"{")), (5, DONE)])
    state = WaitCheckpoint(JobHandle("job-planted-key", submitted_at=START), START, START + 100)
    runner.run(wait_with_callbacks(runner.api, plan(endpoint=None), state))
    assert "A callback of job job-*** can't be read" in runner.log_text


def test_an_unknown_status_of_a_callback_is_doubted():
    _, runner = waited(calls=[(0, make_response({"status": "odd"})), (5, DONE)], endpoint=None)
    assert (
        "POST the job's callback: the response says 'odd', which none of the given values or rules lists"
        in runner.log_text
    )


# Beside polls


def test_a_poll_that_ends_the_wait_says_so():
    handle, runner = waited(RUNNING, DONE)
    assert (handle.outcome, handle.call) == (Outcome.SUCCESS, None)
    assert runner.logs[-1] == (logging.INFO, BY_POLL)


def test_errors_of_polls_are_borne_as_without_callbacks():
    handle, runner = waited(make_lost_error(), make_response(status=503), DONE)
    assert handle.outcome is Outcome.SUCCESS
    assert [poll.errors for poll in runner.polls] == [1, 2, 0]
    failing(UnavailableError, make_lost_error(), max_consecutive_errors=2)
    failing(RequestRejectedError, make_response(status=404))


def test_errors_in_a_row_are_counted_across_callbacks():
    runner = failing(
        UnavailableError,
        make_lost_error(),
        max_consecutive_errors=2,
        calls=[(1, make_response({"status": "running", "n": 1}))],
    )
    assert len(runner.requests) == 2


def test_the_deadline_holds_beside_callbacks():
    runner = failing(
        DeadlineExceededError,
        RUNNING,
        make_response(None, 204),
        calls=[(99, RUNNING)],
        max_iterations=3,
        said="as many polls",
    )
    assert len(runner.requests) == 3


# A hint


def test_a_hint_makes_one_poll_at_once_whatever_it_says():
    at = WaitCheckpoint(JOB, START, START + 1000, polls=1, next_poll=START + 300)
    handle, runner = waited(RUNNING, DONE, calls=[(0, FAILED)], at=at, callback="hint", poke_interval=300)
    assert handle.call is None
    assert runner.times == [0.0, 300.0]
    assert "and has called back: polling its status" in runner.log_text


# Nothing comes


def test_a_job_that_does_not_call_back_by_the_deadline_is_cancelled():
    runner = failing(
        DeadlineExceededError,
        make_response(None, 204),
        **ALONE,
        **CANCEL,
        said=r"Job 7 has no status yet and hasn't called back by the deadline, after 100 s; the API has accepted",
    )
    assert runner.paths == ["DELETE /jobs/7"]
    assert runner.sleeps == [10] * 10
    assert "the API has accepted the cancel (it hasn't called back in time)" in runner.log_text


def test_a_call_that_comes_while_the_job_is_being_cancelled_changes_nothing():
    runner = failing(
        DeadlineExceededError, RUNNING, calls=[(100.2, DONE)], **CANCEL, said="the API has accepted the cancel"
    )
    assert runner.paths.count("DELETE /jobs/7") == 1


def test_a_job_that_cannot_be_cancelled_fails_at_the_deadline_too():
    assert failing(DeadlineExceededError, **ALONE).requests == []


def test_the_last_look_for_a_callback_is_at_the_deadline():
    handle, runner = waited(calls=[(100, DONE)], **ALONE, poke_interval=70)
    assert handle.call == 0
    assert runner.sleeps == [70, 30]


def test_without_a_deadline_a_callback_is_waited_for_as_long_as_it_takes():
    handle, runner = waited(calls=[(5000, DONE)], at=WaitCheckpoint(JOB, START, None), **ALONE, poke_interval=1000)
    assert handle.call == 0
    assert runner.sleeps == [1000] * 5


def test_a_job_that_is_over_is_not_waited_for():
    over = JobHandle("7", Outcome.SUCCESS)
    handle, runner = waited(at=WaitCheckpoint(over, START, START + 100), calls=[(0, FAILED)])
    assert handle is over
    assert runner.logs == []
