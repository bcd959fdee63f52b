"""Each documented way to run a DAG, with its connection in the database, the environment and a secrets backend."""

from __future__ import annotations

from concurrent.futures import Future

import pytest

from tests.integration.one_process import Ends

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

WAYS = (
    *("dags test, database", "dags test, environment", "dags test, backend", "dags test, callback"),
    *("dag.test()", "dag.test(), by hand", "tasks test"),
)
#: Where the connection is.
PLACES = ("database", "environment", "backend")
#: Those that call the hook themselves.
BY_HAND = ("by_hand", "in_a_trigger_of_ones_own")


@pytest.fixture(scope="module")
def without_scheduler(begun_without_scheduler: Future[Ends]) -> Ends:
    return begun_without_scheduler.result()


@pytest.mark.parametrize("way", WAYS)
def test_a_deferred_job_runs_to_its_end_without_a_scheduler(without_scheduler: Ends, way: str) -> None:
    assert without_scheduler.ends.get(way) == "success", without_scheduler.part(way)[-5000:]


@pytest.mark.parametrize("way", WAYS)
def test_nothing_is_logged_as_an_error(without_scheduler: Ends, way: str) -> None:
    lines = without_scheduler.part(way).splitlines()
    assert lines
    assert [line for line in lines if "[error" in line or "can't be looked up" in line] == []


@pytest.fixture(scope="module")
def started(run_dag) -> dict[str, str]:
    """All runs at once: one after the other, most of the time would be waiting."""
    return {dag_id: run_dag.start(dag_id) for dag_id in (*BY_HAND, *(f"connection_in_{place}" for place in PLACES))}


@pytest.mark.parametrize("dag_id", BY_HAND)
def test_the_hook_does_a_job_by_hand_on_a_worker_on_its_event_loop_and_in_the_triggerer(
    run_dag, started, dag_id: str
) -> None:
    result = run_dag.finish(dag_id, started[dag_id])
    assert result.state == "success", result.failures()


@pytest.mark.parametrize("place", PLACES)
def test_a_deferred_job_runs_to_its_end_with_a_scheduler_and_a_triggerer(run_dag, started, place: str) -> None:
    result = run_dag.finish(f"connection_in_{place}", started[f"connection_in_{place}"])
    assert result.state == "success", result.failures()
