"""Submits that send files: once each, and the same file in each try."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from airflow_provider_asyncapi.core.errors import (
    AmbiguousSubmitError,
    ChangedRequestError,
    ConfigurationError,
    FileChangedError,
    FileUnavailableError,
    RequestRejectedError,
)
from airflow_provider_asyncapi.core.http.file_bodies import FileBody
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.submit.plan import SubmitPlan
from tests.unit.core.flow_runner import FlowRunner, make_api, make_lost_error, make_response
from tests.unit.core.submit.tries import KilledError, Tries, killed
from tests.unit.fake_files import MemoryFiles

FILE = {"path": "/in/{day}.csv"}
FIELDS: dict[str, Any] = {"endpoint": "/jobs", "body": FILE, "identifier": "id", "variables": {"day": "d1"}}
KEYED = {**FIELDS, "headers": {"Idempotency-Key": "{idempotency_key}"}}
PREPARED: dict[str, Any] = {
    "prepare": {"endpoint": "/files", "files": {"file": FILE}, "capture": {"file": "id"}},
    "endpoint": "/jobs",
    "json": {"input": "{file}"},
    "identifier": "id",
    "variables": {"day": "d1"},
}
STARTED: dict[str, Any] = {
    "endpoint": "/jobs",
    "json": {},
    "identifier": "id",
    "capture": {"upload": "upload"},
    "variables": {"day": "d1"},
    "start": {"method": "PUT", "endpoint": "{upload}", "body": FILE, "headers": {"Content-MD5": "{body_md5}"}},
}
CREATED, STORED = make_response({"id": "j-1", "upload": "/up/1"}, 201), make_response({"id": 7}, 201)
CHANGED = FileChangedError("the file has changed")


class FileTries(Tries):
    """Several tries of a task that sends a file."""

    def __init__(self, fields: dict[str, Any]) -> None:
        super().__init__(fields)
        self.files = MemoryFiles(**{"/in/d1.csv": b"1,2"})

    def make_runner(self, *replies: Any) -> FlowRunner:
        return FlowRunner(dataclasses.replace(make_api(), inspect_file=self.files.inspect), *replies)

    def change(self) -> None:
        self.files.contents["/in/d1.csv"] = b"other"

    def remove(self) -> None:
        self.files.contents.clear()


def sent_paths(tries: Tries) -> list[str]:
    bodies = [request.body for runner in tries.scripts for request in runner.requests]
    files = [part for body in bodies if isinstance(body, FileBody) for part in body.parts]
    return [part.path for part in files if not isinstance(part, bytes)]


@pytest.mark.parametrize(("fields", "replies"), [(FIELDS, [CREATED]), (PREPARED, [STORED, CREATED])])
def test_the_submit_and_the_requests_before_it_send_files(fields, replies):
    tries = FileTries(fields)
    assert tries.run(*replies).identifier == "j-1"
    assert sent_paths(tries) == ["/in/d1.csv"]


def test_a_start_request_sends_the_file_to_the_address_of_the_response():
    tries = FileTries(STARTED)
    tries.run(CREATED, make_response({}))
    assert tries.paths == ["POST /jobs", "PUT https://api.example.com/up/1"]
    assert sent_paths(tries) == ["/in/d1.csv"]
    assert tries.scripts[0].sent_header("content-md5")


def test_the_path_of_a_start_request_names_no_capture():
    tries = FileTries({**STARTED, "start": {**STARTED["start"], "body": {"path": "{upload}"}}})
    with pytest.raises(ConfigurationError, match=r"start: body\.path: the variable \{upload\} isn't set"):
        tries.run(CREATED)


def test_a_file_that_is_not_there_fails_before_anything_is_sent():
    tries = FileTries(FIELDS)
    tries.remove()
    with pytest.raises(FileUnavailableError, match=r"submit: body\.path: the file '/in/d1\.csv' isn't there"):
        tries.run()
    assert (tries.paths, tries.stored) == ([], None)


def test_a_file_that_changes_while_it_is_sent_is_sent_by_the_next_try():
    tries = FileTries(FIELDS)
    with pytest.raises(FileChangedError):
        tries.run(CHANGED)
    tries.change()
    assert tries.run(CREATED).identifier == "j-1"


def test_a_file_that_changes_while_it_is_sent_with_a_key_is_sent_by_the_next_try_with_another_key():
    tries = FileTries(KEYED)
    with pytest.raises(FileChangedError):
        tries.run(CHANGED)
    tries.change()
    tries.run(CREATED)
    assert tries.scripts[0].sent_header("idempotency-key") != tries.scripts[1].sent_header("idempotency-key")


def test_a_file_that_changes_before_a_repetition_may_have_been_received():
    tries = FileTries(KEYED)
    with pytest.raises(FileChangedError):
        tries.run(make_lost_error(), CHANGED)
    tries.change()
    with pytest.raises(ChangedRequestError, match=r"\(they differ in body\), which may have submitted a job"):
        tries.run()


def test_a_file_that_differs_from_that_of_the_earlier_job_is_a_changed_request():
    tries = FileTries(FIELDS)
    tries.run(CREATED)
    assert tries.run().identifier == "j-1"
    tries.change()
    with pytest.raises(ChangedRequestError, match=r"\(they differ in body\), which has submitted job j-1"):
        tries.run()


def test_a_job_goes_on_after_its_file_was_removed():
    tries = FileTries(FIELDS)
    tries.run(CREATED)
    tries.remove()
    assert tries.run().identifier == "j-1"
    assert "'/in/d1.csv' isn't there; the request counts as unchanged since the earlier try" in tries.log_text


def test_a_file_that_was_sent_before_the_submit_may_be_gone_at_the_next_try():
    tries = FileTries(PREPARED)
    with pytest.raises(RequestRejectedError):
        tries.run(STORED, make_response({"error": "quota"}, 403))
    tries.remove()
    tries.run(CREATED)
    assert tries.paths == ["POST /files", "POST /jobs", "POST /jobs"]


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        (KEYED, FileUnavailableError, r"submit: body\.path"),
        (FIELDS, AmbiguousSubmitError, r"POST .* may have been carried out"),
    ],
    ids=["has to be sent again", "can't be sent again"],
)
def test_a_file_that_is_gone_ends_the_retry_of_a_submit_that_was_cut_off(fields, error, message):
    tries = FileTries(fields)
    with pytest.raises(KilledError):
        tries.run(killed)
    tries.remove()
    with pytest.raises(error, match=message):
        tries.run()


def test_a_file_that_is_gone_ends_the_first_try_after_a_clear():
    tries = FileTries(FIELDS)
    tries.run(CREATED)
    tries.remove()
    tries.generation = 4
    with pytest.raises(FileUnavailableError):
        tries.run()


def test_a_start_request_whose_file_has_changed_is_sent_by_the_next_try():
    tries = FileTries(STARTED)
    with pytest.raises(FileChangedError) as raised:
        tries.run(CREATED, CHANGED)
    assert raised.value.job == "j-1"
    tries.run(make_response({}))
    assert tries.scripts[1].paths == ["PUT https://api.example.com/up/1"]


def test_a_start_request_that_was_cut_off_while_it_sent_a_file_is_ambiguous():
    tries = FileTries(STARTED)
    with pytest.raises(KilledError):
        tries.run(CREATED, killed)
    with pytest.raises(AmbiguousSubmitError, match=r"PUT https://api\.example\.com/up/1 may have been carried out"):
        tries.run()


def test_a_job_that_was_submitted_with_a_file_is_looked_up():
    tries = FileTries({**FIELDS, "lookup": {"endpoint": "/jobs", "identifier": "jobs[0].id"}})
    with pytest.raises(KilledError):
        tries.run(killed)
    handle = tries.run(make_response({"jobs": [{"id": "j-1"}]}))
    assert (handle.identifier, handle.urls["submit"]) == ("j-1", "https://api.example.com/v1/jobs")


def test_a_file_of_a_multipart_body_is_named_if_it_has_changed():
    tries = FileTries(PREPARED)
    tries.run(STORED, CREATED)
    tries.change()
    with pytest.raises(ChangedRequestError, match=r"\(they differ in prepare\[0\]\)"):
        tries.run()


def test_digests_are_computed_for_the_request_that_is_sent_only():
    tries = FileTries({**FIELDS, "headers": {"Digest": "{body_sha256}", "X-Size": "{body_size}"}})
    tries.run(CREATED)
    assert tries.files.opened == ["/in/d1.csv"]
    assert isinstance(tries.run(), JobHandle)
    assert tries.files.opened == ["/in/d1.csv"]


@pytest.mark.parametrize("name", ["lookup", "cancel"])
def test_other_requests_of_a_submit_send_no_files(name):
    with pytest.raises(ConfigurationError, match=rf"{name}: body\.path: this request can't send a file"):
        SubmitPlan.parse({**FIELDS, name: {"endpoint": "/x", "body": FILE}}, complete=False)
