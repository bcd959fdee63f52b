import socket

import pytest

from demo.server import DemoServer, Record
from demo.server.jobs import JobStore, Phase


def test_a_job_is_queued_then_runs_with_progress_then_is_done(clock):
    jobs = JobStore(clock, 6.0)
    job = jobs.add("ok")
    seen = []
    for _ in range(7):
        seen.append((jobs.phase(job), jobs.progress(job)))
        clock.advance(1)
    assert [phase for phase, _ in seen] == [Phase.QUEUED, *[Phase.RUNNING] * 5, Phase.DONE]
    assert [progress for _, progress in seen] == [0, 16, 33, 50, 66, 83, 100]


def test_a_held_job_waits_for_its_start(clock):
    jobs = JobStore(clock, 6.0)
    job = jobs.add("ok", hold=True)
    clock.advance(100)
    assert jobs.phase(job) is Phase.HELD
    assert jobs.phase(jobs.start(job)) is Phase.QUEUED


def test_a_stuck_job_never_ends_and_a_fast_one_is_done_at_once(clock):
    jobs = JobStore(clock, 6.0)
    stuck, fast = jobs.add("stuck"), jobs.add("fast")
    assert jobs.phase(fast) is Phase.DONE
    clock.advance(1e9)
    assert (jobs.phase(stuck), jobs.progress(stuck), stuck.ends) == (Phase.RUNNING, 99, None)


def test_jobs_may_take_no_time_at_all(clock):
    jobs = JobStore(clock, 0.0)
    assert jobs.phase(jobs.add("ok")) is Phase.DONE
    assert jobs.progress(jobs.add("stuck")) == 99


def test_a_cancelled_job_keeps_its_progress(clock):
    jobs = JobStore(clock, 6.0)
    job = jobs.add("ok")
    clock.advance(3)
    job = jobs.cancel(job)
    clock.advance(100)
    assert (jobs.phase(job), jobs.progress(job)) == (Phase.CANCELLED, 50)


def test_the_journal_tells_every_request_without_secrets(server, call):
    call("GET", "/flex/reports/p-9/status?api_key=flex-key&x=1")
    call("GET", "/nowhere")
    call("PATCH", "/v1/jobs")
    assert [(r.method, r.path, r.status) for r in server.journal] == [
        ("GET", "/flex/reports/p-9/status?api_key=***&x=1", 404),
        ("GET", "/nowhere", 404),
        ("PATCH", "/v1/jobs", 405),
    ]
    assert server.count("GET", "/flex") == 1
    assert server.count(status=404) == 2
    assert isinstance(server.journal[0], Record)
    server.journal.clear()
    assert len(server.journal) == 0


def test_a_port_in_use_is_an_error_of_the_starting_thread():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(OSError, match="in use"):
            DemoServer(port=taken.getsockname()[1]).start()


def test_two_servers_run_side_by_side():
    with DemoServer() as one, DemoServer() as other:
        assert one.url != other.url
