"""Destinations in S3, through its real API: a server of it on loopback, Airflow's Amazon provider and s3fs."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import random
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import boto3
import psutil
import pytest
from moto.s3.models import S3Backend
from moto.server import ThreadedMotoServer

from airflow_provider_asyncapi.core.fetch.plan import FetchPlan
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.exceptions import AsyncApiFileUnavailable
from airflow_provider_asyncapi.hooks.asyncapi import AsyncApiHook
from airflow_provider_asyncapi.results.destination import Owner
from airflow_provider_asyncapi.results.fetching import FetchTask, fetch
from airflow_provider_asyncapi.results.limits import ResultLimits
from demo.airflow import AirflowApiError
from tests.integration.conftest import DagRunner
from tests.loopback import Server, reply

pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:in a future version of UPath"),
]

MIB = 1024 * 1024
BUCKET = "results"
FOLDER = f"s3://aws_s3@{BUCKET}/jobs/7/"
TASK = Owner("dag/run/task/-1", secret=lambda: b"key")
LIMITS = ResultLimits(100 * MIB, 1000, 200, 1000)
#: Fetches as a task does, and ends when it is killed as the operator does.
CHILD = """
import signal, sys
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.fetch.plan import FetchPlan
from airflow_provider_asyncapi.hooks.asyncapi import AsyncApiHook
from airflow_provider_asyncapi.results.fetching import FetchTask, fetch
from airflow_provider_asyncapi.results.limits import ResultLimits
from airflow_provider_asyncapi.results.destination import Owner

signal.signal(signal.SIGTERM, lambda *_: sys.exit("killed"))
plan = FetchPlan.parse({"endpoint": "/x", "output_type": "file"})
task = Owner("dag/run/task/-1", secret=lambda: b"key")
fetch(AsyncApiHook("api"), FetchTask(plan, JobHandle("7"), sys.argv[1], ResultLimits(2**30, 9, 9, 9), owner=task))
"""


@dataclass
class Store:
    """
    What the store does and has done.

    :param is_slow: whether it takes its time for each part of an upload.
    :param completed: the keys of uploads that were completed.
    """

    is_slow: bool = False
    completed: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def s3() -> Iterator[Any]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield boto3.client(
        "s3",
        endpoint_url=f"http://{host}:{port}",
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    server.stop()


@pytest.fixture
def api() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture
def bucket(s3: Any, api: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Return a client of an empty bucket for which Airflow has a connection, as for the API."""
    s3.create_bucket(Bucket=BUCKET)
    connection = {
        "conn_type": "aws",
        "login": "test",
        "password": "test",
        "extra": {"endpoint_url": s3.meta.endpoint_url, "region_name": "us-east-1"},
    }
    monkeypatch.setenv("AIRFLOW_CONN_AWS_S3", json.dumps(connection))
    monkeypatch.setenv("AIRFLOW_CONN_API", json.dumps({"conn_type": "asyncapi", "host": api.url}))
    yield s3
    for upload in s3.list_multipart_uploads(Bucket=BUCKET).get("Uploads", []):
        s3.abort_multipart_upload(Bucket=BUCKET, Key=upload["Key"], UploadId=upload["UploadId"])
    for key in contents(s3):
        s3.delete_object(Bucket=BUCKET, Key=key)


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Store:
    store = Store()
    upload_part, complete = S3Backend.upload_part, S3Backend.complete_multipart_upload

    def slow_part(*args: Any, **given: Any) -> Any:
        time.sleep(0.5 * store.is_slow)
        return upload_part(*args, **given)

    def complete_once(*args: Any, **given: Any) -> Any:
        key = complete(*args, **given)
        assert key is not None
        store.completed.append(key.name)
        return key

    monkeypatch.setattr(S3Backend, "upload_part", slow_part)
    monkeypatch.setattr(S3Backend, "complete_multipart_upload", complete_once)
    return store


@pytest.fixture
def uploading(
    bucket: Any, api: Server, store: Store, run_dag: DagRunner
) -> Callable[[str, bytes, str], tuple[str, psutil.Process]]:
    """Return a function that starts a task, and returns its run and its process during the upload."""
    client = run_dag.airflow.client
    for conn_id, name in (("aws_s3", "AIRFLOW_CONN_AWS_S3"), ("s3_api", "AIRFLOW_CONN_API")):
        with contextlib.suppress(AirflowApiError):
            client.call("DELETE", f"/api/v2/connections/{conn_id}")
        client.add_connection(conn_id, json.loads(os.environ[name]))

    def start(output: str, body: bytes, target: str) -> tuple[str, psutil.Process]:
        store.is_slow = True
        api.respond_with(*[reply(body)] * 2)
        run_id = run_dag.start(f"fetch_to_s3_{output}", {"destination": target})
        deadline = time.monotonic() + 120
        port = int(bucket.meta.endpoint_url.rpartition(":")[2])
        while not (tasks := talking_to(run_dag, port)) or not uploads(bucket):
            run_dag.airflow.check()
            assert time.monotonic() < deadline
            time.sleep(0.1)
        return run_id, tasks[0]

    return start


def talking_to(run_dag: DagRunner, port: int) -> list[psutil.Process]:
    """Find the processes of tasks by the server that they are connected to."""
    found = []
    for process in run_dag.airflow.processes.family("scheduler"):
        with contextlib.suppress(psutil.NoSuchProcess):
            if any(each.raddr and each.raddr.port == port for each in process.net_connections("tcp")):
                found.append(process)
    return found


def contents(s3: Any) -> dict[str, bytes]:
    found = s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])
    return {each["Key"]: s3.get_object(Bucket=BUCKET, Key=each["Key"])["Body"].read() for each in found}


def uploads(s3: Any) -> list[str]:
    """Return the keys of multipart uploads that were neither completed nor aborted."""
    return [each["Key"] for each in s3.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])]


def zipped(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as opened:
        for name, content in members.items():
            opened.writestr(name, content)
    return buffer.getvalue()


def fetched(api: Server, body: bytes, target: str = FOLDER, **given: Any) -> Any:
    api.respond_with(reply(body))
    hook = AsyncApiHook("api")
    try:
        plan = FetchPlan.parse({"endpoint": "/x", **given})
        return fetch(hook, FetchTask(plan, JobHandle("7"), target, LIMITS, owner=TASK))
    finally:
        hook.close()


def test_members_become_objects_and_replace_those_that_were_there(bucket: Any, api: Server) -> None:
    bucket.put_object(Bucket=BUCKET, Key="jobs/7/a", Body=b"old")
    manifest = fetched(api, zipped(a=b"1", b=b"22", **{"sub/c": b""}), output_type="zip")
    assert manifest["paths"] == [f"{FOLDER}a", f"{FOLDER}b", f"{FOLDER}sub/c"]
    assert contents(bucket) == {"jobs/7/a": b"1", "jobs/7/b": b"22", "jobs/7/sub/c": b""}


def test_a_large_file_is_uploaded_in_parts(bucket: Any, api: Server) -> None:
    body = random.Random(1).randbytes(12 * MIB)
    fetched(api, body, f"s3://aws_s3@{BUCKET}/large.bin", output_type="file")
    assert contents(bucket) == {"large.bin": body}
    assert bucket.head_object(Bucket=BUCKET, Key="large.bin")["ETag"].endswith('-3"')
    assert uploads(bucket) == []


def test_rows_are_written_to_an_object(bucket: Any, api: Server) -> None:
    fetched(api, b'{"rows": [1, 2]}', result_path="rows", write_as="ndjson")
    assert contents(bucket) == {"jobs/7/result.ndjson": b"1\n2\n"}


def test_an_object_is_sent_with_its_checksum(bucket: Any, api: Server) -> None:
    body = random.Random(1).randbytes(12 * MIB)
    bucket.put_object(Bucket=BUCKET, Key="in/a.bin", Body=body)
    api.respond_with(reply({}))
    with AsyncApiHook("api") as hook:
        headers = {"X-Checksum": "{body_sha256}"}
        hook.request("PUT", "/x", body={"path": f"s3://aws_s3@{BUCKET}/in/a.bin"}, headers=headers)
    (asked,) = api.asked
    assert asked.body == body
    assert asked.headers["x-checksum"] == hashlib.sha256(body).hexdigest()


def test_an_object_that_is_replaced_while_it_is_sent_never_arrives(
    bucket: Any, api: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    from s3fs.core import S3File

    old, new = (random.Random(seed).randbytes(12 * MIB) for seed in (1, 2))
    bucket.put_object(Bucket=BUCKET, Key="in/a.bin", Body=old)
    real = S3File._fetch_range

    def replacing(file: Any, start: int, end: int) -> Any:
        found = real(file, start, end)
        bucket.put_object(Bucket=BUCKET, Key="in/a.bin", Body=new)
        return found

    monkeypatch.setattr(S3File, "_fetch_range", replacing)
    api.respond_with(reply({}))
    with AsyncApiHook("api") as hook, pytest.raises(AsyncApiFileUnavailable, match=r"in/a\.bin"):
        hook.request("PUT", "/x", body={"path": f"s3://aws_s3@{BUCKET}/in/a.bin"})
    assert all(len(asked.body) < len(old) for asked in api.asked)


@pytest.mark.parametrize("old", [{}, {"jobs/7/a": b"old"}], ids=["new", "replacing"])
def test_an_upload_that_fails_is_aborted_and_undone(
    bucket: Any, api: Server, monkeypatch: pytest.MonkeyPatch, old: dict[str, bytes]
) -> None:
    from s3fs.core import S3File

    for key, content in old.items():
        bucket.put_object(Bucket=BUCKET, Key=key, Body=content)
    real = S3File._upload_chunk

    def failing(file: Any, final: bool = False) -> Any:
        if file.path.endswith("/b") and file.parts:
            assert uploads(bucket) == ["jobs/7/b"]
            raise ConnectionResetError("the network is down")
        return real(file, final)

    monkeypatch.setattr(S3File, "_upload_chunk", failing)
    with pytest.raises(ConnectionResetError):
        fetched(api, zipped(a=b"1", b=random.Random(1).randbytes(12 * MIB)), output_type="zip")
    assert contents(bucket) == old
    assert uploads(bucket) == []


def test_a_task_that_is_killed_while_it_uploads_leaves_nothing(bucket: Any, api: Server) -> None:
    api.respond_with(reply(random.Random(1).randbytes(64 * MIB)))
    child = subprocess.Popen([sys.executable, "-c", CHILD, FOLDER], env=dict(os.environ), stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while not uploads(bucket):
        assert child.poll() is None, child.stderr and child.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    child.send_signal(signal.SIGTERM)
    _, said = child.communicate(timeout=60)
    assert b"killed" in said
    assert contents(bucket) == {}
    assert uploads(bucket) == []


def test_what_a_task_has_left_that_was_killed_for_good_is_removed_by_the_next_try(bucket: Any, api: Server) -> None:
    """No handler runs on SIGKILL; what is uploaded by then lies at its place, and beside it the record of it."""
    from airflow_provider_asyncapi.results.storage import RemoteStorage

    real = RemoteStorage.move_in

    def move_in(storage: Any, files: Any) -> None:
        real(storage, files)
        raise SystemExit

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RemoteStorage, "move_in", move_in)
        patch.setattr("airflow_provider_asyncapi.results.destination.Destination._undo", lambda *_: False)
        with pytest.raises(SystemExit):
            fetched(api, zipped(first=b"1"), output_type="zip")
    assert "jobs/7/first" in contents(bucket)
    fetched(api, zipped(second=b"2"), output_type="zip")
    assert contents(bucket) == {"jobs/7/second": b"2"}


LARGE = random.Random(1).randbytes(40 * MIB)


@pytest.mark.parametrize(
    ("output", "body", "target", "expected"),
    [
        ("file", LARGE, f"s3://aws_s3@{BUCKET}/large.bin", {"large.bin": LARGE}),
        ("zip", zipped(a=b"1", b=LARGE), FOLDER, {"jobs/7/a": b"1", "jobs/7/b": LARGE}),
    ],
    ids=["file", "archive"],
)
def test_a_running_task_that_is_killed_for_good_amid_its_upload_leaves_nothing_to_its_next_try(
    bucket: Any,
    store: Store,
    uploading: Any,
    run_dag: DagRunner,
    output: str,
    body: bytes,
    target: str,
    expected: dict[str, bytes],
) -> None:
    run_id, task = uploading(output, body, target)
    task.kill()
    assert len(uploads(bucket)) == 1, "there is nobody left to abort it"
    store.is_slow = False
    result = run_dag.finish(f"fetch_to_s3_{output}", run_id)
    assert result.state == "success", result.failures()
    assert result.task("fetch").try_number > 1
    assert contents(bucket) == expected
    assert uploads(bucket) == []
    assert store.completed == [next(key for key, content in expected.items() if content is LARGE)]
    assert result.xcom("fetch")["bytes"] == sum(map(len, expected.values()))


def test_a_running_task_that_is_marked_as_failed_amid_its_upload_leaves_nothing(
    bucket: Any, store: Store, uploading: Any, run_dag: DagRunner
) -> None:
    run_id, task = uploading("zip", zipped(a=b"1", b=LARGE), FOLDER)
    run_dag.airflow.client.mark("fetch_to_s3_zip", run_id, "fetch", "failed")
    task.wait(timeout=60)
    assert run_dag.finish("fetch_to_s3_zip", run_id).state == "failed"
    assert contents(bucket) == {}
    assert uploads(bucket) == []
    assert store.completed == []
