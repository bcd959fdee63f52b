"""Another process continues a wait from what the earlier one has published."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.wait.checkpoint import WaitCheckpoint
from airflow_provider_asyncapi.core.wait.log_position import LogPosition
from airflow_provider_asyncapi.core.wait.plan import WaitPlan
from airflow_provider_asyncapi.core.wait.published_state import PublishedState
from airflow_provider_asyncapi.core.wait.summaries import PollSummary, summarize_wait

NOW = 10_000.0
STATE = WaitCheckpoint(JobHandle("j-1", status="queued"), 9000.0, polls=1, next_poll=9010.0, changed_at=9000.0)
JOB = JobHandle("j-1", status="running", progress=0.5).dump()


def plan(**spec: Any) -> WaitPlan:
    fields = {"endpoint": "/x", "completion_key": "s", "completion_value": "done", "poke_interval": 10, "timeout": 60}
    return WaitPlan.parse({**fields, **spec})


def poll(**fields: Any) -> Any:
    at, pause = fields.pop("at", 9900.0), fields.pop("pause", 10.0)
    return PollSummary(at, pause, **fields).dump()


def restore(published: PublishedState, **spec: Any) -> WaitCheckpoint:
    return published.restore(plan(**spec), STATE, NOW)


def test_the_time_of_the_last_change_comes_with_the_status_that_was_found_then() -> None:
    state = restore(PublishedState({}, poll(unchanged_since=9500.0), JOB), stall_timeout=900)
    assert (state.changed_at, state.handle.status, state.handle.progress) == (9500.0, "running", 0.5)


@pytest.mark.parametrize("changed_at", [None, 8000.0, 9000.0, NOW + 100])
def test_a_status_whose_time_is_not_known_counts_as_a_change_of_the_next_poll(changed_at: float | None) -> None:
    state = restore(PublishedState({}, poll(unchanged_since=changed_at), JOB), stall_timeout=900)
    assert (state.changed_at, state.handle) == (STATE.changed_at, STATE.handle)


def test_the_status_of_a_job_that_never_stalls_needs_no_time() -> None:
    assert restore(PublishedState({}, poll(), JOB)).handle.status == "running"


@pytest.mark.parametrize("job", [None, {"identifier": "j-1"}, {**JOB, "identifier": "j-2"}, [1]])
def test_the_status_of_another_job_is_not_taken(job: Any) -> None:
    assert restore(PublishedState({}, poll(), job)).handle == STATE.handle


@pytest.mark.parametrize(
    ("published", "spec", "polls"),
    [
        (poll(polls=20), {}, 30),
        (poll(polls=20, error="503"), {}, 20),
        (poll(polls=20), {"max_iterations": 25}, 25),
        (poll(polls=1), {"backoff": 2}, 3),
        (poll(), {}, 10),
        (poll(at=9010.0, pause=None), {}, 1),
    ],
)
def test_polls_are_counted_from_the_published_number(published: Any, spec: Any, polls: int) -> None:
    assert restore(PublishedState({}, published), **spec).polls == polls


@pytest.mark.parametrize("published", [PublishedState(), PublishedState([1], [1], [1])])
def test_nothing_is_restored_from_what_was_not_published(published: PublishedState) -> None:
    assert restore(published) == STATE


def test_the_warning_and_the_position_in_the_log_are_those_of_the_summary() -> None:
    summary = {"warned_at": "1970-01-01T02:30:00+00:00", "log": LogPosition(shown=3).dump()}
    state = restore(PublishedState(summary))
    assert (state.warned_at, state.log) == (9000.0, LogPosition(shown=3))


def test_only_the_same_try_and_job_belong_to_a_wait() -> None:
    published = PublishedState(summarize_wait("vendor", "first", STATE))
    assert published.belongs_to("first", STATE)
    assert not published.belongs_to("second", STATE)
    assert not published.belongs_to("first", WaitCheckpoint(JobHandle("j-2"), 0.0))
    assert not PublishedState().belongs_to("first", STATE)
