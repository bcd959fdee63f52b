"""
Record what this version stores: `python -m tests.unit.layouts.record NAME` writes the next file beside this one.

Run it once a layout has a new key, so that later versions are tested with it. Files that are there are never changed.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

from airflow_provider_asyncapi.core.callbacks.calls import ReceivedCallback, dump_callbacks
from airflow_provider_asyncapi.core.errors import JobFailedError
from airflow_provider_asyncapi.core.events.seen_items import SeenItems
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.jobs.slots import SlotRequest
from airflow_provider_asyncapi.core.outcome import Outcome
from airflow_provider_asyncapi.core.submit.submission import Submission
from airflow_provider_asyncapi.core.wait.checkpoint import WaitCheckpoint
from airflow_provider_asyncapi.core.wait.history import Entry, EntryKind, JobHistory
from airflow_provider_asyncapi.core.wait.log_position import LogPosition
from airflow_provider_asyncapi.tasks.cancel_request import CANCEL_KEY, dump_request
from airflow_provider_asyncapi.tasks.wait_state import VERSION
from airflow_provider_asyncapi.triggers.asset_watcher import AsyncApiEventTrigger
from airflow_provider_asyncapi.triggers.asyncapi import AsyncApiJobTrigger
from airflow_provider_asyncapi.triggers.events import WaitEvent
from airflow_provider_asyncapi.triggers.job_slots import JobSlotTrigger

FOLDER = Path(__file__).parent
MOMENT = 1_795_000_000.0
_TASK = {"dag_id": "dag", "run_id": "run", "task_id": "submit", "map_index": -1}
_TRACE = {
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "parent": "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01",
}
_PROFILE = {"name": "acme/jobs", "version": "0a1b2c3d4e5f"}
_SPEC = {
    "endpoint": "/jobs/{identifier}",
    "completion_key": "status",
    "completion_value": "done",
    "failure_value": "failed",
    "poke_interval": 0.1,
    "capture": {"rows": "rows"},
}


def write_all() -> dict[str, Any]:
    """Return everything that tasks, triggers and the API server store, as this version writes it."""
    job = JobHandle(
        identifier="j-1",
        outcome=Outcome.RUNNING,
        status="running",
        progress=0.25,
        submitted_at=MOMENT,
        urls={"submit": "http://127.0.0.1/jobs"},
        variables={"pages": 3, "data.pages": 3},
        task=_TASK,
        slot_of=_TASK,
        profile=_PROFILE,
        trace=_TRACE,
    )
    done = dataclasses.replace(job, outcome=Outcome.SUCCESS, status="done", progress=1.0)
    log = LogPosition("c-5", count=4, last="0a1b2c3d4e5f6071", shown=4)
    wait = WaitCheckpoint(
        job,
        MOMENT + 1,
        MOMENT + 4e9,
        polls=2,
        errors=1,
        next_poll=MOMENT + 30,
        pause=30.0,
        changed_at=MOMENT + 20,
        warned_at=MOMENT + 25,
        log=log,
        has_default_deadline=True,
    ).dump()
    classpath, kwargs = AsyncApiJobTrigger(asyncapi_conn_id="asyncapi_default", spec=_SPEC, wait=wait).serialize()
    event_trigger = AsyncApiEventTrigger(endpoint="/orders", items="orders", item_id="id", poke_interval=0.01)
    _, event_kwargs = event_trigger.serialize()
    failed = JobFailedError("Job j-1 has status failed: out of rows").set_job("j-1", "failed")
    failed.method, failed.url, failed.status_code = "GET", "http://127.0.0.1/jobs/j-1", 200
    failed.message = "out of rows"
    return {
        "job": job.dump(),
        "trigger": {"classpath": classpath, "kwargs": kwargs},
        "next_kwargs": {"wait": wait, "job_url": "http://127.0.0.1/jobs/{identifier}"},
        "events": {
            "done": WaitEvent.of_success(done).dump(),
            "failed": WaitEvent.of_error(failed, job).dump(),
            "called": WaitEvent.of_callback().dump(),
            "begin": WaitEvent.of_begin("this is try 2").dump(),
        },
        "submission": Submission(
            "k-1",
            answered=1,
            sent_at=MOMENT,
            handle=job,
            callbacks=("d",),
            connection="asyncapi_default",
            profile=_PROFILE,
            trace=_TRACE,
        ).dump(),
        "calls": dump_callbacks([ReceivedCallback("1", MOMENT + 5, "application/json", b'{"status": "done"}')]),
        # The arguments of an event trigger are one string.
        "event_trigger": {**event_kwargs, "stored": json.loads(event_kwargs["stored"])},
        "seen_items": SeenItems(MOMENT, {"0a1b2c3d4e5f6071": "1:0a1b2c3d4e5f6072"}).dump(),
        "slot_trigger": JobSlotTrigger(api_server="https://airflow", waiting_task="t-1").serialize()[1],
        "slot_request": SlotRequest(2, MOMENT, MOMENT + 1, ends_with_task=False).dump(),
        "store": {
            CANCEL_KEY: dump_request("ann has cancelled the job on the page Async API jobs", 2),
            "asyncapi_began": {"version": VERSION, "identifier": "j-1", "generation": 0, "at": MOMENT + 1},
            "asyncapi_poke": {
                "version": VERSION,
                "errors": 1,
                "handle": job.dump(),
                "heard": 0,
                "changed_at": MOMENT + 20,
                "warned_at": MOMENT + 25,
                "log": log.dump(),
                "history": JobHistory((Entry(MOMENT + 20, EntryKind.STATUS, "", "running", 0.25),)).dump(),
            },
        },
    }


def recordings() -> list[Path]:
    """Return the recordings, the oldest first."""
    return sorted(FOLDER.glob("*.json"), key=lambda path: int(path.name.partition("-")[0]))


def keys_of(value: Any) -> Any:
    """Return the names of all fields in a recording."""
    if isinstance(value, dict):
        return {name: keys_of(item) for name, item in value.items()}
    return [keys_of(item) for item in value] if isinstance(value, list) else None


if __name__ == "__main__":
    newest = int(recordings()[-1].name.partition("-")[0])
    target = FOLDER / f"{newest + 1}-{sys.argv[1]}.json"
    target.write_text(json.dumps(write_all(), indent=2) + "\n")
