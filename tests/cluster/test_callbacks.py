"""Callbacks that come early, late, twice, out of order, for an earlier try or a cleared run: all once."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from demo.airflow.configuration import free_port
from tests.beside import Begun, begin, beside
from tests.cluster.callers import call, call_at_once, signed
from tests.cluster.cluster import Cluster, process_at
from tests.cluster.control import HOLD_AFTER
from tests.cluster.runs import FOR_LONG, Run

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

DONE = {"state": "done", "result": {"rows": 3}}
ENDED = "its callback has ended the wait"
#: Seconds for which a task that was just deferred is left to its trigger.
SETTLED = 8
#: Those that are waiting before the tests call.
WAITING = ("at-once", "twice", "in-disorder", "stranger", "cleared", "signed", "named", "hinted", "ended-by-hand")
DAG_OF = {"hinted": "hinting"}
CONN_OF = {"signed": "signing", "named": "signing"}


@pytest.fixture(scope="module")
def started_server(cluster: Cluster) -> Iterator[str]:
    """Start a second API server beside the cluster's own, and return its address."""
    port = free_port()
    command = (sys.executable, "-m", "airflow", "api-server", "--workers", "1", "--port", str(port))
    cluster.processes.start("api-server-2", command)
    yield f"http://127.0.0.1:{port}"
    cluster.processes.terminate("api-server-2")


@pytest.fixture(scope="module")
def other_server(cluster: Cluster, started_server: str) -> str:
    """Wait until the second API server answers, and return its address."""
    deadline = time.monotonic() + 120
    while True:
        try:
            call(f"{started_server}/asyncapi/callbacks/nothing", {})
        except OSError:
            assert time.monotonic() < deadline, cluster.processes.tails()
            time.sleep(0.5)
        else:
            return started_server


@pytest.fixture(scope="module")
def silent(start) -> Run:
    """A job that never calls, whose deadline passes beside the other tests."""
    run: Run = start("calling-briefly", "never", seconds=FOR_LONG)
    return run


@pytest.fixture(scope="module")
def waiting(start, silent, started_server) -> dict[str, Run]:
    """
    A run for each test, its task deferred so long ago that a callback resumes it.

    What takes time beside them begins with them: the wait for the deadline, and the start of another server.
    """
    runs = {
        name: start(DAG_OF.get(name, "calling"), name, seconds=FOR_LONG, conn=CONN_OF.get(name, "jobs"))
        for name in WAITING
    }
    for run in runs.values():
        run.until(lambda run=run: run.cluster.states(run.run_id, "job.wait") == ["deferred"])
    time.sleep(SETTLED)
    return runs


@pytest.fixture(scope="module")
def begun(request, waiting, other_server, cluster, api, start) -> Iterator[Begun]:
    given = {"waiting": waiting, "other_server": other_server, "cluster": cluster, "api": api, "start": start}
    with begin(request, **given) as tests:
        yield tests


def callback_of(run: Run) -> str:
    url = run.report().jobs[-1].callback
    assert url is not None
    return url


def check_done(run: Run, *, tries: int = 1) -> None:
    assert run.finish() == "success", run.describe_jobs()
    fetched = run.cluster.client.xcom(run.dag_id, run.run_id, "job.fetch", map_index=0)
    assert fetched == {"rows": 3}, run.describe_jobs()
    assert run.log("job.wait").count(ENDED) == 1, run.describe_jobs()
    assert run.tries("job.submit") == tries, run.describe_jobs()
    assert run.job().polls == ()


@beside
def test_a_callback_resumes_its_task_at_once(waiting):
    run = waiting["at-once"]
    assert call(callback_of(run), DONE) == 200
    check_done(run)
    assert call(callback_of(run), {"state": "failed"}) == 200, "too late to change anything"
    run.until_settled()
    assert run.finish() == "success"
    run.check()


@beside
def test_the_same_callback_at_two_servers_at_once_is_one(waiting, other_server):
    run = waiting["twice"]
    urls = [callback_of(run), f"{other_server}{urlsplit(callback_of(run)).path}"] * 5
    assert call_at_once(urls, DONE) == [200] * 10
    check_done(run)
    calls = run.cluster.client.xcom(run.dag_id, run.run_id, "job.submit", "asyncapi_calls", map_index=0)
    assert len(calls["calls"]) == 1


@beside
def test_news_from_before_the_end_that_come_after_it_change_nothing(waiting):
    run, url = waiting["in-disorder"], callback_of(waiting["in-disorder"])
    assert call(url, {"state": "running", "at": 1}) == 200
    run.until(lambda: "according to a callback; waiting on" in run.log("job.wait"))
    run.until(lambda: run.cluster.states(run.run_id, "job.wait") == ["deferred"])
    assert call(url, DONE) == 200
    assert call(url, {"state": "running", "at": 2}) == 200
    check_done(run)


@beside
def test_who_was_not_asked_changes_nothing(waiting):
    run, url = waiting["stranger"], callback_of(waiting["stranger"])
    head, _, reference = url.rpartition("/")
    others = [
        f"{head}/{reference[:-1]}{'A' if reference[-1] != 'A' else 'B'}",
        # Another one's token with this one's id.
        f"{head}/{reference[:21]}{callback_of(waiting['signed']).rpartition('/')[2][21:]}",
        f"{head}/{reference[:-1]}",
        f"{url}%00",
        f"{head}/../callbacks/{reference[::-1]}",
        f"{head}/connections/jobs",
        f"{head}/connections/nobody",
        f"{head}/connections/signing",
    ]
    assert [call(other, DONE) for other in others] == [404] * len(others)
    assert call(url, b'{"state": "done"') == 404
    assert call(url, b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", **{"Content-Type": "application/xml"}) == 404
    run.until_settled()
    assert run.cluster.states(run.run_id, "job.wait") == ["deferred"], run.describe_jobs()
    assert call(url, DONE) == 200
    check_done(run)


@beside
def test_a_callback_for_what_was_cleared_is_refused_and_the_new_one_taken(waiting):
    run, old = waiting["cleared"], callback_of(waiting["cleared"])
    run.cluster.client.clear(run.dag_id, run.run_id, "job.submit", "job.wait")
    run.until(lambda: len(run.report().jobs) == 2)
    run.until(lambda: run.cluster.states(run.run_id, "job.wait") == ["deferred"])
    assert call(old, DONE) == 404
    assert call(callback_of(run), DONE) == 200
    assert run.finish() == "success", run.describe_jobs()
    first, second = run.report().jobs
    assert (first.cancels, second.cancels) == (1, 0), run.describe_jobs()


@beside
def test_a_signed_callback_is_taken_only_with_its_signature(waiting):
    run, url = waiting["signed"], callback_of(waiting["signed"])
    now = time.time()
    assert call(url, DONE) == 404
    assert call(url, DONE, **signed({"state": "failed"}, "m1")) == 404
    assert call(url, DONE, **signed(DONE, "m1", now - 3600)) == 404
    assert call(url, DONE, **signed(DONE, "m1")) == 200
    assert call(url, DONE, **signed(DONE, "m1")) == 200
    check_done(run)


@beside
def test_a_callback_finds_its_job_by_the_identifier_where_one_url_is_called_for_all(waiting, cluster):
    run = waiting["named"]
    url = f"{cluster.url}/asyncapi/callbacks/connections/signing"
    unknown, known = ({**DONE, "id": each} for each in ("j-0", run.job().identifier))
    assert call(url, unknown, **signed(unknown, "m2")) == 404
    assert call(url, known) == 404
    assert call(url, known, **signed(known, "m3")) == 200
    check_done(run)


@beside
def test_a_hint_makes_one_poll(waiting, api):
    run = waiting["hinted"]
    polls = len(run.job().polls)
    assert call(callback_of(run), {"any": "thing"}) == 200
    run.until(lambda: len(run.job().polls) > polls)
    run.until(lambda: run.cluster.states(run.run_id, "job.wait") == ["deferred"])
    api.finish(run.run_id)
    time.sleep(SETTLED)
    assert call(callback_of(run), {"another": "thing"}) == 200
    assert run.finish() == "success", run.describe_jobs()
    assert len(run.job().polls) == polls + 2, run.describe_jobs()


@beside
def test_a_callback_changes_nothing_of_a_task_that_was_ended_by_hand(waiting):
    run = waiting["ended-by-hand"]
    run.cluster.client.mark(run.dag_id, run.run_id, "job.wait", "failed", map_index=0)
    run.until(lambda: run.job().cancels)
    assert call(callback_of(run), DONE) == 200
    run.until_settled()
    assert run.cluster.states(run.run_id, "job.wait") == ["failed"]
    run.check(cancels=1)


@beside
def test_a_callback_before_the_answer_to_the_submit_is_kept(api, start):
    api.plan("before-the-answer/0", "submit", HOLD_AFTER)
    run = start("calling", "before-the-answer", seconds=FOR_LONG)
    run.until(lambda: api.held_at("before-the-answer/0", "submit"))
    assert call(callback_of(run), DONE) == 200
    api.release("before-the-answer/0", "submit")
    check_done(run)
    run.check()


@beside
def test_a_callback_that_an_earlier_try_was_promised_is_kept_for_the_next(api, start):
    api.plan("earlier-try/0", "submit", HOLD_AFTER)
    run = start("calling", "earlier-try", seconds=FOR_LONG)
    run.until(lambda: api.held_at("earlier-try/0", "submit"))
    assert call(callback_of(run), DONE) == 200
    process_at(*api.held_at("earlier-try/0", "submit")).kill()
    run.until(lambda: run.has_been_tried("job.submit", 2))
    api.release("earlier-try/0", "submit")
    check_done(run, tries=2)
    run.check(submits=2)


@beside
def test_a_callback_between_the_worker_and_the_triggerer_is_not_lost(start):
    run = start("calling", "in-between", seconds=FOR_LONG)
    run.until(lambda: run.cluster.states(run.run_id, "job.wait") == ["deferred"])
    assert call(callback_of(run), DONE) == 200
    check_done(run)


def test_a_job_that_never_calls_is_cancelled_at_the_deadline(silent):
    run = silent
    run.until(lambda: [job.cancels for job in run.report().jobs] == [1])
    run.until(lambda: "hasn't called back by the deadline" in run.log("job.wait"))
    run.check(cancels=1)


def test_no_log_of_a_task_or_server_holds_a_callback_url(waiting, cluster):
    references = {callback_of(run).rpartition("/")[2] for run in waiting.values()}
    logs = [*cluster.home.glob("*.log"), *(cluster.home / "logs").rglob("*.log*")]
    found = [str(log) for log in logs if any(each in log.read_text(errors="replace") for each in references)]
    assert found == []
