"""
Test DAGs and profiles without the vendor: replay recorded exchanges, or run a scripted job API.

Both are servers on loopback, so that tasks run as they are, in any mode. Waits take no time. pytest finds the fixtures
of :mod:`.pytest_plugin` by itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_asyncapi.core.lazy import load_lazily

if TYPE_CHECKING:
    from airflow_provider_asyncapi.testing.fake_api import FakeJobApi
    from airflow_provider_asyncapi.testing.recordings import Recording, RecordingError
    from airflow_provider_asyncapi.testing.replay import ReplayServer
    from airflow_provider_asyncapi.testing.waits import skip_waits
else:
    # pytest imports this package at each start, in each environment that has it.
    __getattr__ = load_lazily(
        globals(),
        {
            f"{__name__}.fake_api": "FakeJobApi",
            f"{__name__}.recordings": "Recording RecordingError",
            f"{__name__}.replay": "ReplayServer",
            f"{__name__}.waits": "skip_waits",
        },
    )

__all__ = ["FakeJobApi", "Recording", "RecordingError", "ReplayServer", "skip_waits"]
