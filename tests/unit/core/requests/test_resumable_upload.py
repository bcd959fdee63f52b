"""Uploads that are resumed from the position up to which the API has the file, in the ways of several protocols."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from airflow_provider_asyncapi.core.errors import (
    ConfigurationError,
    FileChangedError,
    JobNotFoundError,
    MissingValueError,
    RequestRejectedError,
    TransportError,
    UnavailableError,
)
from airflow_provider_asyncapi.core.http.file_bodies import FileBody
from airflow_provider_asyncapi.core.http.messages import Request, Response
from airflow_provider_asyncapi.core.requests.request_step import RequestStep
from airflow_provider_asyncapi.core.requests.response_policy import REPEATABLE
from airflow_provider_asyncapi.core.requests.schedule import PollSchedule
from airflow_provider_asyncapi.core.requests.step_flow import send_step
from tests.unit.core.flow_runner import FlowRunner, make_api, make_lost_error, make_response
from tests.unit.fake_files import MemoryFiles

CONTENT = b"0123456789"
TUS: dict[str, Any] = {
    "method": "PATCH",
    "endpoint": "/up/1",
    "headers": {"Upload-Offset": "{body_start}", "Tus-Resumable": "1.0.0"},
    "body": {
        "path": "/in",
        "resume": {"headers": {"Tus-Resumable": "1.0.0"}, "offset": "header:Upload-Offset"},
    },
}
GOOGLE: dict[str, Any] = {
    "method": "PUT",
    "endpoint": "/up/1",
    "headers": {"Content-Range": "bytes {body_start}-{body_last}/{file_size}"},
    "body": {
        "path": "/in",
        "resume": {
            "method": "PUT",
            "headers": {"Content-Range": "bytes */{file_size}"},
            "received": "header:Range",
        },
    },
}
GRAPH: dict[str, Any] = {
    **GOOGLE,
    "body": {
        "path": "/in",
        "resume": {"method": "GET", "offset": "nextExpectedRanges[0]", "chunk_bytes": 4},
    },
}
DONE = make_response({"id": "f-1"})
TRIES = PollSchedule.parse_retries({"max_consecutive_errors": 3})


def at(offset: int, status: int = 204) -> Response:
    return make_response(None, status, upload_offset=str(offset))


def has(last: int | None) -> Response:
    """Return Google's response about an upload that isn't complete."""
    return make_response(None, 308, **({} if last is None else {"range": f"bytes=0-{last}"}))


def expects(*ranges: str, status: int = 202) -> Response:
    return make_response({"nextExpectedRanges": list(ranges)}, status)


class Uploads:
    """Sends one file, and records the requests with what they have sent of it."""

    def __init__(self, described: dict[str, Any], *replies: Any, content: bytes = CONTENT, **resume: Any) -> None:
        body = {**described["body"], "resume": {**described["body"]["resume"], **resume}}
        self.step = RequestStep.parse({**described, "body": body}, "prepare", sends_files=True)
        self.files = MemoryFiles(**{"/in": content})
        self.runner = FlowRunner(dataclasses.replace(make_api(), inspect_file=self.files.inspect), *replies)

    def run(self) -> Response:
        scope = self.runner.api.merge_variables({})
        response, _ = self.runner.run(send_step(self.runner.api, self.step, scope, TRIES, REPEATABLE))
        assert isinstance(response, Response)
        return response

    @property
    def sent(self) -> list[tuple[str, str | None, bytes]]:
        """Method, stated position and content of each request."""
        return [(each.method, _stated_position(each), _read(each)) for each in self.runner.requests]


def _stated_position(request: Request) -> str | None:
    return dict(request.headers).get("Upload-Offset") or dict(request.headers).get("Content-Range")


def _read(request: Request) -> bytes:
    return b"".join(request.body.read_chunks()) if isinstance(request.body, FileBody) else request.body or b""


@pytest.mark.parametrize(
    ("described", "replies", "sent"),
    [
        (TUS, [at(0, 200), at(10)], [("HEAD", None, b""), ("PATCH", "0", CONTENT)]),
        (TUS, [at(4, 200), at(10)], [("HEAD", None, b""), ("PATCH", "4", b"456789")]),
        # The server has kept a part, although it has answered.
        (
            TUS,
            [at(0, 200), at(7), at(10)],
            [("HEAD", None, b""), ("PATCH", "0", CONTENT), ("PATCH", "7", b"789")],
        ),
        (GOOGLE, [has(None), DONE], [("PUT", "bytes */10", b""), ("PUT", "bytes 0-9/10", CONTENT)]),
        (GOOGLE, [has(3), DONE], [("PUT", "bytes */10", b""), ("PUT", "bytes 4-9/10", b"456789")]),
        (GOOGLE, [DONE], [("PUT", "bytes */10", b"")]),
        (
            GRAPH,
            [expects("0-", status=200), expects("4-9"), expects("8-9"), make_response({"id": "f-1"}, 201)],
            [
                ("GET", None, b""),
                ("PUT", "bytes 0-3/10", b"0123"),
                ("PUT", "bytes 4-7/10", b"4567"),
                ("PUT", "bytes 8-9/10", b"89"),
            ],
        ),
    ],
)
def test_the_rest_is_sent_from_the_position_that_the_api_states(described, replies, sent):
    uploads = Uploads(described, *replies)
    assert uploads.run().ok
    assert uploads.sent == sent


@pytest.mark.parametrize(
    ("described", "positions"), [(TUS, (at(0, 200), at(6, 200), at(10))), (GOOGLE, (has(None), has(5), DONE))]
)
@pytest.mark.parametrize("broken", [make_lost_error(), make_response(None, 503), make_response(None, 409)])
def test_an_upload_that_breaks_continues_where_it_was_interrupted(described, positions, broken):
    asked, again, done = positions
    uploads = Uploads(described, asked, broken, again, done)
    assert uploads.run().ok
    assert [content for _, _, content in uploads.sent] == [b"", CONTENT, b"", b"6789"]
    assert len(uploads.runner.sleeps) == 1


def test_a_response_that_was_lost_after_the_last_byte_sends_nothing_again():
    uploads = Uploads(TUS, at(0, 200), make_lost_error(), at(10, 200))
    assert uploads.run().status == 200
    assert [method for method, _, _ in uploads.sent] == ["HEAD", "PATCH", "HEAD"]


def test_an_acknowledgement_without_a_position_is_about_all_that_was_sent():
    uploads = Uploads(GRAPH, expects("0-", status=200), make_response(None, 202), make_response(None, 202), DONE)
    assert uploads.run().ok
    assert b"".join(content for _, _, content in uploads.sent) == CONTENT


def test_an_upload_that_makes_progress_may_break_any_number_of_times():
    replies = [reply for position in range(10) for reply in (at(position, 200), make_lost_error())]
    uploads = Uploads(TUS, *replies, at(10, 200))
    assert uploads.run().ok


def test_an_upload_without_progress_is_given_up():
    uploads = Uploads(TUS, *[at(4, 200), make_lost_error()] * 3)
    with pytest.raises(UnavailableError, match="errors in a row"):
        uploads.run()
    assert len(uploads.sent) == 6


def test_an_api_that_keeps_nothing_is_given_up_with_pauses():
    uploads = Uploads(GOOGLE, *[has(None)] * 6)
    with pytest.raises(UnavailableError, match="308, and the API has kept none of its bytes"):
        uploads.run()
    assert len(uploads.runner.sleeps) == 2


def test_an_empty_file_is_complete_at_once():
    uploads = Uploads(TUS, at(0, 200), content=b"")
    assert uploads.run().ok
    assert len(uploads.sent) == 1


@pytest.mark.parametrize(
    ("described", "replies", "error", "message"),
    [
        (TUS, [make_response(None, 404)], JobNotFoundError, "404"),
        (TUS, [at(0, 200), make_response({"error": "quota"}, 413)], RequestRejectedError, "quota"),
        (TUS, [make_response(None, 200)], MissingValueError, "resume.offset: .* doesn't say how much of the file"),
        (TUS, [at(0, 200), make_response(None, 308)], MissingValueError, "resume.offset: .* doesn't say how much"),
        (TUS, [at(11, 200)], MissingValueError, "says 11 bytes, and the file has 10"),
        (TUS, [make_response(None, 200, upload_offset="all")], MissingValueError, "is no position in a file: 'all'"),
        # Bytes in the middle aren't a beginning to continue.
        (GOOGLE, [make_response(None, 308, range="bytes=5-9")], MissingValueError, "is no position in a file"),
        # All bytes are there, and the API doesn't accept them.
        (GOOGLE, [has(9)], RequestRejectedError, "308, expected 2xx"),
    ],
)
def test_nothing_that_the_api_does_not_have_counts_as_sent(described, replies, error, message):
    with pytest.raises(error, match=message):
        Uploads(described, *replies).run()


def test_a_file_that_changes_between_two_pieces_is_not_sent_on():
    def change(request: Request) -> Response:
        uploads.files.contents["/in"] = b"other"
        return expects("4-")

    def receive(request: Request) -> Response:
        _read(request)
        return DONE

    uploads = Uploads(GRAPH, expects("0-", status=200), change, receive)
    with pytest.raises(FileChangedError):
        uploads.run()


def test_a_rule_decides_what_a_conflict_means():
    rules = [{"selector": "status_code", "in": 409, "outcome": "failure"}]
    uploads = Uploads({**TUS, "rules": rules}, at(0, 200), make_response({"message": "taken"}, 409))
    with pytest.raises(Exception, match="failure by a rule: taken"):
        uploads.run()


def test_a_digest_is_that_of_the_bytes_that_are_sent():
    headers = {**TUS["headers"], "Upload-Checksum": "md5 {body_md5}"}
    uploads = Uploads({**TUS, "headers": headers}, at(9, 200), at(10))
    uploads.run()
    # echo -n 9 | openssl md5 -binary | base64
    assert uploads.runner.sent_header("upload-checksum") == "md5 RcSMzi4tf73qGvxRx8atJg=="


@pytest.mark.parametrize(
    ("described", "message"),
    [
        ({"resume": "header:Range"}, "body.resume: has to be a mapping that describes a request"),
        ({"resume": {"method": "HEAD"}}, "body.resume: needs either offset"),
        ({"resume": {"offset": "a", "received": "b"}}, "body.resume: needs either offset"),
        ({"resume": {"offst": "a"}}, "body.resume: unknown key 'offst'"),
        ({"resume": {"offset": "a", "chunk_bytes": 0}}, "chunk_bytes: has to be a number of bytes from 1, not 0"),
        ({"resume": {"offset": "a", "chunk_bytes": True}}, "chunk_bytes: has to be a number of bytes"),
        ({"resume": {"offset": "a["}}, r"body\.resume\.offset: malformed selector"),
        ({"headers": {}, "resume": {"offset": "a"}}, r"the upload has to name \{body_start\}"),
    ],
)
def test_a_mistake_is_named(described, message):
    given = {**TUS, **described, "body": {"path": "/in", "resume": described["resume"]}}
    given.pop("resume")
    with pytest.raises(ConfigurationError, match=message):
        RequestStep.parse(given, "prepare", sends_files=True)


def test_the_request_may_have_an_address_of_its_own():
    uploads = Uploads(TUS, at(10, 200), endpoint="/up/1/state")
    uploads.run()
    assert uploads.runner.paths == ["HEAD /up/1/state"]


def test_a_lost_connection_is_told_as_such():
    uploads = Uploads(TUS, *[make_lost_error()] * 3)
    with pytest.raises(UnavailableError) as raised:
        uploads.run()
    assert isinstance(raised.value.__cause__, TransportError)
