"""A job API that misbehaves: each job is made once all the same, and is polled no sooner than it may be."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

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
    status_response,
)
from tests.cluster.job_api import DRIP, PAD
from tests.cluster.runs import NO_NAME, SHORTEST_GAP, UNRESOLVED, Run

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]


@dataclass(frozen=True, slots=True)
class Scenario:
    """
    One job, and what goes wrong with it.

    :param faults: step → its first answers.
    :param jobs: how many jobs there have to be.
    :param submits: how many requests to submit the API has to count.
    :param shortest_gap: seconds between two polls.
    :param repeats: how many polls may be repeated at once: those that met a used connection that was hung up.
    :param error: the exception with which the run has to fail; None for a run that succeeds.
    """

    faults: dict[str, list[Fault]]
    dag: str = "plain"
    conn: str = "jobs"
    jobs: int = 1
    submits: int = 1
    shortest_gap: float = SHORTEST_GAP
    repeats: int = 0
    error: str | None = None


SCENARIOS: dict[str, Scenario] = {
    # The submit: what was not carried out is sent again, what may have been is not, unless the API knows a key.
    "submit-503": Scenario({"submit": [answer(503, "2")]}, jobs=0, error="AsyncApiSubmitAmbiguous"),
    "submit-503-ruled": Scenario({"submit": [answer(503, "2"), answer(503)]}, dag="ruled", submits=3),
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
    "status-slow-head": Scenario({"status": [status_response("running"), DRIP_HEAD]}, conn="impatient"),
    "status-slow-body": Scenario({"status": [status_response("running"), DRIP_BODY]}, conn="impatient"),
    "status-overlong": Scenario({"status": [OVERLONG] * 2}),
    "status-5xx": Scenario({"status": [answer(500), answer(502), answer(503)]}),
    "status-retry-after": Scenario({"status": [answer(429, "5"), answer(503, "5")]}),
    # No leave to hammer.
    "status-retry-after-0": Scenario({"status": [answer(429, "0")] * 3}, shortest_gap=0.9),
    "status-unknown": Scenario({"status": [status_response("odd"), status_response("odder")]}),
    "status-unknown-closed": Scenario(
        {"status": [status_response("odd")]}, dag="closed", error="AsyncApiUnknownStatus"
    ),
    "status-backwards": Scenario(
        {
            "status": [
                status_response("running"),
                status_response("queued"),
                status_response("running"),
                status_response("queued"),
            ]
        }
    ),
    "status-401": Scenario({"status": [answer(401)]}, error="AsyncApiUnauthorized"),
    # With the new token it is polled again at once.
    "status-token-expired": Scenario(
        {"status": [status_response("running"), EXPIRE]}, conn="login-shared", shortest_gap=0
    ),
    # The fetch.
    "result-broken": Scenario({"result": [RESET, TRUNCATE, answer(503, "1")]}),
    # What the API doesn't see: see below.
    "unresolved": Scenario({}, conn="unresolved"),
}


@pytest.fixture(scope="module")
def started(cluster, api, start, storm) -> dict[str, Run]:
    """All runs at once, beside many that meet a storm: one after the other, most of the time would be waiting."""
    started = {}
    with cluster.without_name(UNRESOLVED):
        for name, scenario in SCENARIOS.items():
            for step, faults in scenario.faults.items():
                api.plan(f"{name}/0", step, *faults)
            started[name] = start(scenario.dag, name, conn=scenario.conn, seconds=10)
        unresolved = started["unresolved"]
        unresolved.until(lambda: NO_NAME in unresolved.log("job.submit"))
    return started


@pytest.fixture
def run(started):
    return lambda name: started[name]


@pytest.mark.parametrize("name", SCENARIOS)
def test_each_run_ends_as_it_should_with_one_job(name, run):
    scenario, found = SCENARIOS[name], run(name)
    assert found.finish() == ("failed" if scenario.error else "success"), found.describe_jobs()
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
    assert all(gap >= 5 for gap in found.job().gaps()[:2]), found.describe_jobs()


def test_an_answer_that_trickles_holds_nothing_up_for_long(run):
    for name in ("status-slow-head", "status-slow-body"):
        found = run(name)
        found.finish()
        # Ten times the `read_timeout` of the connection; the whole response would take minutes.
        assert "the response wasn't complete within 20 s; polling again" in found.log("job.wait"), found.describe_jobs()
        assert max(found.job().gaps()) < DRIP * PAD, found.describe_jobs()


def test_an_expired_token_is_renewed(run):
    found = run("status-token-expired")
    found.finish()
    assert found.report().logins["shared"] >= 2
