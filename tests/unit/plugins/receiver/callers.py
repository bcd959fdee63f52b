"""Callbacks for tests of the receiver."""

from __future__ import annotations

import os
import uuid
from types import SimpleNamespace
from typing import Any

from airflow.providers.common.compat.sdk import AirflowNotFoundException

from airflow_provider_asyncapi.airflow_private.database import Connection
from airflow_provider_asyncapi.core.callbacks.calls import CallbackReference, ReceivedCallback
from airflow_provider_asyncapi.core.errors import InvalidCallbackError
from airflow_provider_asyncapi.core.submit.submission import Submission
from airflow_provider_asyncapi.plugins.stored_callbacks import SubmittedJob, TooManyCallbacksError

LIMIT = 50_000
KEY = "callback-key"
REFERENCE = CallbackReference.make(uuid.UUID(int=7), bytes(range(32)))
UNKNOWN = CallbackReference.make(uuid.UUID(int=8), bytes(32))
PREFIX = "/asyncapi/callbacks"
URL = f"{PREFIX}/{REFERENCE.text}"
FOR_ALL = f"{PREFIX}/connections/vendor"


class Database:
    """Be what Airflow's database knows: one job, and what has been called back about it."""

    def __init__(self) -> None:
        self.calls: list[ReceivedCallback] = []
        self.resumed = 0
        self.job = SubmittedJob({"dag_id": "d"}, Submission("key", callbacks=(REFERENCE.digest,), connection="vendor"))

    def find_job(self, reference: CallbackReference) -> SubmittedJob:
        if reference != REFERENCE:
            raise InvalidCallbackError("there is no such task instance")
        return self.job

    def added(self, _session: object, job: SubmittedJob, call: ReceivedCallback) -> int:
        assert job is self.job
        if len(self.calls) >= 3:
            raise TooManyCallbacksError("the job has called back 3 times")
        self.calls.append(call)
        return len(self.calls)

    def resume(self, *_: object) -> bool:
        self.resumed += 1
        return True

    def execute(self, _statement: object) -> Any:
        """Find the job by its identifier: the database knows one only."""
        return SimpleNamespace(mappings=lambda: SimpleNamespace(first=lambda: {"dag_id": "d"}))


SIGNED = {"signature": {"header": "X-Signature"}, "identifier": "id"}


def found_or_gone(cls: type, conn_id: str) -> Any:
    if stored := os.environ.get(f"AIRFLOW_CONN_{conn_id.upper()}"):
        return Connection.from_json(stored, conn_id=conn_id)
    return gone(cls, conn_id)


def gone(_cls: type, conn_id: str) -> Any:
    raise AirflowNotFoundException(f"The conn_id `{conn_id}` isn't defined")
