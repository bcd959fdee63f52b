"""Submits whose files are uploaded in pieces: another try of the task sends what the API doesn't have yet."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_asyncapi.core.errors import ConfigurationError, FileUnavailableError, JobNotFoundError
from tests.unit.core.flow_runner import make_lost_error, make_response
from tests.unit.core.submit.test_files import FileTries
from tests.unit.core.submit.tries import KilledError, killed

UPLOAD: dict[str, Any] = {
    "method": "PATCH",
    "endpoint": "{upload}",
    "headers": {"Upload-Offset": "{body_start}"},
    "body": {"path": "/in/{day}.csv", "resume": {"offset": "header:Upload-Offset"}},
}
FIELDS: dict[str, Any] = {
    "prepare": [
        {"endpoint": "/up", "headers": {"Upload-Length": "{file_size}"}, "capture": {"upload": "header:Location"}},
        UPLOAD,
    ],
    "endpoint": "/jobs",
    "json": {"input": "{upload}"},
    "identifier": "id",
    "variables": {"day": "d1"},
}
SESSION, CREATED = make_response(None, 201, location="/up/1"), make_response({"id": "j-1"}, 201)
GONE = make_response(None, 404)


def at(offset: int) -> Any:
    return make_response(None, 200, upload_offset=str(offset))


def test_the_size_of_the_file_is_known_to_the_request_before_the_upload():
    tries = FileTries(FIELDS)
    handle = tries.run(SESSION, at(0), at(3), CREATED)
    assert tries.scripts[0].sent_header("upload-length", 0) == "3"
    assert handle.identifier == "j-1"


def test_another_try_continues_the_upload():
    tries = FileTries(FIELDS)
    with pytest.raises(KilledError):
        tries.run(SESSION, at(0), killed)
    tries.run(at(2), at(3), CREATED)
    assert tries.scripts[1].paths[:2] == [f"{method} https://api.example.com/up/1" for method in ("HEAD", "PATCH")]
    assert tries.scripts[1].sent_header("upload-offset", 1) == "2"


def test_an_upload_that_the_api_has_deleted_begins_again_once():
    tries = FileTries(FIELDS)
    with pytest.raises(KilledError):
        tries.run(SESSION, at(0), killed)
    tries.run(GONE, SESSION, at(0), at(3), CREATED)
    assert tries.scripts[1].sent_header("upload-length", 1) == "3"
    assert "The upload is gone, so all of it begins again" in tries.log_text
    with pytest.raises(JobNotFoundError):
        FileTries(FIELDS).run(SESSION, GONE, SESSION, GONE)


def test_an_upload_without_a_request_before_it_begins_nothing_again():
    with pytest.raises(JobNotFoundError):
        FileTries({**FIELDS, "prepare": {**UPLOAD, "endpoint": "/up/1"}, "json": {}}).run(GONE)


def test_a_file_that_has_changed_is_uploaded_from_its_beginning():
    tries = FileTries(FIELDS)
    with pytest.raises(KilledError):
        tries.run(SESSION, at(0), killed)
    tries.change()
    tries.run(SESSION, at(0), at(5), CREATED)
    assert tries.scripts[1].sent_header("upload-length", 0) == "5"


def test_a_file_that_was_uploaded_may_be_gone_at_the_next_try():
    tries = FileTries(FIELDS)
    with pytest.raises(KilledError):
        tries.run(SESSION, at(0), at(3), killed)
    tries.remove()
    tries.fields = {**FIELDS, "headers": {"Idempotency-Key": "{idempotency_key}", "X-Size": "{file_size}"}}
    tries.run(CREATED)
    assert tries.scripts[1].sent_header("x-size") == "3"


def test_a_submit_that_uploads_its_file_itself_is_resumed_instead_of_being_ambiguous():
    fields = {**UPLOAD, "endpoint": "/jobs/new", "identifier": "id", "variables": {"day": "d1"}}
    tries = FileTries(fields)
    with pytest.raises(KilledError):
        tries.run(at(0), make_lost_error(), at(1), killed)
    done = make_response({"id": "j-1"}, 201, upload_offset="3")
    assert tries.run(at(1), done).identifier == "j-1"
    assert tries.scripts[1].sent_header("upload-offset") == "1"


def test_a_start_request_that_was_cut_off_in_an_upload_is_resumed():
    fields = {**FIELDS, "prepare": None, "json": {}, "capture": {"upload": "upload"}, "start": UPLOAD}
    fields["headers"] = {"X-Size": "{file_size}"}
    tries = FileTries(fields)
    created = make_response({"id": "j-1", "upload": "/up/1"})
    with pytest.raises(KilledError):
        tries.run(created, at(0), killed)
    assert tries.scripts[0].sent_header("x-size", 0) == "3"
    assert tries.run(at(1), at(3)).identifier == "j-1"
    assert tries.scripts[1].sent_header("upload-offset") == "1"


def test_a_variable_of_the_task_may_have_the_same_name():
    tries = FileTries({**FIELDS, "variables": {"day": "d1", "file_size": 9}})
    tries.run(SESSION, at(0), at(3), CREATED)
    assert tries.scripts[0].sent_header("upload-length", 0) == "9"


def test_the_size_of_a_file_needs_one_file_that_is_there():
    tries = FileTries({**FIELDS, "body": {"path": "/in/other.csv"}, "json": None})
    tries.files.contents["/in/other.csv"] = b""
    with pytest.raises(ConfigurationError, match=r"\{file_size\}: is the size of one file, .* send 2 files"):
        tries.run()
    tries = FileTries(FIELDS)
    tries.remove()
    with pytest.raises(FileUnavailableError):
        tries.run()
