"""
Test DAGs and profiles without the vendor: replay recorded exchanges, or run a scripted job API.

Both are servers on loopback, so that tasks run as they are, in any mode. Waits take no time. In ``conftest.py``::

    pytest_plugins = ["airflow_provider_asyncapi.testing.pytest_plugin"]
"""

from __future__ import annotations

from airflow_provider_asyncapi.testing.fake_api import FakeJobApi
from airflow_provider_asyncapi.testing.recordings import Recording, RecordingError
from airflow_provider_asyncapi.testing.replay import ReplayServer
from airflow_provider_asyncapi.testing.waits import skip_waits

__all__ = ["FakeJobApi", "Recording", "RecordingError", "ReplayServer", "skip_waits"]
