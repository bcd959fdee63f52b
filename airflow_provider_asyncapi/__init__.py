"""Apache Airflow provider for HTTP APIs that answer later: submit the job, wait without a worker, fetch the result."""

from __future__ import annotations

__version__ = "0.1.0"
