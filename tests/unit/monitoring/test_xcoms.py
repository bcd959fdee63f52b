"""What users read of a wait is masked as the task's log is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from airflow.sdk._shared.secrets_masker import mask_secret, reset_secrets_masker

from airflow_provider_asyncapi.core.effects import Polled
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.wait.unclear_status import StatusProblem, StatusProblemKind
from airflow_provider_asyncapi.monitoring.xcoms import HISTORY_KEY, POLL_KEY, ProgressReporter


@pytest.fixture(autouse=True)
def masked() -> Iterator[None]:
    """Let Airflow know a secret of which the connection knows nothing."""
    reset_secrets_masker()
    mask_secret("planted-word")
    yield
    reset_secrets_masker()


def test_no_text_of_the_api_shows_what_airflow_knows_as_a_secret() -> None:
    polled = Polled(
        JobHandle("7"),
        1,
        0,
        changed=True,
        at=1_700_000_000.0,
        pause=5.0,
        error="no planted-word",
        status_problem=StatusProblem(StatusProblemKind.UNKNOWN_STATUS, "Unknown status 'planted-word'"),
        shown_response={"at": "2026-01-31T00:00:00+00:00", "status_code": 200, "text": '{"key": "planted-word"}'},
    )
    updates = ProgressReporter().xcoms_after(polled)
    assert {POLL_KEY, HISTORY_KEY} <= updates.keys()
    assert "planted-word" not in json.dumps(updates)
    assert json.dumps(updates).count("***") >= 3


def make_poll(at: float, **more: Any) -> Polled:
    return Polled(JobHandle("7", status="RUNNING"), 1, 0, **{"changed": False, "at": at, "pause": 5.0, **more})


def test_a_poll_that_finds_nothing_new_pushes_nothing_whether_or_not_the_job_may_stall() -> None:
    reporter = ProgressReporter()
    first = reporter.xcoms_after(make_poll(100, changed=True, stalled_at=400, unchanged_since=100))
    assert first[POLL_KEY]["unchanged_since"] == "1970-01-01T00:01:40+00:00"
    # A poll whose response isn't read describes nothing.
    assert reporter.xcoms_after(make_poll(105)) == {}
    assert reporter.xcoms_after(make_poll(110, stalled_at=400, unchanged_since=100)) == {}
    later = reporter.xcoms_after(make_poll(115, changed=True, stalled_at=415, unchanged_since=115))
    assert later[POLL_KEY]["unchanged_since"] == "1970-01-01T00:01:55+00:00"


def test_a_series_of_answers_429_is_pushed_when_it_begins_and_when_it_ends() -> None:
    reporter, limited = ProgressReporter(), {"error": "answered 429", "status_code": 429}
    begun = reporter.xcoms_after(make_poll(100, **limited))[POLL_KEY]
    assert begun["rate_limited"] == 1
    assert begun["rate_limited_until"] == begun["at"]
    assert [reporter.xcoms_after(make_poll(at, **limited)) for at in (110, 120)] == [{}, {}]
    ended = reporter.xcoms_after(make_poll(125))[POLL_KEY]
    assert ended["rate_limited"] == 3
    assert (ended["rate_limited_since"], ended["rate_limited_until"]) == (begun["at"], "1970-01-01T00:02:00+00:00")
