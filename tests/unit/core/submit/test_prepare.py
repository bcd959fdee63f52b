"""Requests before the submit: sent once each, in order, and named by all that comes later."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_asyncapi.core.errors import (
    ChangedRequestError,
    ConfigurationError,
    JobFailedError,
    RequestRejectedError,
    ResultTooLargeError,
)
from airflow_provider_asyncapi.core.http.file_bodies import find_literal_bytes
from airflow_provider_asyncapi.core.submit.plan import SubmitPlan
from tests.unit.core.flow_runner import BASE, make_lost_error, make_response
from tests.unit.core.submit.tries import KilledError, Tries, killed

FIELDS: dict[str, Any] = {
    "prepare": [
        {"endpoint": "/files", "json": {"name": "in.csv"}, "capture": {"file": "id"}},
        {"method": "PUT", "endpoint": "/files/{file}", "data": "a,b", "capture": {"etag": "header:ETag"}},
    ],
    "endpoint": "/jobs",
    "json": {"input": "{file}", "etag": "{etag}"},
    "identifier": "id",
    "start": {"endpoint": "/jobs/{identifier}/run", "json": {"file": "{file}"}},
}
FILE, STORED = make_response({"id": 7}, 201), make_response(None, 204, etag="e-1")
CREATED, STARTED = make_response({"id": "j-1"}, 201), make_response({})
PATHS = ["POST /files", "PUT /files/7", "POST /jobs", "POST /jobs/j-1/run"]


def test_later_requests_name_what_earlier_ones_capture():
    tries = Tries(FIELDS)
    handle = tries.run(FILE, STORED, CREATED, STARTED)
    assert tries.paths == PATHS
    _, _, submit, start = tries.scripts[0].requests
    assert json.loads(find_literal_bytes(submit.body)) == {"input": 7, "etag": "e-1"}
    assert json.loads(find_literal_bytes(start.body)) == {"file": 7}
    assert (handle.variables["file"], handle.variables["etag"]) == (7, "e-1")


@pytest.mark.parametrize("answered", [0, 1])
def test_a_retry_sends_what_was_not_answered(answered):
    tries = Tries(FIELDS)
    with pytest.raises(KilledError):
        tries.run(*(FILE, STORED)[:answered], killed)
    tries.run(*(FILE, STORED, CREATED, STARTED)[answered:])
    # The request in the middle of which the process was killed makes no job, so it is sent again.
    assert tries.scripts[1].paths == PATHS[answered:]
    assert ("1 of 2 prepare requests were answered already" in tries.log_text) == bool(answered)


def test_a_retry_after_the_submit_prepares_nothing():
    tries = Tries(FIELDS)
    with pytest.raises(KilledError):
        tries.run(FILE, STORED, CREATED, killed)
    tries.fields = {**FIELDS, "start": {**FIELDS["start"], "headers": {"X-Key": "{idempotency_key}"}}}
    tries.run(STARTED)
    assert tries.scripts[1].paths == PATHS[3:]


def test_a_response_that_was_lost_is_asked_for_again():
    tries = Tries(FIELDS)
    tries.run(make_lost_error(), FILE, STORED, CREATED, STARTED)
    assert tries.paths == ["POST /files", *PATHS]


def test_a_lookup_names_the_captures_of_the_earlier_try():
    lookup = {"endpoint": "/jobs", "query_params": {"input": "{file}"}, "identifier": "jobs[0].id"}
    tries = Tries({**FIELDS, "lookup": lookup})
    with pytest.raises(KilledError):
        tries.run(FILE, STORED, killed)
    tries.run(make_response({"jobs": [{"id": "j-1"}]}), STARTED)
    assert tries.scripts[1].paths == ["GET /jobs?input=7", PATHS[3]]


def test_captures_that_differ_from_try_to_try_change_no_request():
    tries = Tries({**FIELDS, "headers": {"Idempotency-Key": "{idempotency_key}"}})
    with pytest.raises(KilledError):
        tries.run(FILE, STORED, killed)
    tries.run(CREATED, STARTED)
    assert tries.scripts[1].paths == PATHS[2:]


def test_a_changed_request_before_the_submit_is_a_changed_submit():
    tries = Tries({**FIELDS, "headers": {"Idempotency-Key": "{idempotency_key}"}})
    with pytest.raises(KilledError):
        tries.run(FILE, STORED, killed)
    first, second = FIELDS["prepare"]
    with pytest.raises(ChangedRequestError, match=r"\(they differ in prepare\[0\]\)"):
        tries.run(prepare=[{**first, "json": {"name": "other.csv"}}, second])


@pytest.mark.parametrize(
    ("replies", "error"),
    [
        ([make_response({"error": "no quota"}, 403)], RequestRejectedError),
        ([make_response({"error": "too large"}, 413)], RequestRejectedError),
    ],
)
def test_nothing_is_submitted_if_a_request_before_it_fails(replies, error):
    tries = Tries(FIELDS)
    with pytest.raises(error):
        tries.run(*replies)
    assert tries.paths == ["POST /files"]


def test_a_rule_may_call_a_response_a_failure():
    rules = [{"selector": "ok", "in": False, "outcome": "failure"}]
    tries = Tries({**FIELDS, "prepare": {"endpoint": "/files", "rules": rules}, "json": {}, "start": None})
    with pytest.raises(JobFailedError):
        tries.run(make_response({"ok": False}))


def test_captures_that_no_handle_can_hold_fail_before_the_submit():
    tries = Tries(FIELDS)
    with pytest.raises(ResultTooLargeError, match=r"prepare\.capture: 'file' has"):
        tries.run(make_response({"id": "x" * 100_000}))
    assert tries.paths == ["POST /files"]


def test_an_upload_url_may_be_that_of_the_submit():
    fields = {
        "prepare": {"endpoint": "/uploads", "capture": {"url": "url"}},
        "endpoint": "{url}",
        "headers": {"X-Account": "{connection.account}"},
        "identifier": "id",
    }
    tries = Tries(fields, secrets={"account": "planted"})
    tries.run(make_response({"url": f"{BASE}/u/1"}), CREATED)
    assert tries.paths == ["POST /uploads", "POST /u/1"]


def test_a_mistake_names_the_request():
    with pytest.raises(ConfigurationError, match="prepare: "):
        SubmitPlan.parse({**FIELDS, "prepare": [{"path": "/files"}]})
