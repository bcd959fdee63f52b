"""What users read of a wait is masked as the task's log is."""

from __future__ import annotations

import json
from collections.abc import Iterator

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
