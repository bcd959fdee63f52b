from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from airflow_provider_asyncapi.core.errors import (
    AmbiguousSubmitError,
    AuthenticationError,
    ConfigurationError,
    JobFailedError,
    MissingValueError,
    RequestRejectedError,
    UnavailableError,
    UnstorableValueError,
)
from airflow_provider_asyncapi.core.http.file_bodies import find_literal_bytes
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.submit.flow import submit
from airflow_provider_asyncapi.core.submit.plan import SubmitPlan
from airflow_provider_asyncapi.core.submit.submission import Submission
from tests.unit.core.flow_runner import START, FlowRunner, make_api, make_lost_error, make_response
from tests.unit.core.submit.tries import CREATED, FIELDS, KEYED, NEW, KilledError, Tries, killed
from tests.unit.recorded_calls import recorded

TWO_STEPS = {**FIELDS, "start": {"endpoint": "/jobs/{identifier}/run"}}


def test_the_key_is_kept_before_the_request_and_the_job_right_after_it():
    runner = FlowRunner(make_api(), CREATED)
    seen: list[int] = []
    runner.replies = [recorded(lambda _: CREATED, seen, lambda _: len(runner.kept))]
    runner.run(submit(runner.api, SubmitPlan.parse({**FIELDS, "capture": {"n": "id"}}), NEW))
    assert seen == [1]
    before, after = runner.kept
    assert (before.key, before.generation, before.sent, before.sent_at, before.handle) == (
        "key-1",
        3,
        True,
        START,
        None,
    )
    assert after.handle is not None
    assert (after.sent, after.answered, after.handle.identifier) == (False, 1, "j-1")
    assert after.handle.variables == {"id": "j-1", "n": "j-1"}


def test_a_record_survives_being_stored():
    runner = FlowRunner(make_api(), CREATED)
    runner.run(submit(runner.api, SubmitPlan.parse(FIELDS), NEW))
    for record in runner.kept:
        assert Submission.parse(json.loads(json.dumps(record.dump()))) == record


def test_the_job_of_an_earlier_try_is_gone_on_with():
    tries = Tries(FIELDS)
    first = tries.run(CREATED)
    assert tries.run() == first
    assert tries.paths == ["POST /jobs"]
    assert tries.log_text == "Resuming job j-1, which an earlier try has submitted"


def test_a_cleared_task_submits_a_new_job_and_names_the_one_before():
    tries = Tries(FIELDS)
    tries.run(CREATED)
    tries.generation = 7
    assert tries.run(make_response({"id": "j-2"})).identifier == "j-2"
    assert "Submitting a new job, since the task was cleared; the previous one is j-1" in tries.log_text


@pytest.mark.parametrize(("before", "after", "is_said"), [(1, 2, True), (1, 1, False), (None, 2, False)])
def test_a_retry_says_that_it_may_be_a_clear_which_airflow_does_not_tell_from_one(before, after, is_said):
    first = FlowRunner(make_api(), CREATED)
    first.run(submit(first.api, SubmitPlan.parse(FIELDS), dataclasses.replace(NEW, clears=before)))
    kept = Submission.parse(json.loads(json.dumps(first.kept[-1].dump())))
    second = FlowRunner(make_api())
    assert (
        second.run(
            submit(second.api, SubmitPlan.parse(FIELDS), dataclasses.replace(NEW, clears=after), kept)
        ).identifier
        == "j-1"
    )
    assert ("clear it once more when it isn't running" in second.log_text) == is_said


def test_a_try_that_was_killed_before_its_answer_sends_the_same_key_again():
    tries = Tries(KEYED)
    with pytest.raises(KilledError):
        tries.run(killed)
    assert tries.run(CREATED).identifier == "j-1"
    assert {runner.header("Idempotency-Key") for runner in tries.scripts} == {"key-1"}
    assert "Submitting again with the same idempotency key" in tries.log_text


def test_a_try_that_was_killed_before_its_answer_is_not_repeated_blindly():
    tries = Tries(FIELDS)
    with pytest.raises(KilledError):
        tries.run(killed)
    for _ in range(2):
        with pytest.raises(AmbiguousSubmitError, match=r"cut off while it submitted .* clear the task .* lookup"):
            tries.run()
    assert tries.paths == ["POST /jobs"]
    tries.generation += 1
    assert tries.run(CREATED).identifier == "j-1"


LOGIN: dict[str, Any] = {
    "auth": "login",
    "login_request": {"endpoint": "/login", "method": "POST"},
    "login_selector": "t",
    "login_expiry": "seconds",
}
#: It has run out by the next request.
TOKEN = make_response({"t": "token", "seconds": 0})


@pytest.mark.parametrize(
    "login", [killed, make_lost_error(), make_response({}, 401)], ids=["killed", "lost", "refused"]
)
def test_a_try_that_was_cut_off_while_it_logged_in_has_submitted_nothing(login):
    tries = Tries({**FIELDS, "max_consecutive_errors": 1}, **LOGIN)
    with pytest.raises((KilledError, UnavailableError, AuthenticationError)):
        tries.run(login)
    assert tries.run(TOKEN, CREATED).identifier == "j-1"
    assert tries.paths == ["POST /login", "POST /login", "POST /jobs"]


def test_a_try_that_was_cut_off_while_it_logged_in_to_start_the_job_has_not_started_it():
    tries = Tries(TWO_STEPS, **LOGIN)
    with pytest.raises(KilledError):
        tries.run(TOKEN, CREATED, killed)
    assert tries.run(TOKEN, make_response({})).identifier == "j-1"
    assert tries.paths[2:] == ["POST /login", "POST /login", "POST /jobs/j-1/run"]


@pytest.mark.parametrize(
    "refusal",
    [make_lost_error(sent=False), make_response({}, 425), make_response({}, 429)],
    ids=["unreachable", "too early", "throttled"],
)
def test_what_was_surely_not_taken_is_simply_submitted_by_the_next_try(refusal):
    tries = Tries(FIELDS)
    with pytest.raises(UnavailableError):
        tries.run(*[refusal] * 3)
    assert tries.run(CREATED).identifier == "j-1"


@pytest.mark.parametrize(
    ("reply", "error"), [(make_response({}, 422), RequestRejectedError), (make_response({"no": 1}), JobFailedError)]
)
def test_what_was_refused_is_simply_submitted_by_the_next_try(reply, error):
    tries = Tries({**FIELDS, "rules": [{"selector": "no", "exists": True, "outcome": "failure"}]})
    with pytest.raises(error):
        tries.run(reply)
    assert tries.run(CREATED).identifier == "j-1"


def test_too_many_errors_under_a_key_leave_it_open_whether_there_is_a_job():
    tries = Tries(KEYED)
    with pytest.raises(UnavailableError):
        tries.run(make_lost_error(), make_lost_error(), make_response({}, 503))
    assert json.loads(tries.stored or "")["sent"] is True
    assert tries.run(CREATED).identifier == "j-1"


# Starting


def test_a_start_that_failed_is_all_that_the_next_try_repeats():
    tries = Tries(TWO_STEPS)
    with pytest.raises(UnavailableError):
        tries.run(CREATED, *[make_response({}, 429)] * 3)
    assert tries.run(make_response({})).identifier == "j-1"
    assert tries.paths == ["POST /jobs", *["POST /jobs/j-1/run"] * 4]
    assert tries.run().identifier == "j-1"
    assert len(tries.paths) == 5


def test_a_start_that_was_cut_off_is_not_repeated_blindly():
    tries = Tries(TWO_STEPS)
    with pytest.raises(KilledError):
        tries.run(CREATED, killed)
    with pytest.raises(AmbiguousSubmitError, match=r"start: .* cut off while it started the job"):
        tries.run()
    assert len(tries.paths) == 2


def test_a_start_with_a_key_is_sent_again():
    tries = Tries({**FIELDS, "start": {"endpoint": "/run", "json": {"key": "{idempotency_key}"}}})
    with pytest.raises(KilledError):
        tries.run(CREATED, killed)
    tries.run(make_response({}))
    assert [
        json.loads(find_literal_bytes(request.body)) for runner in tries.scripts for request in runner.requests[-1:]
    ] == [{"key": "key-1"}] * 2


# What a handle can't hold


def test_an_identifier_beyond_64_bits_is_kept_as_its_digits():
    runner = FlowRunner(make_api(), make_response(b'{"id": 99999999999999999999}'))
    handle = runner.run(submit(runner.api, SubmitPlan.parse(FIELDS), NEW))
    assert handle.identifier == "99999999999999999999"
    assert runner.kept[-1].handle == handle


@pytest.mark.parametrize("identifier", [b'"x \\ud83d"', b'"a\\u0000b"', b"NaN", b"1e999", b'"%s"' % (b"x" * 9000)])
def test_a_job_whose_identifier_cannot_be_kept_is_remembered_with_the_reason(identifier: bytes):
    runner = FlowRunner(make_api(), make_response(b'{"id": %s}' % identifier))
    with pytest.raises(
        MissingValueError, match=r"submit: there is no job identifier at 'id': .* an identifier"
    ) as first:
        runner.run(submit(runner.api, SubmitPlan.parse(FIELDS), NEW))
    kept = Submission.parse(json.loads(json.dumps(runner.kept[-1].dump())))
    retry = FlowRunner(make_api())
    with pytest.raises(AmbiguousSubmitError) as second:
        retry.run(submit(retry.api, SubmitPlan.parse(FIELDS), NEW, kept))
    assert f"an earlier try has submitted the job, but {first.value}" in str(second.value)
    assert "cut off" not in str(second.value)


def test_a_capture_that_airflow_cannot_store_orphans_no_job():
    plan = SubmitPlan.parse({**FIELDS, "capture": {"note": "note"}})
    runner = FlowRunner(make_api(), make_response(b'{"id": "j-1", "note": "x \\ud83d"}'))
    with pytest.raises(UnstorableValueError, match="capture 'note': half a character"):
        runner.run(submit(runner.api, plan, NEW))
    retry = FlowRunner(make_api())
    assert retry.run(submit(retry.api, plan, NEW, runner.kept[-1])).identifier == "j-1"
    assert retry.requests == []


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (float("nan"), "variables 'x': NaN"),
        ({1, 2}, "variables 'x': a value of type set"),
        ("x" * 50_000, "variables: 'x' has 50002 characters"),
    ],
)
def test_variables_that_a_handle_cannot_hold_are_refused_before_the_job_is_made(value: Any, message: str):
    runner = FlowRunner(make_api())
    with pytest.raises(ConfigurationError, match=message):
        runner.run(submit(runner.api, SubmitPlan.parse({**FIELDS, "variables": {"x": value}}), NEW))
    assert runner.requests == []


def test_the_job_after_one_that_has_ended_has_a_key_of_its_own_and_no_callbacks_of_the_former():
    before = dataclasses.replace(NEW, handle=JobHandle("j-1"), callbacks=("digest",), connection="api", answered=1)
    after = before.for_next_job()
    assert (after.handle, after.sent, after.answered, after.callbacks) == (None, False, 0, ())
    assert (after.generation, after.connection) == (before.generation, before.connection)
    assert len({before.key, after.key, after.for_next_job().key}) == 3
    tries = Tries(FIELDS)
    tries.stored = json.dumps(after.dump())
    assert tries.run(make_response({"id": "j-2"})).identifier == "j-2"
    assert json.loads(tries.stored)["key"] == after.key
