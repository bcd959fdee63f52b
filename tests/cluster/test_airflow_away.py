"""Airflow's own servers are away for a while."""

from __future__ import annotations

import time
from functools import partial

import pytest

from tests.cluster.cluster import JOBS
from tests.cluster.control import HOLD_AFTER
from tests.cluster.runs import FOR_LONG, POLLED_EVERY

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

#: Seconds; in half of them a task has made all its attempts to reach the API server.
API_SERVER_AWAY = 30
#: How often each job is polled in that time, at least.
POLLS_MEANWHILE = API_SERVER_AWAY // POLLED_EVERY // 2


@pytest.fixture(scope="module")
def survivors(cluster, api, start, many_begun):
    """Runs at several points of their course while the API server is away."""
    waiting, done_meanwhile = (start("plain-patient", name, seconds=FOR_LONG) for name in ("waiting", "done-meanwhile"))
    for run in (waiting, done_meanwhile):
        run.until_waiting()
    lost = {}
    for way in ("keyed", "lookup", "plain"):
        api.plan(f"lost-{way}/0", "submit", HOLD_AFTER)
        lost[way] = start(f"{way}-patient", f"lost-{way}")
    for run in lost.values():
        run.until(partial(api.held_at, f"{run.run_id}/0", "submit"))
    queued = [start("keyed-patient", f"queued-{number}") for number in range(3)]
    waited = sorted(cluster.waiting("many")["many"])
    many_done_meanwhile, many_waiting = waited[: JOBS // 4], waited[JOBS // 4 :]
    cluster.processes.kill("api-server")
    away_since = time.time()
    for name in (done_meanwhile.run_id, *(f"many/{index}" for index in many_done_meanwhile)):
        api.finish(name)
    for run in lost.values():
        api.release(f"{run.run_id}/0", "submit")
    time.sleep(API_SERVER_AWAY)
    many_begun.until_polled(POLLS_MEANWHILE, since=away_since, among=many_waiting)
    cluster.start_component("api-server")
    cluster.wait_until_healthy()
    api.finish(waiting.run_id)
    return {
        "many-waiting": many_waiting,
        "waiting": waiting,
        "done-meanwhile": done_meanwhile,
        "many-done-meanwhile": many_done_meanwhile,
        "queued": queued,
        **lost,
    }


@pytest.mark.parametrize("name", ["waiting", "done-meanwhile"])
def test_a_job_is_waited_for_while_the_api_server_is_away(name, survivors):
    run = survivors[name]
    assert run.finish() == "success", run.describe_jobs()
    run.check()
    assert run.job().fetches == 1


def test_many_are_polled_as_ever_while_the_api_server_is_away(survivors, many):
    # The fixture has waited until each was polled, before it has started the API server.
    assert len(survivors["many-waiting"]) > JOBS / 4
    many.check_all()


def test_many_that_are_done_while_the_api_server_is_away_are_fetched_once(survivors, many):
    done = survivors["many-done-meanwhile"]
    assert len(done) == JOBS // 4
    many.until_fetched(done)
    many.check_all()
    assert {job.fetches for job in many.jobs(done)} == {1}


def test_tasks_that_were_queued_submit_once(survivors):
    for run in survivors["queued"]:
        assert run.finish() == "success", run.describe_jobs()
        assert len(run.report().jobs) == 1


def test_an_answer_that_airflow_could_not_note_makes_no_second_job_where_the_request_has_a_key(survivors):
    run = survivors["keyed"]
    assert run.finish() == "success", run.describe_jobs()
    assert len(run.report().jobs) == 1, run.describe_jobs()


def test_an_answer_that_airflow_could_not_note_is_looked_up(survivors):
    run = survivors["lookup"]
    assert run.finish() == "success", run.describe_jobs()
    run.check()


def test_an_answer_that_airflow_could_not_note_fails_the_task_where_there_is_no_other_way(survivors):
    run = survivors["plain"]
    assert run.finish() == "failed", run.describe_jobs()
    run.check()
    assert "AsyncApiSubmitAmbiguous" in run.log("job.submit")
