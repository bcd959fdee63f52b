"""A failed job is resumed once, or another one is submitted if the API refuses that."""

from __future__ import annotations

import dataclasses
import logging
from typing import Any

import pytest

from airflow_provider_asyncapi.core.errors import (
    AmbiguousSubmitError,
    AsyncApiError,
    AuthenticationError,
    ConfigurationError,
    MissingValueError,
    RedirectError,
    UnavailableError,
)
from airflow_provider_asyncapi.core.http.file_bodies import find_literal_bytes
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.jobs.rerun_rules import Repair
from airflow_provider_asyncapi.core.outcome import Outcome
from airflow_provider_asyncapi.core.submit.plan import SubmitPlan
from airflow_provider_asyncapi.core.submit.repair import repair_or_submit
from airflow_provider_asyncapi.core.submit.submission import Submission
from tests.unit.core.flow_runner import BASE, START, FlowRunner, make_api, make_lost_error, make_response

SUBMIT = {"endpoint": "/runs", "identifier": "id", "json": {"key": "{idempotency_key}"}, "start": {"endpoint": "/go"}}
REPAIR = {"endpoint": "/runs/{identifier}/repair", "json": {"tasks": "{tasks}"}}
KEYED = {**REPAIR, "headers": {"Idempotency-Key": "{idempotency_key}"}}
FAILED = JobHandle(
    "r-1",
    Outcome.FAILURE,
    "FAILED",
    progress=0.5,
    submitted_at=START - 60,
    urls={"submit": f"{BASE}/runs", "status": f"{BASE}/runs/r-1"},
    variables={"id": "r-1", "tasks": ["b"], "result_identifier": "old"},
)
RECORD = Submission("k-1", generation=2, repairs=FAILED)
OK = make_response({})


def run(
    *replies: Any, repair: dict[str, Any] | None = REPAIR, record: Submission = RECORD, generation: int = 2
) -> tuple[JobHandle, FlowRunner]:
    runner = FlowRunner(make_api(), *replies)
    return go_on(runner, repair, record, generation), runner


def go_on(
    runner: FlowRunner, repair: dict[str, Any] | None = REPAIR, record: Submission = RECORD, generation: int = 2
) -> JobHandle:
    plan = SubmitPlan.parse(SUBMIT)
    described = None if repair is None else Repair.parse({"repair": repair})
    job: JobHandle = runner.run(repair_or_submit(runner.api, plan, described, Submission("k-9", generation), record))
    return job


def test_a_job_that_is_repaired_keeps_its_identifier_and_is_running_again() -> None:
    job, runner = run(OK)
    assert runner.paths == ["POST /runs/r-1/repair"]
    assert runner.requests[0].body == b'{"tasks":["b"]}'
    assert (job.identifier, job.outcome, job.status, job.progress) == ("r-1", Outcome.RUNNING, None, None)
    assert job.submitted_at == START
    assert job.variables == {"id": "r-1", "tasks": ["b"]}, "its result isn't that of the failed run"


def test_a_job_may_run_again_under_another_identifier_which_replaces_the_first_one_in_its_variables() -> None:
    repair = {**REPAIR, "identifier": "data.run", "capture": {"repair": "data.number"}}
    job, _ = run(make_response({"data": {"run": 8, "number": 2}}), repair=repair)
    assert (job.identifier, job.variables) == (8, {"id": 8, "tasks": ["b"], "repair": 2, "data.number": 2})


def test_a_repair_is_saved_before_and_after_it_is_sent() -> None:
    _, runner = run(OK)
    before, after = runner.kept
    assert (before.sent, before.handle, before.repairs) == (True, None, FAILED)
    assert (after.sent, after.repairs) == (False, FAILED)
    assert after.handle is not None
    assert Submission.parse(after.dump()) == after


def test_a_later_try_resumes_the_repaired_job_without_a_request() -> None:
    _, runner = run(OK)
    job, later = run(record=runner.kept[-1])
    assert (job.identifier, later.requests) == ("r-1", [])


@pytest.mark.parametrize("status", [400, 404, 409, 422])
def test_another_job_is_submitted_with_another_key_if_the_api_refuses_the_repair(status: int) -> None:
    job, runner = run(make_response({"error": "too old"}, status), make_response({"id": "r-2"}), OK, repair=KEYED)
    assert runner.paths == ["POST /runs/r-1/repair", "POST /runs", "POST /go"]
    assert job.identifier == "r-2"
    assert runner.kept[-1].repairs is None
    assert runner.requests[0].headers != runner.requests[1].headers
    assert b"k-1" not in find_literal_bytes(runner.requests[1].body)
    assert any("can't be repaired, so another one is submitted" in text for _, text in runner.logs)


@pytest.mark.parametrize("reply", [make_lost_error(), make_response(status=504)])
def test_a_refusal_after_a_lost_response_submits_no_other_job_since_the_first_may_run_again(reply: Any) -> None:
    runner = FlowRunner(make_api(), reply, make_response({"error": "it is running"}, 409))
    with pytest.raises(AmbiguousSubmitError, match=r"answered 409.*may have repaired the job") as raised:
        go_on(runner, KEYED)
    assert (raised.value.job, raised.value.status_code, runner.kept[-1].sent) == ("r-1", 409, True)
    with pytest.raises(AmbiguousSubmitError, match="may have repaired the job"):
        run(make_response(status=409), repair=KEYED, record=runner.kept[-1])


@pytest.mark.parametrize("reply", [make_lost_error(sent=False), make_response(status=429)])
def test_a_refusal_after_a_request_that_did_nothing_submits_another_job(reply: Any) -> None:
    job, _ = run(reply, make_response(status=409), make_response({"id": "r-2"}), OK, repair=KEYED)
    assert job.identifier == "r-2"


def test_a_refusal_is_saved_so_that_a_later_try_submits() -> None:
    _, runner = run(make_response(status=409), make_response({"id": "r-2"}), OK)
    refused = runner.kept[1]
    assert (refused.repairs, refused.sent, refused.handle) == (None, False, None)
    job, later = run(make_response({"id": "r-2"}), OK, record=refused)
    assert (job.identifier, later.paths) == ("r-2", ["POST /runs", "POST /go"])


def test_a_rule_may_refuse_a_repair() -> None:
    rules = [{"selector": "accepted", "in": False, "outcome": "failure"}]
    job, runner = run(
        make_response({"accepted": False}), make_response({"id": "r-2"}), OK, repair={**REPAIR, "rules": rules}
    )
    assert (job.identifier, len(runner.requests)) == ("r-2", 3)


def test_a_rule_may_say_that_the_job_is_over_already() -> None:
    rules = [{"selector": "state", "in": "done", "outcome": "success"}]
    job, _ = run(make_response({"state": "done"}), repair={**REPAIR, "rules": rules})
    assert job.outcome is Outcome.SUCCESS


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (make_response(status=403), AuthenticationError),
        (make_response(status=307, location="https://other.example/runs"), RedirectError),
    ],
)
def test_an_answer_that_is_not_about_the_job_submits_no_other_one(reply: Any, kind: type[AsyncApiError]) -> None:
    runner = FlowRunner(make_api(), reply)
    with pytest.raises(kind) as raised:
        go_on(runner)
    assert (raised.value.job, len(runner.requests)) == ("r-1", 1)
    assert (runner.kept[-1].sent, runner.kept[-1].repairs) == (False, FAILED)


def test_a_repair_whose_response_was_lost_is_not_sent_again_without_a_key() -> None:
    runner = FlowRunner(make_api(), make_lost_error())
    with pytest.raises(AmbiguousSubmitError, match="may have been carried out"):
        go_on(runner)
    with pytest.raises(AmbiguousSubmitError, match="cut off while it repaired the job") as raised:
        run(record=runner.kept[-1])
    assert raised.value.job == "r-1"


def test_a_repair_whose_response_was_lost_is_sent_again_with_the_same_key() -> None:
    runner = FlowRunner(make_api(), make_lost_error(), OK)
    go_on(runner, KEYED)
    _, later = run(OK, repair=KEYED, record=runner.kept[0])
    assert {dict(each.headers)["Idempotency-Key"] for each in (*runner.requests, *later.requests)} == {"k-1"}


@pytest.mark.parametrize(("repair", "sent"), [(REPAIR, False), (KEYED, True)])
def test_a_repair_that_the_api_has_no_time_for_is_sent_by_a_later_try(repair: dict[str, Any], sent: bool) -> None:
    runner = FlowRunner(make_api(), make_response(status=429), forever=True)
    with pytest.raises(UnavailableError):
        go_on(runner, repair)
    assert runner.kept[-1].sent is sent
    job, _ = run(OK, repair=repair, record=runner.kept[-1])
    assert job.identifier == "r-1"


@pytest.mark.parametrize("body", [{}, {"id": ""}, b"no JSON"])
def test_a_response_without_the_new_identifier_is_an_error_that_later_tries_do_not_forget(body: Any) -> None:
    repair = {**REPAIR, "identifier": "id"}
    runner = FlowRunner(make_api(), make_response(body))
    with pytest.raises(MissingValueError, match="repair: there is no job identifier at 'id'") as raised:
        go_on(runner, repair)
    assert raised.value.job == "r-1"
    with pytest.raises(AmbiguousSubmitError, match="an earlier try has repaired the job, but"):
        run(repair=repair, record=runner.kept[-1])


#: The API lists the repairs of a job, and the client gives each a name.
LOOKED_UP = {
    **REPAIR,
    "json": {"name": "{idempotency_key}"},
    "lookup": {
        "endpoint": "/runs/{identifier}/repairs?name={idempotency_key}",
        "identifier": "repairs[0].id",
        "capture": {"by": "repairs[0].by"},
    },
}
REPAIRED, NOT_REPAIRED = make_response({"repairs": [{"id": 5, "by": "us"}]}), make_response({"repairs": []})
LOOKUP_PATH = "GET /runs/r-1/repairs?name=k-1"


def test_a_lost_response_to_a_repair_is_looked_up_and_not_sent_again() -> None:
    job, runner = run(make_lost_error(), NOT_REPAIRED, REPAIRED, repair=LOOKED_UP)
    assert runner.paths == ["POST /runs/r-1/repair", LOOKUP_PATH, LOOKUP_PATH]
    # The value shows that the job was repaired, and isn't its identifier.
    assert (job.identifier, job.outcome, job.variables["by"]) == ("r-1", Outcome.RUNNING, "us")
    again, later = run(record=runner.kept[-1], repair=LOOKED_UP)
    assert (again, later.requests) == (job, [])


def test_a_try_that_was_killed_in_a_repair_is_looked_up_first() -> None:
    repair = {**LOOKED_UP, "identifier": "id"}
    killed = dataclasses.replace(RECORD, sent=True)
    job, runner = run(REPAIRED, repair=repair, record=killed)
    assert (runner.paths, job.identifier, job.variables["id"]) == ([LOOKUP_PATH], 5, 5)
    answers = [NOT_REPAIRED, make_response(None, 404), *[NOT_REPAIRED] * 3, make_response({"id": 6})]
    job, runner = run(*answers, repair=repair, record=killed)
    assert (runner.paths, job.identifier) == ([*[LOOKUP_PATH] * 5, "POST /runs/r-1/repair"], 6)


def test_a_refusal_of_a_repair_that_was_sent_before_is_looked_up() -> None:
    killed = dataclasses.replace(RECORD, sent=True)
    refused = make_response({"error": "it is running"}, 409)
    job, runner = run(*[NOT_REPAIRED] * 5, refused, REPAIRED, repair=LOOKED_UP, record=killed)
    assert (job.identifier, runner.paths[5:]) == ("r-1", ["POST /runs/r-1/repair", LOOKUP_PATH])
    answers = [*[NOT_REPAIRED] * 5, refused, *[NOT_REPAIRED] * 5, make_response({"id": "r-2"}), OK]
    job, _ = run(*answers, repair=LOOKED_UP, record=killed)
    assert job.identifier == "r-2"


def test_a_repair_that_is_not_found_is_left_to_a_later_try() -> None:
    runner = FlowRunner(make_api(), make_lost_error(), *[NOT_REPAIRED] * 5)
    with pytest.raises(UnavailableError, match="the job wasn't repaired; a later try may repair it") as raised:
        go_on(runner, LOOKED_UP)
    assert (raised.value.job, runner.kept[-1].sent) == ("r-1", True)


def test_a_lookup_that_can_not_be_read_is_an_error() -> None:
    with pytest.raises(MissingValueError, match=r"repair\.lookup: "):
        run(make_response({"repairs": [{"id": {}}]}), repair=LOOKED_UP, record=dataclasses.replace(RECORD, sent=True))


def test_a_repair_is_never_repeated_blindly_if_it_can_be_looked_up() -> None:
    repair = Repair.parse({"repair": LOOKED_UP})
    assert repair is not None
    assert repair.step.is_repeatable
    assert not repair.is_repeatable


def test_a_task_that_is_cleared_submits_a_job() -> None:
    job, runner = run(make_response({"id": "r-2"}), OK, generation=3)
    assert (job.identifier, runner.paths) == ("r-2", ["POST /runs", "POST /go"])


def test_a_dag_without_the_repair_submits_unless_it_may_have_been_sent() -> None:
    job, _ = run(make_response({"id": "r-2"}), OK, repair=None)
    assert job.identifier == "r-2"
    with pytest.raises(AmbiguousSubmitError, match="the DAG has no repair any more"):
        run(repair=None, record=dataclasses.replace(RECORD, sent=True))


def test_the_log_names_the_job() -> None:
    _, runner = run(make_response({"id": "r-7"}), repair={**REPAIR, "identifier": "id"})
    assert (logging.INFO, "Repaired job r-1, which runs again as r-7") in runner.logs


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"repair": "/repair"}, "repair: has to be a mapping that describes a request, not '/repair'"),
        ({"repair": {"json": {"run": "{identifier}"}}}, "repair: endpoint is missing"),
        ({"repair": {"endpoint": "/repair"}}, "repair: the request has to name the failed job by a variable"),
        (
            {"repair": {"endpoint": "/{connection.team}", "headers": {"Key": "{idempotency_key}"}}},
            "repair: the request has to name the failed job by a variable",
        ),
        ({"repair": {**REPAIR, "identifier": "..["}}, "repair.identifier"),
        ({"repair": {**REPAIR, "look_up": {}}}, "repair: unknown key 'look_up'"),
        ({"repair": {**REPAIR, "lookup": "/runs"}}, "repair.lookup: has to be a mapping"),
        ({"repair": {**REPAIR, "lookup": {"identifier": "id"}}}, "repair.lookup: endpoint is missing"),
        ({"repair": {**REPAIR, "lookup": {"endpoint": "/runs"}}}, "repair.lookup: identifier is missing"),
        ({"repair_on": [{"selector": "a", "in": 1}]}, "repair_on: needs repair"),
    ],
)
def test_mistakes_are_errors_that_name_the_parameter(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Repair.parse(given)


def test_a_profile_may_add_the_request() -> None:
    assert Repair.parse({"repair_on": [{"selector": "a", "in": 1}]}, complete=False) is None
