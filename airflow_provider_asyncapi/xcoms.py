"""The keys of the XComs that tasks push beside what they return."""

from __future__ import annotations

from typing import Final

#: The job handle.
JOB_KEY: Final = "job"
#: The address of the job's page at the vendor.
JOB_URL_KEY: Final = "job_url"
#: The callbacks that have come in, on the task that has submitted the job.
CALLS_KEY: Final = "asyncapi_calls"
#: Which callback URLs that task has given away, before Airflow 3.3 (then its task state store knows).
SUBMISSION_KEY: Final = "asyncapi_submission"
#: On the task that waits for a callback: the key ends in who has submitted the job.
AWAITED_KEY: Final = "asyncapi_awaited_"
#: On the task that has submitted a job which calls back: the key ends in its connection and identifier.
JOB_OF_KEY: Final = "asyncapi_job_"
