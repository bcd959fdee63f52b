"""The files of a request: found before it is sent, read for the digests that it states, and opened by the driver."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any

import pytest

from airflow_provider_asyncapi.core.errors import (
    ConfigurationError,
    FileTooLargeError,
    FileUnavailableError,
    UnavailableError,
    UnknownVariableError,
)
from airflow_provider_asyncapi.core.http.file_bodies import FileBody
from airflow_provider_asyncapi.core.http.messages import Request, Response
from airflow_provider_asyncapi.core.requests.request_step import RequestStep
from airflow_provider_asyncapi.core.requests.response_policy import REPEATABLE
from airflow_provider_asyncapi.core.requests.schedule import PollSchedule
from airflow_provider_asyncapi.core.requests.step_flow import send_step
from tests.unit.core.flow_runner import FlowRunner, make_api, make_response
from tests.unit.fake_files import MemoryFiles

SIGNING: dict[str, Any] = {
    "auth": "hmac",
    "password": "key",
    "signing": {"signed": "{body_sha256}", "headers": {"X-Signature": "{signature}"}},
}
FILE = {"path": "/data/{day}.csv", "content_type": "text/csv"}


def run(runner: FlowRunner, store: MemoryFiles, variables: dict[str, Any] | None = None, **given: Any) -> Response:
    api = dataclasses.replace(runner.api, inspect_file=store.inspect)
    step = RequestStep.parse({"endpoint": "/x", "body": FILE, **given}, "request", method="PUT", sends_files=True)
    scope = api.merge_variables({"id": 7, "captured": "/etc/passwd"})
    schedule = PollSchedule(interval=1.0, max_errors=2)
    flow = send_step(api, step, scope, schedule, REPEATABLE, path_variables=variables or {"day": "d1"})
    response, _ = runner.run(flow)
    assert isinstance(response, Response)
    return response


def make_files() -> MemoryFiles:
    return MemoryFiles(**{"/data/d1.csv": b"1,2"})


def test_a_file_is_sent_without_having_been_read():
    files, runner = make_files(), FlowRunner(make_api(), make_response({}))
    run(runner, files)
    (request,) = runner.requests
    assert isinstance(request.body, FileBody)
    assert request.body.size == 3
    assert runner.sent_header("content-type") == "text/csv"
    assert files.opened == []


def test_headers_and_query_parameters_name_the_size_and_the_digest():
    files, runner = make_files(), FlowRunner(make_api(), make_response({}))
    headers = {"X-Size": "{body_size}", "Digest": "sha-256={body_sha256_base64}", "X-Job": "{id}"}
    run(runner, files, headers=headers, query_params={"sha": "{body_sha256}", "md5": "{body_md5_hex}"})
    digest = hashlib.sha256(b"1,2").hexdigest()
    assert runner.sent_header("x-size") == "3"
    assert f"?sha={digest}&md5={hashlib.md5(b'1,2', usedforsecurity=False).hexdigest()}" in runner.requests[0].url
    assert runner.sent_header("x-job") == "7"
    assert files.opened == ["/data/d1.csv"]


def test_the_digest_that_the_connection_signs_is_computed():
    files, runner = make_files(), FlowRunner(make_api(**SIGNING), make_response({}))
    run(runner, files)
    assert len(runner.sent_header("x-signature")) == 64


def test_bodies_without_files_have_these_variables_too():
    runner = FlowRunner(make_api(), make_response({}))
    run(runner, make_files(), body=None, data="abc", headers={"X-Size": "{body_size}"})
    assert runner.sent_header("x-size") == "3"


@pytest.mark.parametrize("given", [{"headers": {"X": "{body_size}"}}, {"data": "x", "endpoint": "/{body_size}"}])
def test_a_request_without_body_and_an_endpoint_have_no_such_variables(given):
    with pytest.raises(UnknownVariableError, match=r"\{body_size\} isn't set"):
        run(FlowRunner(make_api()), make_files(), body=None, **given)


def test_a_variable_of_the_task_comes_before_that_of_the_body():
    runner = FlowRunner(make_api(), make_response({}))
    api = dataclasses.replace(runner.api, inspect_file=make_files().inspect)
    step = RequestStep.parse({"endpoint": "/x", "data": "abc", "headers": {"X": "{body_size}"}}, "request")
    runner.run(send_step(api, step, api.merge_variables({"body_size": "own"}), PollSchedule(), REPEATABLE))
    assert runner.sent_header("x") == "own"


def test_a_response_never_chooses_the_file():
    with pytest.raises(UnknownVariableError, match=r"body\.path: the variable \{captured\} isn't set"):
        run(FlowRunner(make_api()), make_files(), body={"path": "{captured}"})


def test_a_path_may_name_variables_of_the_connection():
    files = MemoryFiles(**{"/mnt/a.csv": b"1"})
    runner = FlowRunner(make_api(variables={"folder": "/mnt"}), make_response({}))
    run(runner, files, body={"path": "{connection.folder}/a.csv"})
    assert [part.path for part in runner.requests[0].body.parts] == ["/mnt/a.csv"]  # type: ignore[union-attr]  # a file


@pytest.mark.parametrize("largest", [3, 4])
def test_a_file_may_be_as_large_as_max_bytes(largest):
    run(FlowRunner(make_api(), make_response({})), make_files(), body={**FILE, "max_bytes": largest})


def test_a_file_that_is_too_large_is_not_sent():
    runner = FlowRunner(make_api())
    with pytest.raises(
        FileTooLargeError, match=r"request: body\.path: the file '/data/d1\.csv' has 3 bytes, and max_by"
    ):
        run(runner, make_files(), body={**FILE, "max_bytes": 2})
    assert runner.requests == []


def test_a_file_that_is_not_there_is_not_sent():
    runner = FlowRunner(make_api())
    with pytest.raises(
        FileUnavailableError, match=r"request: body\.path: the file '/data/d2\.csv' isn't there"
    ) as raised:
        run(runner, make_files(), {"day": "d2"})
    assert not raised.value.sent
    assert runner.requests == []


def test_a_process_that_sends_no_files_says_so():
    runner = FlowRunner(make_api())
    step = RequestStep.parse({"endpoint": "/x", "body": {"path": "/x"}}, "request", sends_files=True)
    with pytest.raises(ConfigurationError, match=r"request: body\.path: files can only be sent from a worker"):
        runner.run(send_step(runner.api, step, {}, PollSchedule(), REPEATABLE))


@pytest.mark.parametrize("earlier", [0, 1])
def test_an_error_of_a_file_tells_whether_the_request_was_sent_before(earlier):
    replies: list[Any] = [make_response({}, 503)] * earlier
    runner = FlowRunner(make_api(), *replies, FileUnavailableError("gone"))
    with pytest.raises(FileUnavailableError) as raised:
        run(runner, make_files())
    assert raised.value.sent == bool(earlier)


def test_a_retry_sends_the_same_file_again():
    bodies = []

    def respond(request: Request) -> Response:
        bodies.append(request.body)
        return make_response({}, 503)

    runner = FlowRunner(make_api(), respond, respond)
    with pytest.raises(UnavailableError):
        run(runner, make_files())
    assert len(bodies) == 2
    assert bodies[0] == bodies[1]


def test_a_secret_in_the_parameters_of_a_multipart_body_goes_to_no_other_host():
    runner = FlowRunner(make_api(password="hunter2secret", auth="bearer"))
    files = {"a": {"path": "/data/{day}.csv"}, "note": "hunter2secret"}
    with pytest.raises(ConfigurationError, match="not sent, since its URL or body contains a secret"):
        run(runner, make_files(), body=None, files=files, endpoint="https://elsewhere.example.org/")
