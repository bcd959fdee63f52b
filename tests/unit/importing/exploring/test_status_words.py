"""The usual words for statuses are known in any spelling."""

import pytest

from airflow_provider_asyncapi.core.outcome import Outcome
from airflow_provider_asyncapi.importing.exploring.status_words import guess_outcome


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        ("COMPLETED", Outcome.SUCCESS),
        ("Succeeded", Outcome.SUCCESS),
        ("in_progress", Outcome.RUNNING),
        ("In Progress", Outcome.RUNNING),
        ("TIMED_OUT", Outcome.FAILURE),
        ("Cancelled", Outcome.FAILURE),
        (True, Outcome.SUCCESS),
        (False, Outcome.RUNNING),
        ("landed", None),
        (None, None),
        (200, None),
    ],
)
def test_meanings(status, outcome):
    assert guess_outcome(status) is outcome
