"""Jobs that are run again after they have failed, while workers and triggerers are killed: one job for each attempt."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import pytest

from tests.beside import Begun, begin, beside
from tests.cluster.cluster import TRIGGERERS, Cluster, process_at
from tests.cluster.control import HOLD_AFTER, NONE, Control, Fault
from tests.cluster.runs import FOR_LONG, Run

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]


@dataclass(frozen=True, slots=True)
class Scenario:
    """
    A kill of the task that submits the second job, or repairs the first one.

    :param dag: the DAG.
    :param step: the step at whose request it is killed: the API has carried the request out, and not answered it.
    :param faults: the faults of that step's requests.
    :param jobs: how many jobs there have to be.
    :param submits: how many requests to submit the API has to count.
    :param repairs: how often the first job has to be repaired.
    """

    dag: str
    step: str = "submit"
    faults: tuple[Fault, ...] = (NONE, HOLD_AFTER)
    jobs: int = 2
    submits: int = 3
    repairs: int = 0


SCENARIOS: dict[str, Scenario] = {
    "one-task-keyed": Scenario("again-in-one"),
    "one-task-lookup": Scenario("again-lookup", submits=2),
    # The second job was submitted, and no XCom says so.
    "one-task-started": Scenario("again-in-one", step="start", submits=2),
    "sensor-keyed": Scenario("again"),
    "sensor-started": Scenario("again", step="start", submits=2),
    "repaired": Scenario("repaired", step="repair", faults=(HOLD_AFTER,), jobs=1, submits=1, repairs=1),
    "repaired-lookup": Scenario("repaired-lookup", step="repair", faults=(HOLD_AFTER,), jobs=1, submits=1, repairs=1),
}


def is_deferred(run: Run) -> bool:
    return run.cluster.states(run.run_id, "job.wait") == ["deferred"]


def has_jobs(run: Run, count: int) -> bool:
    return len(run.jobs()) == count


@pytest.fixture(scope="module")
def killed(api: Control, start: Callable[..., Run]) -> dict[str, Run]:
    """All runs at once, each killed as its second job was submitted, or its first one repaired."""
    runs = {}
    for name, scenario in SCENARIOS.items():
        api.plan(f"again-{name}/0", scenario.step, *scenario.faults)
        runs[name] = start(scenario.dag, f"again-{name}", seconds=FOR_LONG)
    for run in runs.values():
        run.until_waiting()
        api.fail(run.run_id)
    for name, scenario in SCENARIOS.items():
        is_held = partial(api.held_at, f"again-{name}/0", scenario.step)
        runs[name].until(is_held)
        ports = is_held()
        assert ports is not None
        task = process_at(*ports)
        task.parent().kill()
        task.kill()
    for name, scenario in SCENARIOS.items():
        api.release(f"again-{name}/0", scenario.step)
    return runs


@pytest.fixture(scope="module")
def begun(request: pytest.FixtureRequest, api: Control, killed: dict[str, Run]) -> Iterator[Begun]:
    with begin(request, api=api, killed=killed) as tests:
        yield tests


@beside
@pytest.mark.parametrize("name", SCENARIOS)
def test_a_task_that_is_killed_runs_its_job_again_once(api: Control, killed: dict[str, Run], name: str) -> None:
    scenario, run = SCENARIOS[name], killed[name]
    run.until(lambda: run.has_been_tried("job.wait", 2) and is_deferred(run))
    api.finish(run.run_id)
    assert run.finish() == "success", run.describe_jobs()
    report = run.report()
    assert len(report.jobs) == len({job.key for job in report.jobs}) == scenario.jobs, run.describe_jobs()
    assert report.submits == {f"{run.run_id}/0": scenario.submits}, run.describe_jobs()
    assert report.jobs[0].repairs == scenario.repairs, run.describe_jobs()
    assert [job.cancels for job in report.jobs] == [0] * scenario.jobs, run.describe_jobs()
    assert [job.fetches for job in report.jobs] == [0] * (scenario.jobs - 1) + [1], run.describe_jobs()


def test_a_job_that_fails_as_its_triggerer_is_killed_is_run_again_once(
    api: Control, cluster: Cluster, start: Callable[..., Run], ports: tuple[int, int]
) -> None:
    runs = [start(dag, f"triggerer-{dag}", seconds=FOR_LONG) for dag in ("again", "again-in-one")]
    for run in runs:
        run.until_waiting()
    killed = cluster.holder(ports[0])
    cluster.processes.kill(killed)
    for run in runs:
        api.fail(run.run_id)
    cluster.start_component(killed)
    for run in runs:
        run.until(partial(has_jobs, run, 2))
    for run in runs:
        run.until(partial(is_deferred, run))
        api.finish(run.run_id)
        assert run.finish() == "success", run.describe_jobs()
        assert set(run.report().submits.values()) == {2}, run.describe_jobs()
        assert [job.fetches for job in run.jobs()] == [0, 1], run.describe_jobs()
    cluster.wait_for_triggerers(len(TRIGGERERS))
