"""A job and its API for tests of the hook's methods."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.unit.fake_airflow import reply

#: Calls a method of the hook by its name without the ``a`` of its twin.
Caller = Callable[..., Any]
SUBMIT: dict[str, Any] = {"endpoint": "/jobs", "json": {"table": "x"}, "identifier": "id", "variables": {"table": "x"}}
STATUS: dict[str, Any] = {
    "endpoint": "/jobs/{identifier}",
    "completion_key": "state",
    "completion_value": "done",
    "failure_value": "failed",
    "no_data_value": "empty",
    "capture": {"file": "file"},
}
POLL = "GET /jobs/7"
RUNNING, DONE = reply({"state": "running"}), reply({"state": "done", "file": "f-1"})
TWINS = ("request", "submit_job", "get_job", "wait_for_job", "fetch_result", "cancel_job")
