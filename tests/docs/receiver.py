"""Airflow's side of callbacks: the real receiver, before a run that has no database."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import uvicorn
from fastapi import FastAPI

from airflow_provider_asyncapi.core.callbacks.calls import CallbackReference, ReceivedCallback, dump_callbacks
from airflow_provider_asyncapi.core.errors import InvalidCallbackError
from airflow_provider_asyncapi.core.submit.submission import Submission
from airflow_provider_asyncapi.monitoring.xcoms import CALLS_KEY, SUBMISSION_KEY
from airflow_provider_asyncapi.plugins import callbacks, receipts, stored_callbacks
from airflow_provider_asyncapi.plugins.asyncapi import URL_PREFIX
from airflow_provider_asyncapi.plugins.connections import CallbackConnections
from airflow_provider_asyncapi.plugins.stored_callbacks import SubmittedJob

if TYPE_CHECKING:
    import pytest

    from tests.docs.running import Run


@contextlib.contextmanager
def receiving(run: Run, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Serve at an address while a DAG is run; what comes in is kept with the run's XComs."""

    def find_job(reference: CallbackReference) -> SubmittedJob:
        for (task_id, index, key), value in list(run.xcoms.items()):
            record = Submission.parse(value) if key == SUBMISSION_KEY else None
            if record is not None and reference.digest in record.callbacks:
                return SubmittedJob({"task_id": task_id, "map_index": index}, record)
        raise InvalidCallbackError("its URL is that of another submission")

    def added(_session: Any, job: SubmittedJob, call: ReceivedCallback) -> int:
        where = job.task["task_id"], job.task["map_index"], CALLS_KEY
        calls = [*ReceivedCallback.parse_callbacks(run.xcoms.get(where)), call]
        run.xcoms[where] = dump_callbacks(calls)
        return len(calls)

    monkeypatch.setattr(receipts, "callback_connections", CallbackConnections())
    monkeypatch.setattr(receipts, "create_session", contextlib.nullcontext)
    monkeypatch.setattr(receipts, "find_job", find_job)
    monkeypatch.setattr(stored_callbacks, "add_callback", added)
    monkeypatch.setattr(stored_callbacks, "resume_tasks", lambda *_: True)
    app = FastAPI()
    app.include_router(callbacks.router, prefix=URL_PREFIX)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, lifespan="off", ws="none"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
