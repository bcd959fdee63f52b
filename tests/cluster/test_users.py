"""What users do to waiting tasks: the remote job is cancelled once, and no other is."""

from __future__ import annotations

import pytest

from tests.cluster.cluster import JOBS
from tests.cluster.runs import FOR_LONG, Run

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

#: Those that end the wait.
ENDING = ("mark-failed", "mark-success", "delete-run", "page")
DEEDS = (*ENDING, "clear-wait", "clear-all")


@pytest.fixture(scope="module")
def done(cluster, start) -> dict[str, Run]:
    """A waiting run for each deed, and the deed done."""
    runs = {deed: start("plain", deed, seconds=FOR_LONG) for deed in DEEDS}
    for run in runs.values():
        run.until_waiting()
    client = cluster.client
    client.mark("plain", "mark-failed", "job.wait", "failed", map_index=0)
    client.mark("plain", "mark-success", "job.wait", "success", map_index=0)
    client.clear("plain", "clear-wait", "job.wait")
    client.clear("plain", "clear-all", "job.submit", "job.wait")
    poll_and_cancel_on_page(runs["page"])
    # Airflow deletes no run that is going on.
    client.mark_run("plain", "delete-run", "failed")
    client.delete_run("plain", "delete-run")
    return runs


def poll_and_cancel_on_page(run: Run) -> None:
    """Poll the job, for which another trigger takes over, and cancel it; what Airflow isn't ready for, a bit later."""
    key = {"dag_id": "plain", "run_id": run.run_id, "task_id": "job.wait", "map_index": 0, "try_number": 1}
    act = run.cluster.client.act
    before = run.cluster.trigger_of(run.run_id, "job.wait")
    run.until(lambda: act("poll", key)[0]["ok"])
    # Which triggerer takes it shows in no log: a triggerer opens its log of a task anew for each trigger.
    run.until(lambda: run.cluster.trigger_of(run.run_id, "job.wait") not in (before, None))
    run.until_polled()
    run.until(lambda: act("cancel", key)[0]["ok"])


@pytest.fixture(scope="module")
def cancelled(done) -> dict[str, int]:
    """Wait until each deed has cancelled its job, and a second cancel would have come; return the polls before that."""
    for deed in ENDING:
        done[deed].until(lambda run=done[deed]: run.job().cancels)
    cleared = done["clear-all"]
    cleared.until(lambda: len(cleared.report().jobs) == 2)
    cleared.until(lambda: cleared.cluster.states(cleared.run_id, "job.wait") == ["deferred"])
    cleared.until(lambda: cleared.report().jobs[0].cancels)
    polls = {deed: len(done[deed].job().polls) for deed in ENDING}
    cleared.until_settled()
    return polls


@pytest.mark.parametrize("deed", ENDING)
def test_the_job_of_a_task_that_is_ended_is_cancelled_once(deed, done, cancelled):
    run = done[deed]
    # A job that is polled on request is polled early, and perhaps once more by the trigger that it had before.
    run.check(cancels=1, repeats=2 * (deed == "page"))
    # Some see what the cancel has done.
    assert len(run.job().polls) <= cancelled[deed] + 3, run.describe_jobs()


def test_a_clear_of_the_wait_alone_waits_for_the_same_job_again(done):
    run = done["clear-wait"]
    run.until_polled(times=2)
    run.check()


def test_a_clear_of_all_cancels_the_old_job_and_not_the_new(done, cancelled):
    run = done["clear-all"]
    old, new = run.report().jobs
    assert (old.cancels, new.cancels) == (1, 0), run.describe_jobs()


def test_a_clear_of_many_waits_for_the_same_jobs_again(many, cluster):
    waits = [("job.wait", index) for index in many.going_on()]
    before = cluster.tasks("many")
    cluster.client.clear("many", "many", *waits)

    def are_tried_again() -> bool:
        now = cluster.tasks("many")
        return all(now[wait].try_number > before[wait].try_number for wait in waits)

    many.until(are_tried_again)
    many.until_all_wait()
    many.check_all()


def test_of_many_those_are_cancelled_whose_wait_is_ended_and_the_others_are_fetched(many, cluster, api):
    """In the end the run is deleted, and with it go those that are still waited for: the last test of them."""
    going_on = many.going_on()
    failed, succeeded, finished, deleted = (going_on[first::4] for first in range(4))
    for state, indices in (("failed", failed), ("success", succeeded)):
        for index in indices:
            cluster.client.mark("many", "many", "job.wait", state, map_index=index)
    for index in finished:
        api.finish(f"many/{index}")
    marked = [*failed, *succeeded]
    fetched = sorted({*range(JOBS)} - {*marked, *deleted})
    many.until(lambda: all(job.cancels for job in many.jobs(marked)))
    many.until_fetched(fetched)
    many.check_all(cancelled=marked)
    cluster.client.mark_run("many", "many", "failed")
    cluster.client.delete_run("many", "many")
    many.until(lambda: all(job.cancels for job in many.jobs(deleted)))
    many.until_settled()
    many.check_all(cancelled=[*marked, *deleted])
    for job in many.jobs():
        # After a wait that is marked as success Airflow begins the fetch, which finds nothing.
        wanted = {0, 1} if job.index in succeeded else {int(job.index in fetched)}
        assert job.fetches in wanted, many.describe_jobs(job)
