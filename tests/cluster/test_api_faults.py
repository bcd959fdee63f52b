"""A job API that misbehaves: each job is made once all the same, and is polled no sooner than it may be."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tests.cluster.cluster import JOBS
from tests.cluster.control import (
    DRIP_BODY,
    DRIP_HEAD,
    EXPIRE,
    HALF_CLOSE,
    LOSE,
    OVERLONG,
    RESET,
    TRUNCATE,
    Fault,
    answer,
    say,
)
from tests.cluster.runs import FOR_LONG, SHORTEST_GAP, SUBMITS, Run

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

#: Seconds for which the port refuses connections.
AWAY = 60
#: What many jobs meet, each another of these at first; between two of them they are told that they are running.
STORM: list[Fault] = [
    RESET,
    answer(500),
    HALF_CLOSE,
    answer(429),
    TRUNCATE,
    answer(502),
    say("odd"),
    OVERLONG,
    answer(503),
    say("queued"),
]
#: What every tenth meets besides: of a hundred that trickle at once, most would wait for a connection.
TRICKLES: list[Fault] = [DRIP_HEAD, DRIP_BODY]

NO_NAME = "the host's name can't be resolved"


@dataclass(frozen=True, slots=True)
class Scenario:
    """
    One job, and what goes wrong with it.

    :param faults: step → its first answers.
    :param jobs: how many jobs there have to be.
    :param submits: how many requests to submit the API has to count.
    :param shortest_gap: seconds between two polls.
    :param repeats: how many polls may be repeated at once: those that met a used connection that was hung up.
    :param seconds: how long the job takes.
    :param error: the exception with which the run has to fail; None for a run that succeeds.
    """

    faults: dict[str, list[Fault]]
    dag: str = "plain"
    conn: str = "jobs"
    jobs: int = 1
    submits: int = 1
    shortest_gap: float = SHORTEST_GAP
    repeats: int = 0
    seconds: float = 10
    error: str | None = None


SCENARIOS: dict[str, Scenario] = {
    # The submit: what was not carried out is sent again, what may have been is not, unless the API knows a key.
    "submit-503": Scenario({"submit": [answer(503, "2"), answer(503)]}, submits=3),
    "submit-429": Scenario({"submit": [answer(429), answer(429, "1")]}, submits=3),
    "submit-500": Scenario({"submit": [answer(500)]}, jobs=0, error="AsyncApiSubmitAmbiguous"),
    "submit-500-keyed": Scenario({"submit": [answer(500), answer(502)]}, dag="keyed", submits=3),
    "submit-reset-keyed": Scenario({"submit": [RESET]}, dag="keyed", submits=2),
    "submit-lost": Scenario({"submit": [LOSE]}, error="AsyncApiSubmitAmbiguous"),
    "submit-lost-keyed": Scenario({"submit": [LOSE, LOSE]}, dag="keyed", submits=3),
    "submit-lost-lookup": Scenario({"submit": [LOSE]}, dag="lookup"),
    # The wait: whatever comes, it goes on at its pace.
    "status-reset": Scenario({"status": [RESET, RESET]}, repeats=2),
    "status-half-closed": Scenario({"status": [HALF_CLOSE, HALF_CLOSE]}, repeats=2),
    "status-truncated": Scenario({"status": [TRUNCATE, TRUNCATE]}),
    # The first poll is made on the worker; it is the triggerer that mustn't be held up.
    "status-slow-head": Scenario({"status": [say("running"), DRIP_HEAD]}, conn="impatient"),
    "status-slow-body": Scenario({"status": [say("running"), DRIP_BODY]}, conn="impatient"),
    "status-overlong": Scenario({"status": [OVERLONG] * 2}),
    "status-5xx": Scenario({"status": [answer(500), answer(502), answer(503)]}),
    "status-retry-after": Scenario({"status": [answer(429, "5"), answer(503, "5")]}),
    # No leave to hammer.
    "status-retry-after-0": Scenario({"status": [answer(429, "0")] * 3}, shortest_gap=0.9),
    "status-unknown": Scenario({"status": [say("odd"), say("odder")]}),
    "status-unknown-closed": Scenario({"status": [say("odd")]}, dag="closed", error="AsyncApiJobFailed"),
    "status-backwards": Scenario({"status": [say("running"), say("queued"), say("running"), say("queued")]}),
    "status-401": Scenario({"status": [answer(401)]}, error="AsyncApiUnauthorized"),
    # With the new token it is polled again at once.
    "status-token-expired": Scenario({"status": [say("running"), EXPIRE]}, conn="login-shared", shortest_gap=0),
    # The fetch.
    "result-broken": Scenario({"result": [RESET, TRUNCATE, answer(503, "1")]}),
    # What the API doesn't see: see below.
    "refused": Scenario({}, conn="flaky", seconds=FOR_LONG),
    "unresolved": Scenario({}, conn="unresolved", seconds=FOR_LONG),
}


@pytest.fixture(scope="module")
def started(cluster, api, start, many_begun) -> dict[str, Run]:
    """All runs at once: one after the other, most of the time would be waiting."""
    many_begun.until_waiting(JOBS)
    cluster.failing_names.touch()
    started = {}
    for name, scenario in SCENARIOS.items():
        for step, faults in scenario.faults.items():
            api.plan(f"{name}/0", step, *faults)
        started[name] = start(scenario.dag, name, conn=scenario.conn, seconds=scenario.seconds)
    unresolved, refused = started["unresolved"], started["refused"]
    unresolved.until(lambda: NO_NAME in unresolved.log("job.submit"))
    cluster.failing_names.unlink()
    for run in (refused, unresolved):
        run.until_waiting()
    cluster.failing_names.touch()
    # Many are refused for the whole minute, while the other runs go on.
    api.refuse(AWAY)
    unresolved.until(lambda: NO_NAME in unresolved.log("job.wait"))
    cluster.failing_names.unlink()
    for run in (refused, unresolved):
        api.finish(run.run_id)
    return started


@pytest.fixture
def run(started):
    return lambda name: started[name]


@pytest.mark.parametrize("name", SCENARIOS)
def test_each_run_ends_as_it_should_with_one_job(name, run):
    scenario, found = SCENARIOS[name], run(name)
    assert found.finish() == ("failed" if scenario.error else "success"), found.story()
    if scenario.error:
        assert scenario.error in found.log("job.submit") + found.log("job.wait")
    found.check(
        jobs=scenario.jobs,
        submits=scenario.submits,
        shortest_gap=scenario.shortest_gap,
        repeats=scenario.repeats,
    )


def test_what_the_api_asks_for_is_waited_for(run):
    found = run("status-retry-after")
    found.finish()
    assert all(gap >= 5 for gap in found.job().gaps()[:2]), found.story()


def test_an_answer_that_trickles_holds_nothing_up_for_long(run):
    for name in ("status-slow-head", "status-slow-body"):
        found = run(name)
        found.finish()
        assert max(found.job().gaps()) < 30, found.story()


def test_an_expired_token_is_renewed(run):
    found = run("status-token-expired")
    found.finish()
    assert found.report().logins["shared"] >= 2


def test_a_port_that_refuses_is_asked_again_later(run):
    found = run("refused")
    assert found.finish() == "success", found.story()
    assert "couldn't connect" in found.log("job.wait")


def test_each_of_many_is_submitted_once_whatever_the_requests_meet(many):
    met = [SUBMITS[index % len(SUBMITS)] for index in range(JOBS)]
    report = many.report()
    # What was lost has been carried out; all else that went wrong was not.
    assert report.submits == {f"many/{index}": len(met[index]) + (LOSE not in met[index]) for index in range(JOBS)}
    assert all(report.lookups[f"many/{index}"] for index in range(JOBS) if LOSE in met[index])
    assert many.tries("job.submit") > 1, "the worker that was killed had nothing to do"
    many.check_all()


def test_many_are_polled_again_after_a_minute_without_the_api(many, started):
    assert started["refused"].finish() == "success"
    many.until_polled(times=2)
    many.check_all()


def test_many_are_polled_on_through_a_storm_of_errors(many, api):
    """Resets, half-closed, cut, overlong and trickling answers, status 429 and 5xx, unknown statuses, steps back."""
    for index in range(JOBS):
        first = index % len(STORM)
        faults = STORM[first:] + STORM[:first] + TRICKLES * (first == 0)
        api.plan(f"many/{index}", "status", *(each for fault in faults for each in (fault, say("running"))))
    many.until(lambda: not api.planned("many"))
    many.until_polled()
    many.check_all()


def test_one_retry_after_holds_for_many(many, api):
    held = many.cluster.waiting_with("many", 0)
    assert 0 in held
    api.plan("many/0", "status", answer(429, "8"))
    many.until(lambda: not api.planned("many"))
    asked = many.jobs([0])[0].polls[-1]
    many.until_polled(times=2)
    hasty = [job for job in many.jobs(held) if any(asked + 1 < poll < asked + 8 for poll in job.polls)]
    assert hasty == [], many.story(*hasty)
    many.check_all()


def test_a_token_that_expires_for_many_is_renewed_once_for_all(many, api):
    before = many.report().logins["many"]
    api.expire()
    many.until_polled(times=2)
    # Triggerers on the same host share it.
    assert many.report().logins["many"] == before + 1
    many.check_all()
