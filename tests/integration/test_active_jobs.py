"""A connection that limits its active jobs, on a real scheduler, triggerer and API server."""

from __future__ import annotations

from datetime import datetime

import pytest

from demo.server import DemoServer

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

#: Seconds that a job of the demo server takes.
DURATION = 2.0
TASKS = [("one", 0), ("one", 1), ("one", 2), ("three_0.submit", -1), ("three_1.submit", -1)]


def test_no_more_jobs_run_at_the_same_time_than_the_connection_allows(run_dag, demo_server: DemoServer):
    result = run_dag("active_jobs")
    assert result.state == "success", result.failures()
    jobs = [result.xcom(task_id, "job", map_index=map_index) for task_id, map_index in TASKS]
    assert len({job["identifier"] for job in jobs}) == len(TASKS)
    begun = sorted(datetime.fromisoformat(job["submitted_at"]).timestamp() for job in jobs)
    active = [sum(at <= other < at + DURATION for other in begun) for at in begun]
    assert max(active) <= 2, begun
    # The tasks that had to wait have said so, and waited without a worker.
    waited = [task for task in TASKS if "Waiting for one of 2 slots for active jobs" in result.log(*task)]
    assert len(waited) >= 3
