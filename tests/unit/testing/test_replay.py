"""A recording is read and replayed strictly."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_asyncapi.exceptions import AsyncApiRejected
from airflow_provider_asyncapi.hooks.asyncapi import AsyncApiHook
from airflow_provider_asyncapi.testing import Recording, RecordingError, ReplayServer
from airflow_provider_asyncapi.testing.loopback import ReceivedRequest
from airflow_provider_asyncapi.testing.replay import find_difference

TEXT = """
exchanges:
  - request: {method: post, url: /jobs, body: {table: orders, key: "***"}, headers: {Authorization: "Bearer ***"}}
    response: {status: 201, body: {id: "7"}, headers: {Location: "{base_url}/jobs/7"}}
  - request: {method: GET, url: /jobs/7}
    response: {body: {state: RUNNING}}
  - request: {method: GET, url: /jobs/7}
    response: {body: {state: DONE}}
  - request: {method: GET, url: "/files/7?signature=***"}
    response: {body_base64: AP8=, headers: {content-type: application/octet-stream}}
"""


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "recording.yaml"
    path.write_text(TEXT)
    return path


def submit(hook: AsyncApiHook, table: str = "orders") -> Any:
    return hook.submit_job(
        endpoint="/jobs", json={"table": table, "key": "{idempotency_key}"}, identifier="header:Location"
    )


STATUS: dict[str, Any] = {
    "endpoint": "{identifier}",
    "completion_key": "state",
    "completion_value": "DONE",
    "poke_interval": 3600,
}


def test_a_recording_is_replayed_without_waiting(asyncapi_replay: Any, recording: Path) -> None:
    server = asyncapi_replay(recording, password="t", extra={"auth": "bearer"}, conn_id="acme")
    with AsyncApiHook("acme") as hook:
        job = hook.wait_for_job(submit(hook), **STATUS)
        assert job.identifier == f"{server.url}/jobs/7"
        assert hook.request("GET", "/files/7", query_params={"signature": "x"}).content == b"\0\xff"
    assert server.unused == []


def test_triggers_replay_it_too(asyncapi_replay: Any, recording: Path) -> None:
    server = asyncapi_replay(recording, password="t", extra={"auth": "bearer"}, allow_unused=True)

    async def wait() -> Any:
        async with AsyncApiHook() as hook:
            return await hook.await_for_job(f"{server.url}/jobs/7", **STATUS)

    assert asyncio.run(wait()).status == "DONE"
    assert [str(each.request) for each in server.unused] == ["POST /jobs", "GET /files/7?signature=***"]


def test_what_is_not_in_the_recording_is_refused_with_the_reason(
    recording: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ReplayServer(Recording.read(recording)) as server:
        connection = server.make_connection(password="t", extra=json.dumps({"auth": "bearer"}))
        monkeypatch.setenv("AIRFLOW_CONN_ASYNCAPI_DEFAULT", connection)
        with AsyncApiHook() as hook:
            with pytest.raises(AsyncApiRejected, match=r"the body\.table is 'other', and 'orders' in the recording"):
                submit(hook, "other")
            with pytest.raises(AsyncApiRejected, match="no unused exchange"):
                hook.request("GET", "/other")
        with pytest.raises(AssertionError) as failed:
            server.check()
        assert str(failed.value).splitlines() == [
            "unexpected request: POST /jobs: the body.table is 'other', and 'orders' in the recording",
            "unexpected request: GET /other: no unused exchange of the recording has this method and URL",
            "not requested: POST /jobs",
            "not requested: GET /jobs/7",
            "not requested: GET /jobs/7",
            "not requested: GET /files/7?signature=***",
        ]
        with pytest.raises(AssertionError) as failed:
            server.check(allow_unused=True)
        assert "not requested" not in str(failed.value)


@pytest.mark.parametrize(
    ("recorded", "body", "difference"),
    [
        ("{body: {a: [1, {b: '*** x'}]}}", {"a": [1, {"b": "any x"}]}, None),
        ("{body: {a: 1}}", {"a": 1, "b": 2}, "the body has the keys ['a', 'b'], and ['a'] in the recording"),
        ("{body: {a: [1, 2]}}", {"a": [1]}, "the body.a is [1], and [1, 2] in the recording"),
        ("{body: [{a: x}]}", [{"a": "y"}], "the body[0].a is 'y', and 'x' in the recording"),
        ("{body: {a: 1}}", b"a=1", "the body isn't JSON: b'a=1'"),
        ("{body: 'a=***&b=2'}", b"a=1&b=2", None),
        ("{body: 'a=***&b=2'}", b"a=1", "the body is 'a=1', and 'a=***&b=2' recorded"),
        ("{}", b"anything", None),
        ("{headers: {X-A: b}}", b"", "the header x-a is None, and 'b' in the recording"),
    ],
)
def test_a_difference_is_named(recorded: str, body: Any, difference: str | None) -> None:
    fields = recorded.removeprefix("{").removesuffix("}")
    text = f"exchanges: [{{request: {{method: POST, url: /x{', ' + fields if fields else ''}}}}}]"
    (exchange,) = Recording.parse(text).exchanges
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    assert find_difference(exchange.request, ReceivedRequest("POST", "/x", {}, content)) == difference


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[", "r.yaml: isn't YAML: .*line 1"),
        ("a: &x 1\nb: *x", "aliases"),
        ("5", "has to be a mapping with exchanges, not 5"),
        ("exchange: []", r"r.yaml:1: exchange: unknown key 'exchange' \(did you mean 'exchanges'\?\); known are"),
        ("exchanges: 5", "exchanges: has to be a list, not 5"),
        ("exchanges: [{request: 5}]", r"exchanges\[0\].request: has to be a mapping"),
        ("exchanges: [{request: {method: GET}}]", r"exchanges\[0\].request.url: has to be a string, not None"),
        ("exchanges: [{request: {method: GET, url: /, x: 1}}]", r"exchanges\[0\].request.x: unknown key 'x'; known"),
        ("", "r.yaml:1: has to be a mapping with exchanges, not None"),
        (
            "exchanges:\n- request: {method: GET, url: /}\n- request:\n    method: GET\n    ulr: /\n",
            r"r.yaml:5: exchanges\[1\].request.ulr: unknown key 'ulr' \(did you mean 'url'\?\); known are body,",
        ),
        (
            "exchanges:\n- request: {method: GET, url: /}\n  response:\n    status: 200\n    headers: [a]\n",
            r"r.yaml:5: exchanges\[0\].response.headers: has to be",
        ),
        ("exchanges:\n\n- request:\n    method: GET\n", r"r.yaml:3: exchanges\[0\].request.url: has to be a string"),
        (
            "exchanges: [{request: {method: GET, url: /}, response: {status: '200'}}]",
            r"exchanges\[0\].response.status: has to be a status code, not '200'",
        ),
        (
            "exchanges: [{request: {method: GET, url: /}, response: {headers: []}}]",
            r"exchanges\[0\].response.headers: has to be a mapping",
        ),
        (
            "exchanges: [{request: {method: GET, url: /}, response: {body_base64: '?'}}]",
            r"exchanges\[0\].response.body_base64: isn't Base64",
        ),
    ],
)
def test_a_mistake_in_a_recording_has_its_place(text: str, said: str) -> None:
    with pytest.raises(RecordingError, match=said):
        Recording.parse(text, "r.yaml")


def test_a_recording_is_written_as_it_is_read(recording: Path) -> None:
    read = Recording.read(recording)
    assert Recording.parse(read.dump()) == read
    with recording.open("wb") as file:
        file.truncate(64 * 1024 * 1024)
    with pytest.raises(RecordingError, match="bytes"):
        Recording.read(recording)
    recording.write_bytes(b"exchanges: \xff")
    with pytest.raises(RecordingError, match="isn't UTF-8 text, at byte 11"):
        Recording.read(recording)
