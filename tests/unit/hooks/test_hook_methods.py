"""What the hook does by hand: each method and its asynchronous twin do the same, over the same flows."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowSkipException

from airflow_provider_asyncapi import exceptions
from airflow_provider_asyncapi.core.outcome import Outcome
from airflow_provider_asyncapi.hooks import clients
from airflow_provider_asyncapi.hooks.asyncapi import AsyncApiHook, AsyncApiResponse, JobHandle
from tests.unit.fake_airflow import ApiServer, Supervisor, reply
from tests.unit.hooks.hook_calls import DONE, POLL, RUNNING, STATUS, SUBMIT, Caller

pytestmark = pytest.mark.usefixtures("connection")


# A request
def test_a_request_is_sent_with_the_connections_credentials_and_its_answer_returned(
    api: ApiServer, connect: Any, call: Caller
) -> None:
    connect(password="t-1234", extra={"auth": "bearer"})
    api.respond_to("POST /teams/a%20b?dry=true", reply({"id": 5}, 201, x_left="9"))
    answer = call("request", "POST", "/teams/{team}", query_params={"dry": "true"}, json={}, variables={"team": "a b"})
    assert isinstance(answer, AsyncApiResponse)
    assert (answer.status_code, answer.ok, answer.json(), answer.headers["X-Left"]) == (201, True, {"id": 5}, "9")
    assert (answer.content, answer.text, answer.method) == (b'{"id": 5}', '{"id": 5}', "POST")
    assert answer.url == f"{api.url}/teams/a%20b?dry=true"
    assert repr(answer) == f"<Response 201 {api.url}/teams/a%20b?…>"
    assert api.requests[0].headers["Authorization"] == "Bearer t-1234"


def test_an_answer_that_says_no_is_an_exception_with_the_apis_message(api: ApiServer, call: Caller) -> None:
    api.respond_to("PUT /teams/1", reply({"message": "no such team"}, 422))
    with pytest.raises(exceptions.AsyncApiRejected) as refused:
        call("request", "PUT", "/teams/1", json={})
    assert (refused.value.status_code, refused.value.message) == (422, "no such team")


def test_an_answer_that_says_no_may_be_accepted_by_a_rule(api: ApiServer, call: Caller) -> None:
    api.respond_to("GET /teams/1", reply({}, 404))
    rules = [{"selector": "status_code", "in": 404, "outcome": "no_data"}]
    assert call("request", "GET", "/teams/1", rules=rules).status_code == 404


def test_a_request_is_repeated_only_if_it_does_no_harm(api: ApiServer, call: Caller) -> None:
    api.respond_to("GET /teams", reply({}, 500), reply([]))
    assert call("request", "GET", "/teams").json() == []
    api.respond_to("POST /teams", reply({}, 500), reply([]))
    with pytest.raises(exceptions.AsyncApiSubmitAmbiguous):
        call("request", "POST", "/teams", json={})
    api.respond_to("POST /teams", reply({}, 500), reply([]))
    key = {"headers": {"Idempotency-Key": "{idempotency_key}"}, "variables": {"idempotency_key": "k"}}
    assert call("request", "POST", "/teams", json={}, **key).ok


def test_a_body_that_is_not_what_was_asked_for_is_an_exception_that_tells_the_request(
    api: ApiServer, call: Caller
) -> None:
    api.respond_to("GET /teams", reply(b"<team id='1'/>"))
    answer = call("request", "GET", "/teams")
    assert answer.xml().get("id") == "1"
    with pytest.raises(exceptions.AsyncApiRejected, match=rf"GET {api.url}/teams answered 200: ") as refused:
        answer.json()
    assert (refused.value.url, refused.value.status_code) == (f"{api.url}/teams", 200)


# A job
def test_a_job_is_submitted_and_its_handle_goes_through_xcom(api: ApiServer, call: Caller) -> None:
    api.respond_to("POST /jobs", reply({"id": 7}, 201))
    handle = call("submit_job", **SUBMIT)
    assert (handle.identifier, handle.outcome, handle.variables["table"]) == (7, "running", "x")
    stored = json.loads(json.dumps(handle.dump()))
    assert JobHandle.parse(stored).dump() == handle.dump()


def test_an_idempotency_key_of_ones_own_is_the_same_in_each_try(api: ApiServer, call: Caller) -> None:
    api.respond_to("POST /jobs", reply({}, 503), reply({"id": 7}))
    keyed = {**SUBMIT, "headers": {"Idempotency-Key": "{idempotency_key}"}}
    call("submit_job", **keyed, idempotency_key="run-1")
    assert [each.headers["Idempotency-Key"] for each in api.requests] == ["run-1", "run-1"]
    call("submit_job", **keyed)
    call("submit_job", **keyed)
    assert len({each.headers["Idempotency-Key"] for each in api.requests}) == 3


@pytest.mark.parametrize("job", [JobHandle(7), JobHandle(7).dump(), 7, "7"], ids=["handle", "dict", "number", "text"])
def test_a_job_is_polled_once(api: ApiServer, call: Caller, job: Any) -> None:
    api.respond_to(POLL, RUNNING, DONE)
    handle = call("get_job", job, **STATUS)
    assert (str(handle.identifier), handle.outcome, handle.status) == ("7", "running", "running")
    handle = call("get_job", handle, **STATUS)
    assert (handle.outcome, handle.variables["file"]) == ("success", "f-1")
    assert call("get_job", handle, **STATUS) is handle
    assert api.count(POLL) == 2


def test_a_poll_that_fails_is_an_exception_and_a_job_that_failed_is_none(api: ApiServer, call: Caller) -> None:
    api.respond_to(POLL, reply({"state": "failed"}))
    assert call("get_job", 7, **STATUS).outcome is Outcome.FAILURE
    api.respond_to(POLL, reply({}, 503))
    with pytest.raises(exceptions.AsyncApiUnavailable) as away:
        call("get_job", 7, **STATUS)
    assert (away.value.job, away.value.status_code) == (7, 503)


def test_a_job_is_waited_for(api: ApiServer, call: Caller) -> None:
    api.respond_to(POLL, RUNNING, reply({}, 503), DONE)
    handle = call("wait_for_job", 7, timeout=timedelta(hours=1), poke_interval=timedelta(seconds=1), **STATUS)
    assert (handle.outcome, handle.variables["file"], api.count(POLL)) == ("success", "f-1", 3)


def test_a_job_that_fails_is_an_exception_with_the_apis_message(api: ApiServer, call: Caller) -> None:
    api.respond_to(POLL, reply({"state": "failed", "message": "out of rows"}))
    with pytest.raises(exceptions.AsyncApiJobFailed) as failed:
        call("wait_for_job", 7, **STATUS)
    assert (failed.value.job, failed.value.status, failed.value.message) == (7, "failed", "out of rows")


def test_a_wait_ends_by_its_timeout_and_cancels_the_job(api: ApiServer, call: Caller) -> None:
    api.respond_to(POLL, RUNNING)
    api.respond_to("DELETE /jobs/7", reply(status=204))
    cancel = {"endpoint": "/jobs/{identifier}", "method": "DELETE"}
    with pytest.raises(exceptions.AsyncApiTimeout, match="the API has accepted the cancel"):
        call("wait_for_job", 7, timeout=0, cancel=cancel, **STATUS)
    assert api.count("DELETE /jobs/7") == 1


@pytest.mark.parametrize(
    ("end", "fails"),
    [(DONE, False), (reply({"state": "empty"}), False), (reply({"state": "failed"}), True)],
    ids=["success", "no_data", "failure"],
)
def test_the_cleanup_request_is_sent_after_the_ends_that_are_named(
    api: ApiServer, call: Caller, end: Any, fails: bool
) -> None:
    api.respond_to(POLL, RUNNING, end)
    api.respond_to("DELETE /jobs/7", reply(status=204))
    cleanup = {"cleanup": {"endpoint": "/jobs/{identifier}"}, "cleanup_on": ["success", "no_data", "failure"]}
    with pytest.raises(exceptions.AsyncApiJobFailed) if fails else contextlib.nullcontext():
        call("wait_for_job", 7, **cleanup, **STATUS)
    assert api.count("DELETE /jobs/7") == 1


def test_a_result_is_fetched_as_a_value(api: ApiServer, call: Caller) -> None:
    api.respond_to("GET /files/f-1?page=1", reply({"rows": [1], "last": 2}))
    api.respond_to("GET /files/f-1?page=2", reply({"rows": [2], "last": 2}))
    job = JobHandle(7, variables={"file": "f-1"})
    pages = {"endpoint": "/files/{file}", "query_params": {"page": "{page}"}, "output_type": "pages", "pages": 2}
    assert call("fetch_result", job, result_path="rows", **pages) == [1, 2]


def test_a_result_is_written_to_a_destination(api: ApiServer, call: Caller, tmp_path: Path) -> None:
    api.respond_to("GET /files/7", reply([{"a": 1}, {"a": 2}]))
    destination = str(tmp_path / "rows.ndjson")
    manifest = call("fetch_result", 7, endpoint="/files/{identifier}", destination=destination, write_as="ndjson")
    assert (manifest["rows"], Path(destination).read_text()) == (2, '{"a": 1}\n{"a": 2}\n')


def test_a_result_that_is_too_large_or_gone_is_an_exception_that_names_the_job(api: ApiServer, call: Caller) -> None:
    api.respond_to("GET /files/7", reply(["x" * 100]))
    for given, reason in (({"max_xcom_bytes": 50}, "max_xcom_bytes"), ({"endpoint": "/gone"}, "doesn't exist")):
        with pytest.raises(exceptions.AsyncApiResultFailed, match=reason) as failed:
            call("fetch_result", 7, **{"endpoint": "/files/{identifier}", **given})
        assert failed.value.job == 7


def test_there_is_nothing_to_fetch_of_a_job_without_data(api: ApiServer, call: Caller) -> None:
    with pytest.raises(AirflowSkipException, match="no data"):
        call("fetch_result", JobHandle(7, Outcome.NO_DATA), endpoint="/files/7")
    assert not api.requests


def test_a_job_is_cancelled(api: ApiServer, call: Caller, caplog: pytest.LogCaptureFixture) -> None:
    api.respond_to("POST /jobs/7/cancel", reply(status=202), reply({}, 409))
    given = {"endpoint": "/jobs/{identifier}/cancel", "reason": "nobody wants it"}
    assert call("cancel_job", 7, **given) is True
    assert call("cancel_job", 7, **given) is False
    assert call("cancel_job", JobHandle(7, Outcome.SUCCESS), **given) is False
    assert api.count("POST /jobs/7/cancel") == 2


# Profiles
def test_a_profile_fills_in_what_is_left_out(api: ApiServer, call: Caller) -> None:
    api.respond_to("POST /jobs", reply(status=202, location="/jobs/7"))
    api.respond_to(POLL, reply(status=202), reply({"rows": 3}))
    job = call("submit_job", profile="http_202", endpoint="/jobs", json={})
    job = call("wait_for_job", job, profile="http_202")
    assert call("fetch_result", job, profile="http_202") == {"rows": 3}


def test_the_connections_profile_counts_if_the_hook_has_none(api: ApiServer, connect: Any, call: Caller) -> None:
    connect(extra={"profile": "http_202"})
    api.respond_to("POST /jobs", reply(status=202, location="/jobs/7"))
    api.respond_to("DELETE /jobs/7", reply(status=204))
    job = call("submit_job", endpoint="/jobs", json={})
    assert job.identifier == "/jobs/7"


# Files
def test_a_request_and_a_submit_send_files(api: ApiServer, call: Caller, tmp_path: Path) -> None:
    (tmp_path / "d1.csv").write_bytes(b"1,2")
    api.respond_to("PUT /files/d1", reply({}))
    file = {"path": f"{tmp_path}/{{day}}.csv", "content_type": "text/csv"}
    headers = {"Content-MD5": "{body_md5}"}
    call("request", "PUT", "/files/{day}", body=file, headers=headers, variables={"day": "d1"})
    api.respond_to("POST /jobs", reply({"id": 7}))
    submit = {"endpoint": "/jobs", "files": {"file": file}, "identifier": "id", "variables": {"day": "d1"}}
    assert call("submit_job", **submit).identifier == 7
    put, post = api.requests
    assert (put.body, put.headers["Content-Type"]) == (b"1,2", "text/csv")
    assert put.headers["Content-MD5"] == base64.b64encode(hashlib.md5(b"1,2", usedforsecurity=False).digest()).decode()
    assert b'name="file"; filename="d1.csv"' in post.body


@pytest.mark.parametrize("name", ["no.csv", "large.csv"])
def test_a_file_that_cant_be_sent_is_an_exception(api: ApiServer, call: Caller, tmp_path: Path, name: str) -> None:
    (tmp_path / "large.csv").write_bytes(b"1,2")
    expected: tuple[type[Exception], str] = (exceptions.AsyncApiFileUnavailable, r"no\.csv' isn't there")
    if name == "large.csv":
        expected = exceptions.AsyncApiConfigurationError, "has 3 bytes, and max_bytes is 2"
    with pytest.raises(expected[0], match=expected[1]):
        call("request", "PUT", "/x", body={"path": str(tmp_path / name), "max_bytes": 2})
    assert not api.requests


def test_a_trigger_sends_no_file(
    api: ApiServer, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(clients, "is_triggerer_process", lambda: True)
    with pytest.raises(exceptions.AsyncApiConfigurationError, match="files can only be sent from a worker"):
        asyncio.run(AsyncApiHook().arequest("PUT", "/x", body={"path": str(tmp_path / "a.csv")}))
    assert not api.requests


# Mistakes
@pytest.mark.parametrize(
    ("name", "args", "given", "message"),
    [
        ("submit_job", (), {**SUBMIT, "endpoint_": "/x"}, r"submit_job\(\); did you mean endpoint\?"),
        ("submit_job", (), {**SUBMIT, "callback": True}, "callback: it needs a task"),
        ("submit_job", (), {**SUBMIT, "cancel": {}}, "cancel: it needs a task"),
        ("submit_job", (), {"endpoint": "/jobs"}, "identifier: is missing"),
        ("request", ("GET", "/x"), {"capture": {}}, "capture: isn't a parameter"),
        ("get_job", (7,), {"endpoint": "/x"}, "completion_key: is missing"),
        ("get_job", (7,), {**STATUS, "json": None, "body": {"path": "/x"}}, "body: isn't a parameter"),
        ("cancel_job", (7,), {"endpoint": "/x", "files": {"a": {"path": "/x"}}}, "this request can't send a file"),
        ("get_job", ("",), STATUS, "job: an identifier can't be empty"),
        ("wait_for_job", (7,), {**STATUS, "timeout": -1}, "timeout: has to be a number of seconds"),
        ("wait_for_job", (7,), {**STATUS, "timeout": "1h"}, "timeout: has to be a number of seconds"),
        ("wait_for_job", (7,), {**STATUS, "poke_interval": -1}, "poke_interval"),
        ("fetch_result", (7,), {"endpoint": "/x", "paegs": 2}, r"paegs: .* did you mean pages\?"),
        ("fetch_result", (7,), {"endpoint": "/x", "output_type": "zip"}, "destination"),
        ("cancel_job", (7,), {}, "endpoint"),
        ("get_job", (7,), {**STATUS, "endpoint": "/{nothing}"}, "nothing"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_as_in_an_operator_before_anything_is_sent(
    api: ApiServer, call: Caller, name: str, args: Any, given: dict[str, Any], message: str
) -> None:
    with pytest.raises(exceptions.AsyncApiConfigurationError, match=message):
        call(name, *args, **given)
    assert not api.requests


def test_a_connection_that_cannot_be_used_is_named(connect: Any, call: Caller) -> None:
    connect(host="")
    with pytest.raises(exceptions.AsyncApiConfigurationError, match=r"connection 'asyncapi_default': .*host is empty"):
        call("request", "GET", "/x")
