"""Processes on a worker that are killed: around the request to submit, the one moment that counts, or as they poll."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.beside import Begun, begin, beside
from tests.cluster.cluster import process_at
from tests.cluster.control import HOLD_BEFORE
from tests.cluster.runs import FOR_LONG, MOMENTS, Run

if TYPE_CHECKING:
    from psutil import Process

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]


#: The number of jobs of a run that is limited to two at a time, of which the first is killed while it submits.
LIMITED = 6


@dataclass(frozen=True, slots=True)
class Scenario:
    """
    A kill.

    :param moment: one of those around the request to submit.
    :param victims: the process of the task, that which supervises it, or both.
    :param jobs: how many jobs there have to be.
    :param submits: how many requests to submit the API has to count.
    :param error: the exception with which the run has to fail; None for a run that succeeds.
    """

    moment: str
    victims: tuple[str, ...]
    dag: str = "keyed"
    jobs: int = 1
    submits: int = 1
    error: str | None = None


TASK, SUPERVISOR = ("task",), ("supervisor",)
BOTH = (*SUPERVISOR, *TASK)
SCENARIOS: dict[str, Scenario] = {
    "before-task-keyed": Scenario("before", TASK),
    "before-both-lookup": Scenario("before", BOTH, dag="lookup"),
    "before-task-plain": Scenario("before", TASK, dag="plain"),
    "during-task-keyed": Scenario("during", TASK, submits=2),
    "during-both-keyed": Scenario("during", BOTH, submits=2),
    # The task's process lives on beside the next try.
    "during-supervisor-keyed": Scenario("during", SUPERVISOR, submits=2),
    "during-task-lookup": Scenario("during", TASK, dag="lookup"),
    "during-both-plain": Scenario("during", BOTH, dag="plain", error="AsyncApiSubmitAmbiguous"),
    "after-task": Scenario("after", TASK, dag="started"),
    "after-both": Scenario("after", BOTH, dag="started"),
}


@pytest.fixture(scope="module")
def pollers(start) -> dict[str, Run]:
    """Runs whose sensors poll on a worker, until they are told that their jobs are done."""
    return {name: start("poking", name, seconds=FOR_LONG) for name in ("stopped", "poking-marked")}


@pytest.fixture(scope="module")
def limited(api, start: Callable[..., Run]) -> Run:
    """A run of a connection that allows two jobs at a time; the first has one of the slots, and is killed."""
    step, how = MOMENTS["during"]
    api.plan("limited/0", step, how)
    run = start("limited", "limited", conn="limited", seconds=3)
    is_held = partial(api.held_at, "limited/0", step)
    run.until(is_held)
    task = process_at(*is_held())
    task.parent().kill()
    task.kill()
    api.release("limited/0", step)
    return run


@pytest.fixture(scope="module")
def killed(api, start, pollers, limited) -> dict[str, Run]:
    """All runs at once, each with its victims dead, beside those that poll."""
    runs = {}
    for name, scenario in SCENARIOS.items():
        step, how = MOMENTS[scenario.moment]
        api.plan(_held(name, step), step, how)
        conn = f"login-{name}" if step == "login" else "jobs"
        runs[name] = start(scenario.dag, name, conn=conn)
    for name, scenario in SCENARIOS.items():
        step, _ = MOMENTS[scenario.moment]
        is_held = partial(api.held_at, _held(name, step), step)
        runs[name].until(is_held)
        task = process_at(*is_held())
        processes = {"task": task, "supervisor": task.parent()}
        for victim in scenario.victims:
            processes[victim].kill()
    for name, scenario in SCENARIOS.items():
        step, _ = MOMENTS[scenario.moment]
        if scenario.victims == SUPERVISOR:
            runs[name].until(partial(runs[name].has_been_tried, "job.submit", 2))
        api.release(_held(name, step), step)
    return runs


@pytest.fixture(scope="module")
def begun(request, api, pollers) -> Iterator[Begun]:
    with begin(request, api=api, pollers=pollers) as tests:
        yield tests


def _held(name: str, step: str) -> str:
    """Return the name under which a fault is planned; a login belongs to a connection, not to a job."""
    return name if step == "login" else f"{name}/0"


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_task_that_is_killed_submits_its_job_once(name, killed):
    scenario, run = SCENARIOS[name], killed[name]
    assert run.finish() == ("failed" if scenario.error else "success"), run.describe_jobs()
    assert run.tries("job.submit") == 2, run.describe_jobs()
    if scenario.error:
        assert scenario.error in run.log("job.submit"), run.describe_jobs()
    run.check(jobs=scenario.jobs, submits=scenario.submits)


def hold_poll(api, run: Run) -> Process:
    """Return the process of a sensor on a worker, in the middle of a poll."""
    api.plan(f"{run.run_id}/0", "status", HOLD_BEFORE)
    run.until(lambda: api.held_at(f"{run.run_id}/0", "status"))
    return process_at(*api.held_at(f"{run.run_id}/0", "status"))


@beside
def test_a_wait_on_a_worker_that_is_stopped_goes_on_in_the_next_try(api, pollers):
    run = pollers["stopped"]
    task = hold_poll(api, run)
    task.terminate()
    run.until(lambda: "isn't cancelled: it is still needed" in run.log("job.wait"))
    task.kill()
    api.release("stopped/0", "status")
    api.finish("stopped")
    assert run.finish() == "success", run.describe_jobs()
    assert run.tries("job.wait") == 2, run.describe_jobs()
    run.check()


@beside
def test_a_wait_on_a_worker_that_is_marked_as_failed_cancels_its_job(api, pollers):
    run = pollers["poking-marked"]
    hold_poll(api, run)
    run.cluster.client.mark("poking", "poking-marked", "job.wait", "failed", map_index=0)
    run.until(lambda: "accepted the cancel (the task is failed)" in run.log("job.wait"))
    api.release("poking-marked/0", "status")
    run.check(cancels=1)


@pytest.mark.usefixtures("killed")
def test_a_killed_worker_loses_no_slot_and_lets_no_more_jobs_run_than_the_connection_allows(limited):
    assert limited.finish() == "success", limited.describe_jobs()
    jobs = limited.jobs()
    assert len(jobs) == LIMITED, limited.describe_jobs()
    assert max(job.beside for job in jobs) == 2, limited.describe_jobs()
    assert limited.report().submits["limited/0"] == 2, limited.describe_jobs()
