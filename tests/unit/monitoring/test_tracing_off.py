"""While tracing is off, nothing of it is imported."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

OFF = """
import sys
import airflow_provider_asyncapi.triggers.asyncapi
import airflow_provider_asyncapi.tasks.submit_job
import airflow_provider_asyncapi.results.fetching
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.monitoring.tracing import NO_TRACE, trace_stage
with trace_stage("wait", "api") as trace:
    assert trace is NO_TRACE, trace
    assert "trace" not in trace.join(JobHandle("j-1")).dump()
loaded = "airflow_provider_asyncapi.monitoring.spans" in sys.modules
assert loaded == ("on" in sys.argv), loaded
"""


@pytest.mark.any_python
@pytest.mark.parametrize("state", ["off", "on"])
def test_while_tracing_is_off_the_module_of_spans_is_not_imported(state: str) -> None:
    """If tracing is on, but the SDK is disabled, nothing is traced either."""
    env = {**os.environ, "AIRFLOW__TRACES__OTEL_ON": str(state == "on"), "OTEL_SDK_DISABLED": "true"}
    ended = subprocess.run([sys.executable, "-c", OFF, state], env=env, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
