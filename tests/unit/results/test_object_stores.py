"""Files are uploaded to an object store: complete, or not at all."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from airflow_provider_asyncapi.transports import concurrency
from tests.unit.eventually import wait_until
from tests.unit.results.destinations import put
from tests.unit.results.stores import Upload, plain

pytestmark = pytest.mark.filterwarnings("ignore:in a future version of UPath:PendingDeprecationWarning")


def test_files_are_uploaded_below_a_folder(scheme, store):
    paths = put(f"{scheme}://bucket/a/", x=b"1", sub__y=b"2")
    assert plain(paths) == [f"{scheme}://bucket/a/x", f"{scheme}://bucket/a/sub/y"]
    assert {name.lstrip("/"): content for name, content in store.contents().items()} == {
        "bucket/a/x": b"1",
        "bucket/a/sub/y": b"2",
    }


def test_a_file_is_uploaded(scheme, store):
    assert plain(put(f"{scheme}://bucket/a/b.csv", x=b"1")) == [f"{scheme}://bucket/a/b.csv"]
    assert plain(put(f"{scheme}://bucket/a/b.csv", x=b"2")) == [f"{scheme}://bucket/a/b.csv"]
    assert list(store.contents().values()) == [b"2"]


@pytest.mark.parametrize("broken", [1, 3])
def test_an_upload_that_breaks_leaves_no_object(scheme, store, broken):
    store.breaks = {broken}
    with pytest.raises(ConnectionResetError):
        put(f"{scheme}://bucket/a/", x=b"11", y=b"22", z=b"33")
    assert store.contents() == {}


def test_where_a_half_could_be_seen_a_file_is_uploaded_beside_and_moved(scheme, store):
    put(f"{scheme}://bucket/a/x.csv", x=b"1")
    assert ".asyncapi-" in store.uploads[0] if scheme == "memory" else store.uploads[0].endswith("bucket/a/x.csv")


@pytest.mark.parametrize("broken", [1, 3])
def test_what_was_there_is_back_after_an_upload_that_breaks(scheme, store, broken):
    put(f"{scheme}://bucket/a/", x=b"old", y=b"old")
    before = store.contents()
    store.breaks = {2 + broken}
    with pytest.raises(ConnectionResetError):
        put(f"{scheme}://bucket/a/", x=b"11", y=b"22", z=b"33")
    assert store.contents() == before
    assert store.discarded


def test_half_a_copy_is_never_put_back(scheme, store, monkeypatch):
    put(f"{scheme}://bucket/a/", x=b"old")
    real = store.cp_file

    def break_half_way(source, target, **given):
        monkeypatch.setattr(store, "cp_file", real)
        if not store.appears_whole:
            store.pipe_file(target, b"o")
        raise ConnectionResetError("the network is down")

    monkeypatch.setattr(store, "cp_file", break_half_way)
    with pytest.raises(ConnectionResetError):
        put(f"{scheme}://bucket/a/", x=b"new")
    assert list(store.contents().values()) == [b"old"]


def test_an_upload_that_is_given_up_is_discarded(scheme, store, monkeypatch):
    together = threading.Barrier(2, timeout=10)

    def write(upload, data):
        together.wait()
        if data == b"1":
            raise ConnectionResetError
        time.sleep(0.05)
        return 0

    monkeypatch.setattr(Upload, "write", write)
    monkeypatch.setattr("airflow_provider_asyncapi.results.storage._CHUNK", 1)
    with pytest.raises(ConnectionResetError):
        put(f"{scheme}://bucket/a/", x=b"1", y=b"2" * 1000)
    assert store.contents() == {}
    assert len(store.discarded) == 2


def test_a_task_that_is_killed_does_not_wait_for_an_upload_that_hangs(scheme, store, monkeypatch):
    together, is_over, ended = threading.Barrier(2, timeout=10), threading.Event(), list[bytes]()

    class Killed(BaseException):
        """Raised by Airflow's handler of the signal."""

    def kill(*_):
        raise Killed

    def write(upload, data):
        together.wait()
        if data == b"1":
            os.kill(os.getpid(), signal.SIGUSR1)
        is_over.wait(10)
        ended.append(data)
        return len(data)

    before = signal.signal(signal.SIGUSR1, kill)
    monkeypatch.setattr(Upload, "write", write)
    monkeypatch.setattr(concurrency, "KILL_TIMEOUT", 0.0)
    try:
        with pytest.raises(Killed):
            put(f"{scheme}://bucket/a/", x=b"1", y=b"2")
        assert ended == []
    finally:
        is_over.set()
        signal.signal(signal.SIGUSR1, before)
    wait_until(lambda: len(store.discarded) == 2)
    assert store.contents() == {}


def test_an_old_file_that_can_not_be_put_back_is_kept_beside(scheme, store, monkeypatch, caplog):
    put(f"{scheme}://bucket/a/", x=b"old")
    store.breaks = {2}
    real = store.cp_file

    def copy(source, target, **given):
        if ".former" in source:
            raise ZeroDivisionError
        real(source, target, **given)

    monkeypatch.setattr(store, "cp_file", copy)
    with pytest.raises(ConnectionResetError):
        put(f"{scheme}://bucket/a/", x=b"new")
    assert "couldn't be restored" in caplog.text
    assert b"old" in store.contents().values()
