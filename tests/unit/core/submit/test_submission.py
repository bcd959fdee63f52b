from __future__ import annotations

import pytest

from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.submit.submission import Submission


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (Submission("k", 1), False),
        (Submission("k", 1, sent=True), True),
        (Submission("k", 1, handle=JobHandle("7")), True),
        # The task was cleared since.
        (Submission("k", 0, sent=True), False),
        # The record can't be read.
        (Submission("k", None, sent=True), True),
    ],
)
def test_a_job_of_this_generation_may_be_there_once_its_request_may_have_been_sent(record, expected):
    assert record.may_have_job(1) is expected
