"""However often a try is cut off, the job is submitted once."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from typing import Any

import pytest

from airflow_provider_asyncapi.core.errors import (
    AmbiguousSubmitError,
    AuthenticationError,
    ChangedRequestError,
    ConfigurationError,
    JobFailedError,
    MissingValueError,
    NewerLayoutError,
    RequestRejectedError,
    UnavailableError,
    UnstorableValueError,
)
from airflow_provider_asyncapi.core.http.file_bodies import find_literal_bytes
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.submit.flow import submit
from airflow_provider_asyncapi.core.submit.plan import SubmitPlan
from airflow_provider_asyncapi.core.submit.submission import Submission
from tests.unit.core.flow_runner import BASE, START, FlowRunner, make_api, make_lost_error, make_response
from tests.unit.recorded_calls import recorded

FIELDS: dict[str, Any] = {"endpoint": "/jobs", "json": {"gstin": "x"}, "identifier": "id", "max_consecutive_errors": 3}
KEYED = {**FIELDS, "headers": {"Idempotency-Key": "{idempotency_key}"}}
LOOKED_UP: dict[str, Any] = {
    **FIELDS,
    "lookup": {"endpoint": "/jobs", "query_params": {"key": "{idempotency_key}"}, "identifier": "jobs[0].id"},
}
TWO_STEPS = {**FIELDS, "start": {"endpoint": "/jobs/{identifier}/run"}}
NEW = Submission("key-1", generation=3)
CREATED = make_response({"id": "j-1"}, 201)
NONE = make_response({"jobs": []})


class KilledError(Exception):
    """The process ends here."""


def killed(_: Any) -> Any:
    raise KilledError


class Tries:
    """Several tries of one task: each begins with what the last one kept, as JSON."""

    def __init__(self, fields: dict[str, Any], *, generation: int = 3, **connection: Any) -> None:
        self.fields = fields
        self.connection = connection
        self.generation = generation
        self.stored: str | None = None
        self.scripts: list[FlowRunner] = []

    def run(self, *replies: Any, **fields: Any) -> JobHandle:
        runner = self.make_runner(*replies)
        self.scripts.append(runner)
        kept = None if self.stored is None else Submission.parse(json.loads(self.stored))
        plan = SubmitPlan.parse({**self.fields, **fields})
        try:
            handle = runner.run(submit(runner.api, plan, Submission("key-1", self.generation), kept))
            assert isinstance(handle, JobHandle)
            return handle
        finally:
            if runner.kept:
                self.stored = json.dumps(runner.kept[-1].dump())

    def make_runner(self, *replies: Any) -> FlowRunner:
        return FlowRunner(make_api(**self.connection), *replies)

    @property
    def paths(self) -> list[str]:
        return [path for runner in self.scripts for path in runner.paths]

    @property
    def log_text(self) -> str:
        return self.scripts[-1].log_text


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


# Another request

CHANGED = {"json": {"gstin": "y", "asked_at": "12:01"}, "query_params": {"day": "2"}, "headers": {"X-Run": "b"}}
CANCEL = {"on_changed_request": "cancel", "cancel": {"endpoint": "/jobs/{identifier}/cancel"}}


def test_a_request_that_differs_from_that_of_the_known_job_fails_and_submits_nothing():
    tries = Tries({**FIELDS, "query_params": {"day": "1"}, "headers": {"X-Run": "a"}})
    tries.run(CREATED)
    differ = r"differ in headers.x-run, json.asked_at, json.gstin, query_params.day\), which has submitted job j-1"
    with pytest.raises(ChangedRequestError, match=differ):
        tries.run(**CHANGED)
    with pytest.raises(
        ChangedRequestError, match=r"a second job would run beside it\. Replace a value that differs in each try"
    ):
        tries.run(**CHANGED)
    assert tries.paths == ["POST /jobs?day=1"]
    # Whoever wants another job clears the task.
    tries.generation += 1
    assert tries.run(make_response({"id": "j-2"}), **CHANGED).identifier == "j-2"


@pytest.mark.parametrize(
    ("first", "then", "names"),
    [
        ({"data": "a"}, {"data": "b"}, "body"),
        ({"json": [1]}, {"json": [2]}, "body"),
        ({"endpoint": "/jobs/a"}, {"endpoint": "/jobs/b"}, "endpoint"),
        ({"method": "PUT"}, {"method": "POST"}, "method"),
        ({"query_params": {"a": ["1", "2"]}}, {"query_params": {"a": ["1", "3"]}}, "query_params.a"),
        ({"json": {"a": {"b": 1}}}, {"json": {"a": {"b": 2}}}, "json.a"),
    ],
)
def test_what_has_changed_is_named(first, then, names):
    fields = {name: value for name, value in FIELDS.items() if name != "json"}
    tries = Tries(fields)
    tries.run(CREATED, **first)
    with pytest.raises(ChangedRequestError, match=rf"\(they differ in {names}\)"):
        tries.run(**then)


def test_what_an_earlier_version_kept_tells_that_a_request_has_changed_and_not_where():
    tries = Tries(FIELDS)
    tries.run(CREATED)
    stored = json.loads(tries.stored or "")
    del stored["parts"]
    tries.stored = json.dumps(stored)
    with pytest.raises(
        ChangedRequestError, match="differs from that of the earlier try, which has submitted job j-1"
    ) as raised:
        tries.run(**CHANGED)
    assert raised.value.job == "j-1"


def test_of_a_long_request_some_parts_are_told_apart_and_no_value_is_kept():
    tries = Tries({**FIELDS, "json": {f"key-{number}" * 20: f"planted-{number}" for number in range(500)}})
    tries.run(CREATED)
    parts = json.loads(tries.stored or "")["parts"]
    assert len(parts) <= 100
    assert "planted" not in (tries.stored or "")
    assert {len(digest) for digest in parts.values()} == {4}


def test_a_request_that_differs_is_no_matter_where_the_earlier_one_has_made_no_job():
    tries = Tries(KEYED)
    with pytest.raises(RequestRejectedError):
        tries.run(make_response({}, 422))
    assert tries.run(CREATED, json={"gstin": "y"}).identifier == "j-1"
    keys = [runner.header("Idempotency-Key") for runner in tries.scripts]
    assert keys[0] == "key-1"
    assert keys[1] != "key-1"


@pytest.mark.parametrize("fields", [FIELDS, KEYED, LOOKED_UP])
def test_a_request_that_differs_from_one_whose_answer_was_lost_fails_too(fields):
    tries = Tries(fields)
    with contextlib.suppress(KilledError):
        tries.run(killed)
    with pytest.raises(ChangedRequestError, match="which may have submitted a job"):
        tries.run(json={"gstin": "y"})


def test_a_request_that_differs_may_go_on_with_the_known_job():
    tries = Tries({**FIELDS, "on_changed_request": "resume"})
    first = tries.run(CREATED)
    assert tries.run(json={"gstin": "y"}) == first
    assert (
        "Resuming the earlier submission: the request differs from that of the earlier try (they differ in json.gstin)"
        in tries.log_text
    )
    assert "Resuming job j-1" in tries.log_text


def test_a_request_that_differs_may_go_on_with_the_job_that_a_look_up_finds():
    tries = Tries({**LOOKED_UP, "on_changed_request": "resume"})
    with contextlib.suppress(KilledError):
        tries.run(killed)
    assert tries.run(make_response({"jobs": [{"id": 9}]}), json={"gstin": "y"}).identifier == 9


def test_a_request_that_differs_may_cancel_the_known_job_and_submit_another():
    tries = Tries({**KEYED, **CANCEL})
    tries.run(CREATED)
    assert tries.run(make_response(None, 202), make_response({"id": "j-2"}), json={"gstin": "y"}).identifier == "j-2"
    assert tries.paths == ["POST /jobs", "POST /jobs/j-1/cancel", "POST /jobs"]
    assert "Job j-1: the API has accepted the cancel (the request has changed since)" in tries.log_text
    assert "Submitting a new job: the request differs from that of the earlier try" in tries.log_text
    keys = [runner.header("Idempotency-Key") for runner in tries.scripts]
    assert keys[0] != keys[1]
    assert tries.run(json={"gstin": "y"}).identifier == "j-2"


def test_a_job_that_was_cancelled_is_not_cancelled_again_by_the_try_after_one_that_was_killed_then():
    tries = Tries({**FIELDS, **CANCEL})
    tries.run(CREATED)
    tries.run(make_response(None, 202), make_response({"id": "j-2"}), json={"gstin": "y"})
    # What was kept when the cancel had been accepted, and nothing sent yet.
    tries.stored = json.dumps(tries.scripts[-1].kept[0].dump())
    assert tries.run(make_response({"id": "j-3"}), json={"gstin": "y"}).identifier == "j-3"
    assert tries.paths[-1:] == ["POST /jobs"]
    assert tries.paths.count("POST /jobs/j-1/cancel") == 1


def test_no_second_job_is_submitted_where_the_first_cannot_be_cancelled():
    tries = Tries({**FIELDS, **CANCEL})
    tries.run(CREATED)
    with pytest.raises(
        ChangedRequestError, match=r"would run beside it: the cancel failed, so it may still be running: POST .* 409"
    ):
        tries.run(make_response({}, 409), json={"gstin": "y"})
    assert tries.paths == ["POST /jobs", "POST /jobs/j-1/cancel"]


def test_a_job_that_was_over_when_submitted_needs_no_cancel():
    rules = [{"selector": "state", "in": "done", "outcome": "success"}]
    tries = Tries({**FIELDS, **CANCEL, "rules": rules})
    tries.run(make_response({"id": "j-1", "state": "done"}))
    assert tries.run(make_response({"id": "j-2"}), json={"gstin": "y"}).identifier == "j-2"
    assert tries.paths == ["POST /jobs"] * 2


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"on_changed_request": "submit"}, "on_changed_request: has to be one of"),
        ({"on_changed_request": True}, "on_changed_request: has to be one of"),
        ({"on_changed_request": "cancel"}, "go together"),
        ({"cancel": {"endpoint": "/x"}}, "go together"),
        ({**CANCEL, "cancel": {}}, "cancel: endpoint is missing"),
    ],
)
def test_what_to_do_about_another_request_is_checked(given, message):
    with pytest.raises(ConfigurationError, match=message):
        SubmitPlan.parse({**FIELDS, **given})


def test_a_secret_that_changes_makes_no_other_request():
    plan = SubmitPlan.parse({**FIELDS, "headers": {"X-Api-Key": "a", "X-Item": "{connection.item}"}})
    prints = set()
    for password, item in (("planted-1", "1"), ("planted-2", "1"), ("planted-2", "2")):
        api = make_api(login="ann", password=password, variables={"item": item}, auth="basic")
        runner = FlowRunner(api, CREATED)
        runner.run(submit(api, plan, NEW))
        prints.add(runner.kept[0].fingerprint)
    assert len(prints) == 2


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


# Looking the job up


def test_a_lost_answer_is_looked_up_and_not_sent_again():
    tries = Tries(LOOKED_UP)
    handle = tries.run(make_lost_error(), NONE, make_response({"jobs": [{"id": "j-9"}]}))
    assert (handle.identifier, handle.submitted_at, handle.urls) == ("j-9", START, {"submit": f"{BASE}/jobs"})
    assert handle.variables == {"jobs[0].id": "j-9"}
    assert tries.paths == ["POST /jobs", "GET /jobs?key=key-1", "GET /jobs?key=key-1"]
    assert "the connection broke; looking the job up" in tries.log_text
    assert "The lookup has found job j-9" in tries.log_text
    assert tries.run().identifier == "j-9"


def test_a_job_that_can_be_looked_up_is_never_sent_again_though_the_request_names_the_key():
    tries = Tries({**LOOKED_UP, "json": {"reference": "{idempotency_key}"}})
    assert tries.run(make_lost_error(), make_response({"jobs": [{"id": "j-9"}]})).identifier == "j-9"
    assert tries.paths == ["POST /jobs", "GET /jobs?key=key-1"]


def test_a_lost_answer_whose_job_is_not_found_is_left_to_a_later_try():
    tries = Tries(LOOKED_UP)
    with pytest.raises(UnavailableError, match="the lookup finds no job; a later try may submit it"):
        tries.run(make_response({}, 502), NONE, make_response(None, 404), make_response({"jobs": [{"id": None}]}))
    assert tries.run(NONE, NONE, NONE, CREATED).identifier == "j-1"
    assert [path for path in tries.paths if path.startswith("POST")] == ["POST /jobs"] * 2
    assert "it wasn't submitted" in tries.log_text


def test_a_try_that_was_killed_is_looked_up_first():
    tries = Tries(LOOKED_UP)
    with pytest.raises(KilledError):
        tries.run(killed)
    handle = tries.run(
        make_response({"jobs": [{"id": "j-9", "n": 4}]}), lookup={**LOOKED_UP["lookup"], "capture": {"n": "jobs[0].n"}}
    )
    assert handle.variables["n"] == 4
    assert tries.paths == ["POST /jobs", "GET /jobs?key=key-1"]


def test_a_look_up_finds_the_identifier_where_the_submit_says_it_unless_told_otherwise():
    tries = Tries({**FIELDS, "lookup": {"endpoint": "/jobs/by-key/{idempotency_key}"}})
    assert tries.run(make_lost_error(), make_response({"id": 5})).identifier == 5


def test_a_look_up_that_is_refused_or_cannot_be_read_says_so():
    with pytest.raises(RequestRejectedError, match=r"GET .* answered 403"):
        Tries(LOOKED_UP).run(make_lost_error(), make_response({}, 403))
    with pytest.raises(MissingValueError, match=r"lookup: GET .* an HTML page"):
        Tries(LOOKED_UP).run(make_lost_error(), make_response(b"<html>"))
    with pytest.raises(MissingValueError, match=r"lookup: .* not an object"):
        Tries(LOOKED_UP).run(make_lost_error(), make_response({"jobs": [{"id": {}}]}))


@pytest.mark.parametrize("given", ["/jobs", {"endpoint": "/jobs", "rules": []}, {"identifier": "["}])
def test_a_malformed_look_up_is_refused(given):
    with pytest.raises(ConfigurationError, match="lookup"):
        SubmitPlan.parse({**FIELDS, "lookup": given})


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


# What was kept by others


@pytest.mark.parametrize(
    "kept", [{"version": "?", "key": "k", "generation": 3}, {"version": 1, "key": "k", "generation": 3}]
)
def test_a_record_that_cannot_be_read_may_be_of_a_job(kept):
    record = Submission.parse(kept)
    assert record is not None
    assert (record.key, record.generation, record.sent) == ("k", 3, True)
    runner = FlowRunner(make_api())
    with pytest.raises(AmbiguousSubmitError):
        runner.run(submit(runner.api, SubmitPlan.parse(FIELDS), NEW, record))


def test_a_record_of_a_newer_layout_is_an_error_that_a_later_try_may_mend():
    with pytest.raises(NewerLayoutError, match=r"the record of the submission was stored in layout 2 by a newer"):
        Submission.parse({**Submission("k").dump(), "version": 2})


def test_a_broken_record_belongs_to_no_generation():
    assert Submission.parse("?") == Submission("", None, sent=True)
    assert Submission.parse(None) is None


def test_a_broken_record_is_not_taken_for_one_of_a_cleared_task_and_makes_no_second_job():
    tries = Tries(FIELDS)
    tries.stored = '"?"'
    with pytest.raises(AmbiguousSubmitError):
        tries.run()
    assert tries.paths == []
    # Whoever has looked into it clears the task.
    tries.generation += 1
    assert tries.run(CREATED).identifier == "j-1"


def test_a_broken_record_is_no_obstacle_where_the_api_knows_the_job():
    tries = Tries(LOOKED_UP)
    tries.stored = '"?"'
    assert tries.run(make_response({"jobs": [{"id": 9}]})).identifier == 9


def test_where_nothing_is_kept_the_look_up_alone_tells():
    runner = FlowRunner(make_api(), make_response({"jobs": [{"id": 9}]}))
    unknown = Submission("key-1", 3, sent=True)
    assert runner.run(submit(runner.api, SubmitPlan.parse(LOOKED_UP), NEW, unknown)).identifier == 9


def test_a_record_of_a_request_that_was_not_sent_is_used_on():
    runner = FlowRunner(make_api(), CREATED)
    handle = runner.run(submit(runner.api, SubmitPlan.parse(FIELDS), NEW, Submission("key-0", 3)))
    assert handle.identifier == "j-1"
    assert runner.kept[0].key == "key-0"


def test_further_variables_may_be_named():
    runner = FlowRunner(make_api(), CREATED)
    plan = SubmitPlan.parse({**FIELDS, "json": {"to": "{callback_url}"}})
    runner.run(submit(runner.api, plan, NEW, None, {"callback_url": "https://af/cb"}))
    assert json.loads(find_literal_bytes(runner.requests[0].body)) == {"to": "https://af/cb"}


# Callbacks

CALLED_BACK = {**FIELDS, "headers": {"X-Callback": "{callback_url}"}, "callback": True}


def called_back(kept: Submission | None, number: int, *replies: Any, **fields: Any) -> FlowRunner:
    """Run a try that gives away a callback URL of its own."""
    runner = FlowRunner(make_api(), *replies)
    new = Submission("key-1", 3, callbacks=(f"digest-{number}",), connection="vendor")
    plan = SubmitPlan.parse({**CALLED_BACK, **fields})
    variables = {"callback_url": f"https://airflow.example.com/{number}"}
    with contextlib.suppress(KilledError):
        runner.run(submit(runner.api, plan, new, kept, variables))
    return runner


def stored(runner: FlowRunner) -> Submission:
    submission = Submission.parse(json.loads(json.dumps(runner.kept[-1].dump())))
    assert submission is not None
    return submission


def test_the_digest_of_the_callback_url_is_kept_before_the_url_is_given_away():
    runner = called_back(None, 1, killed)
    assert [(kept.sent, kept.callbacks, kept.connection) for kept in runner.kept] == [(True, ("digest-1",), "vendor")]
    assert runner.header("X-Callback") == "https://airflow.example.com/1"
    assert "airflow.example.com" not in json.dumps(runner.kept[-1].dump())


def test_the_url_that_an_earlier_try_gave_away_counts_on():
    keyed = {"query_params": {"key": "{idempotency_key}"}}
    first = called_back(None, 1, killed, **keyed)
    second = called_back(stored(first), 2, CREATED, **keyed)
    assert stored(second).callbacks == ("digest-1", "digest-2")
    assert second.header("X-Callback") == "https://airflow.example.com/2"
    assert "differs from that of the earlier try" not in second.log_text


def test_a_callback_url_makes_no_other_request_of_it():
    first = called_back(None, 1, CREATED)
    second = called_back(stored(first), 2)
    assert second.requests == []
    assert "j-1" in second.log_text


def test_a_url_that_was_given_away_for_another_request_counts_no_more():
    first = called_back(None, 1, CREATED)
    second = called_back(stored(first), 2, make_response(None, 202), CREATED, json={"gstin": "y"}, **CANCEL)
    assert stored(second).callbacks == ("digest-2",)
    assert stored(second).key != stored(first).key


def test_what_was_kept_before_there_were_callbacks_can_be_read():
    kept = {name: value for name, value in NEW.dump().items() if name not in ("callbacks", "connection")}
    assert Submission.parse(kept) == NEW


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
