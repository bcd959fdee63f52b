"""The keys of the XComs that tasks push beside what they return."""

from __future__ import annotations

from typing import Final

#: The job handle.
JOB_KEY: Final = "job"
#: The address of the job's page at the vendor.
JOB_URL_KEY: Final = "job_url"
