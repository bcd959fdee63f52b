"""Jobs of the fault-injecting API: submit, wait, fetch, as a mapped task group."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, task_group

from airflow_provider_asyncapi.operators.asyncapi import AsyncApiFetchOperator, AsyncApiTriggerOperator
from airflow_provider_asyncapi.operators.job import AsyncApiJobOperator
from airflow_provider_asyncapi.sensors.asyncapi import AsyncApiSensor

JOB = {"name": "{{ run_id }}/{{ ti.map_index }}", "seconds": "{{ params.seconds }}"}
WITH_KEY = {"headers": {"Idempotency-Key": "{idempotency_key}"}}

#: How jobs are waited for.
POLLED = {
    "endpoint": "/jobs/{identifier}",
    "poke_interval": 2,
    "completion_key": "state",
    "completion_value": "done",
    "failure_value": ["failed", "cancelled"],
    "cancel": {"method": "DELETE", "endpoint": "/jobs/{identifier}"},
    "timeout": 900,
    "deferrable": True,
}
#: How those are that call back: nothing can be asked.
CALLED = {**POLLED, "endpoint": None, "callback": True}
#: How they are submitted.
CALLING = {"json": {**JOB, "callback": "{callback_url}"}, "callback": True, **WITH_KEY}
#: What they made came with the callback.
FROM_CALLBACK = {"callback": True, "result_path": "result"}

# How a job is submitted:
#: neither the API nor the request knows a key,
PLAIN = {"json": JOB}
#: the API makes one job of all requests with the same key,
KEYED = {"json": JOB, **WITH_KEY}
#: the API can be asked which job has a key.
FINDABLE = {
    "json": {**JOB, "reference": "{idempotency_key}"},
    "lookup": {"endpoint": "/jobs?key={idempotency_key}", "identifier": "jobs[0].id"},
}


@dataclass(frozen=True, slots=True)
class Jobs:
    """
    What one of the DAGs does.

    :param submit: the submit operator's arguments.
    :param wait: the sensor's arguments.
    :param fetch: the fetch operator's arguments.
    :param count: how many jobs.
    :param retries: of each task.
    :param retry_delay: seconds.
    :param rerun: what the next job is about, after one has failed.
    :param is_one_task: whether one task submits, waits and fetches.
    """

    submit: dict[str, Any]
    wait: dict[str, Any] = field(default_factory=lambda: POLLED)
    fetch: dict[str, Any] = field(default_factory=lambda: {"endpoint": "/jobs/{identifier}/result"})
    count: int = 1
    retries: int = 3
    retry_delay: int = 2
    rerun: dict[str, Any] = field(default_factory=dict)
    is_one_task: bool = False


#: A request of its own lets a job begin; it may be sent again.
START = {"endpoint": "/jobs/{identifier}/start", **WITH_KEY}

#: The same request for the same key changes nothing more.
REPAIR = {"endpoint": "/jobs/{identifier}/repair", **WITH_KEY}
#: The API repairs the job at each request, and can be asked whether it has received one.
FINDABLE_REPAIR = {
    "endpoint": "/jobs/{identifier}/repair",
    "json": {"reference": "{idempotency_key}"},
    "lookup": {
        "endpoint": "/jobs/{identifier}/repairs?reference={idempotency_key}",
        "identifier": "repairs[0]",
    },
}

DAGS = {
    # Workers are killed while they are submitted, and of what they had taken some is lost again and again.
    "many": Jobs(
        {**FINDABLE, "start": START, "asyncapi_conn_id": "many-submit"},
        {**POLLED, "timeout": 24 * 3600},
        count=int(os.environ["JOBS"]),
        retries=30,
    ),
    "plain": Jobs(PLAIN),
    "capturing": Jobs(PLAIN, {**POLLED, "capture": {"note": "note"}}),
    "ruled": Jobs({**PLAIN, "rules": [{"selector": "status_code", "in": [503], "outcome": "retry"}]}),
    "keyed": Jobs(KEYED),
    "lookup": Jobs(FINDABLE),
    "limited": Jobs(KEYED, count=6),
    "poking": Jobs(KEYED, {**POLLED, "deferrable": False}),
    "started": Jobs({**KEYED, "start": START}),
    # Jobs that are run again after they have failed.
    "again": Jobs({**KEYED, "start": START}, rerun={"resubmit": 1}),
    "again-in-one": Jobs({**KEYED, "start": START}, rerun={"resubmit": 1}, is_one_task=True),
    "again-lookup": Jobs(FINDABLE, rerun={"resubmit": 1}, is_one_task=True),
    "repaired": Jobs(KEYED, rerun={"resubmit": 1, "repair": REPAIR}, is_one_task=True),
    "repaired-lookup": Jobs(KEYED, rerun={"resubmit": 1, "repair": FINDABLE_REPAIR}, is_one_task=True),
    "deadline": Jobs(PLAIN, {**POLLED, "timeout": int(os.environ["DEADLINE"])}, count=int(os.environ["LATE_JOBS"])),
    "calling": Jobs(CALLING, CALLED, FROM_CALLBACK),
    "calling-briefly": Jobs(CALLING, {**CALLED, "timeout": 20}, FROM_CALLBACK),
    "hinting": Jobs(CALLING, {**POLLED, "callback": "hint", "poke_interval": 600}),
    "closed": Jobs(PLAIN, {**POLLED, "running_value": ["queued", "running"]}),
    # Three retries that outlast the half minute in which the API server is away, and its start.
    "plain-patient": Jobs(PLAIN, retry_delay=25),
    "keyed-patient": Jobs(KEYED, retry_delay=25),
    "lookup-patient": Jobs(FINDABLE, retry_delay=25),
    # Workers are killed while they submit. A request with a key would then be sent again; with a look-up the API has to
    # count one for each job, whatever happens.
    "endurance": Jobs(
        FINDABLE,
        {**POLLED, "poke_interval": int(os.environ["ENDURING_INTERVAL"]), "timeout": 24 * 3600},
        count=int(os.environ["ENDURING_JOBS_PER_RUN"]),
        retries=30,
        retry_delay=20,
    ),
}


def one_task(jobs: Jobs) -> None:
    AsyncApiJobOperator(
        task_id="wait",
        submit={"endpoint": "/jobs", "identifier": "id", **jobs.submit},
        status={name: value for name, value in jobs.wait.items() if name != "deferrable"},
        fetch=jobs.fetch,
        deferrable=True,
        **jobs.rerun,
    )


def three_tasks(jobs: Jobs) -> None:
    request = {"endpoint": "/jobs", "identifier": "id", **jobs.submit}
    submit = AsyncApiTriggerOperator(task_id="submit", **request)
    rerun = {**jobs.rerun, "submit": request} if jobs.rerun else {}
    wait = AsyncApiSensor(task_id="wait", job=submit.handle, **jobs.wait, **rerun)
    submit >> wait >> AsyncApiFetchOperator(task_id="fetch", job=wait.handle, **jobs.fetch)


for dag_id, jobs in DAGS.items():
    with DAG(
        dag_id,
        schedule=None,
        params={"conn": "jobs", "seconds": 8},
        default_args={
            "asyncapi_conn_id": "{{ params.conn }}",
            "retries": jobs.retries,
            "retry_delay": timedelta(seconds=jobs.retry_delay),
            # A job that was submitted is waited for before others are submitted.
            "weight_rule": "upstream",
        },
    ):

        @task_group(group_id="job")
        def job(number: int, jobs: Jobs = jobs) -> None:
            (one_task if jobs.is_one_task else three_tasks)(jobs)

        job.expand(number=list(range(jobs.count)))
