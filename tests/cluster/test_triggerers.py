"""Jobs that are waited for while triggerers are killed, restarted, and frozen."""

from __future__ import annotations

import re
import time

import pytest

from tests.cluster.cluster import DEADLINE, LATE_JOBS, TRIGGERERS, Cluster
from tests.cluster.runs import FOR_LONG, Many

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

#: What a trigger logs that finds its task waiting elsewhere.
SPARED = re.compile(r"Job (\S+) isn't cancelled: it is still needed")


def find_spared(many: Many, cluster: Cluster, name: str) -> set[str]:
    """
    Return the identifiers of the jobs that a triggerer hasn't cancelled.

    If the log of a trigger is closed, the message is in the log of the triggerer.
    A triggerer opens its log of a task anew for each trigger, so the number of messages may also fall.
    """
    logs = [many.log("job.wait"), (cluster.home / f"{name}.log").read_text()]
    return {identifier for log in logs for identifier in SPARED.findall(log)}


def test_the_jobs_of_a_killed_triggerer_are_waited_for_by_another(many, cluster, ports):
    # It holds at least half of them: a triggerer that has work asks Airflow for more of it sooner than an idle one.
    killed = cluster.holder(ports[1])
    cluster.processes.kill(killed)
    since = time.time()
    cluster.start_component(killed)
    many.until_polled(times=2, since=since)
    cluster.wait_for_triggerers()
    many.check_all()


def test_a_rolling_restart_cancels_nothing(many, cluster):
    for name in TRIGGERERS:
        cluster.processes.terminate(name)
        since = time.time()
        cluster.start_component(name)
        cluster.wait_for_triggerers()
        many.until_polled(since=since)
    many.check_all()


def test_a_triggerer_that_was_frozen_cancels_nothing_that_waits_elsewhere(many, cluster, ports):
    frozen, holders = cluster.holder(ports[1]), cluster.holders("many")
    before = find_spared(many, cluster, frozen)
    cluster.freeze(frozen)

    def has_another_all() -> bool:
        now = cluster.holders("many")
        return now.keys() >= holders.keys() and now != holders and len(set(now.values())) == 1

    many.until(has_another_all)
    now = cluster.holders("many")
    held = {job.identifier for job in many.jobs([index for index in holders if holders[index] != now[index]])}
    assert held - before
    cluster.thaw(frozen)
    # It fires on_kill for all that it held.
    many.until(lambda: held <= find_spared(many, cluster, frozen))
    many.until_polled()
    cluster.wait_for_triggerers()
    many.check_all()


def test_a_triggerer_that_comes_back_after_the_deadline_looks_once_more(many, cluster, api, start):
    run = start("deadline", "deadline", seconds=FOR_LONG)
    run.until_waiting(LATE_JOBS)
    for name in TRIGGERERS:
        cluster.processes.kill(name)
    time.sleep(DEADLINE)
    polls = {job.name: len(job.polls) for job in run.jobs()}
    done, late = range(LATE_JOBS // 2), range(LATE_JOBS // 2, LATE_JOBS)
    for index in done:
        api.finish(f"deadline/{index}")
    # Of two that start at once, Airflow may give a job to both.
    cluster.start_component("triggerer-1")
    assert run.finish() == "failed", run.describe_jobs()
    # It is ready by the time that a test kills one again.
    cluster.start_component("triggerer-2")
    run.check(jobs=LATE_JOBS, cancels=1, cancelled=late)
    looks = {job.index: len(job.polls) - polls[job.name] for job in run.jobs()}
    # Of those that were cancelled it is asked what became of them, too.
    assert looks == {**dict.fromkeys(done, 1), **dict.fromkeys(late, 2)}, run.describe_jobs()
    tasks = cluster.tasks(run.run_id)
    for index in done:
        assert (tasks["job.wait", index].state, tasks["job.fetch", index].state) == ("success", "success")
    for index in late:
        assert tasks["job.wait", index].state == "failed"
        assert "AsyncApiTimeout" in run.log("job.wait", index)
