from __future__ import annotations

import contextlib
import errno
import hashlib
import itertools
import json
import os
import shutil
import stat
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from airflow_provider_asyncapi.core.errors import ConfigurationError, ResultTooLargeError
from airflow_provider_asyncapi.core.fetch.progress_meter import ProgressMeter
from airflow_provider_asyncapi.results.destination import ByteBudget, Destination, Owner, PartialFile
from airflow_provider_asyncapi.results.undo import UndoRecord, UnverifiedRecordError
from tests.unit.results.stores import Upload, fresh_store, plain

pytestmark = pytest.mark.filterwarnings("ignore:in a future version of UPath:PendingDeprecationWarning")

LIMIT = 1000
TASK = Owner("dag/run/task/-1", secret=lambda: b"key")


def everything_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def write(destination: Destination, content: bytes):
    file = destination.open_file(ByteBudget(LIMIT))
    file.write(content)
    return file.finish()


def put(target: str, **files: bytes) -> list[str]:
    destination = Destination(target)
    try:
        paths = destination.commit(
            [((*name.split("__"),), write(destination, content)) for name, content in files.items()]
        )
        destination.finalize()
        return paths
    finally:
        destination.close()


# Drafts


def test_a_draft_counts_and_digests(tmp_path):
    file = PartialFile(tmp_path / "x", ByteBudget(10))
    file.write(b"abc")
    file.write(b"def")
    stored = file.finish()
    assert (stored.size, stored.sha256) == (6, hashlib.sha256(b"abcdef").hexdigest())
    assert stored.path.read_bytes() == b"abcdef"


def test_a_draft_that_is_restarted_forgets(tmp_path):
    file = PartialFile(tmp_path / "x", ByteBudget(10))
    file.write(b"123456789")
    file.restart()
    file.write(b"ab")
    stored = file.finish()
    assert (stored.size, stored.sha256) == (2, hashlib.sha256(b"ab").hexdigest())
    assert stored.path.read_bytes() == b"ab"


def test_a_digest_is_made_only_where_it_is_wanted(tmp_path):
    file = PartialFile(tmp_path / "x", ByteBudget(10), digest=False)
    file.write(b"1")
    file.restart()
    file.write(b"2")
    assert file.finish().sha256 == ""


def test_drafts_take_no_more_than_is_allowed_together(tmp_path):
    budget = ByteBudget(5)
    files = [PartialFile(tmp_path / name, budget) for name in "ab"]
    files[0].write(b"abc")
    files[1].write(b"de")
    with pytest.raises(ResultTooLargeError, match="max_bytes, max_ratio: the result has 6 bytes or more, and 5 are"):
        files[1].write(b"f")
    for file in files:
        file.close()


def test_what_will_be_too_large_is_refused_before_it_comes(tmp_path):
    budget = ByteBudget(5)
    files = [PartialFile(tmp_path / name, budget) for name in "abc"]
    files[0].expect(3)
    files[0].expect(2)
    files[1].expect(None)
    with pytest.raises(ResultTooLargeError):
        files[2].expect(4)
    for file in files:
        file.close()


def test_progress_is_told_now_and_then(tmp_path, caplog):
    caplog.set_level("INFO")
    now = [0.0]
    file = PartialFile(tmp_path / "x", ByteBudget(10_000, ProgressMeter(None, lambda: now[0])))
    file.expect(8000)
    for now[0] in (1.0, 5.0, 6.0, 10.0):
        file.write(b"x" * 1000)
    file.close()
    assert [record.message for record in caplog.records] == [
        "fetched 2 kB of 8 kB (25 %), 400 B/s, 15 s left",
        "fetched 4 kB of 8 kB (50 %), 400 B/s, 10 s left",
    ]


# Local


@pytest.mark.parametrize("prefix", ["", "file://"])
def test_a_file_is_put_where_it_belongs(tmp_path, prefix):
    assert put(f"{prefix}{tmp_path}/a/b.csv", anything=b"abc") == [f"{tmp_path}/a/b.csv"]
    assert (tmp_path / "a/b.csv").read_bytes() == b"abc"
    assert everything_in(tmp_path) == ["a", "a/b.csv"]


@pytest.mark.parametrize("prefix", ["", "file://"])
def test_files_are_put_below_a_folder(tmp_path, prefix):
    paths = put(f"{prefix}{tmp_path}/a/", x=b"1", sub__y=b"2")
    assert paths == [f"{tmp_path}/a/x", f"{tmp_path}/a/sub/y"]
    assert everything_in(tmp_path) == ["a", "a/sub", "a/sub/y", "a/x"]


@pytest.mark.parametrize("name", ["a b", "a%20b", "a#b", "a?b", "run+1:00"])
def test_a_path_is_taken_as_it_is(tmp_path, name):
    assert put(f"file://{tmp_path}/{name}", x=b"1") == [f"{tmp_path}/{name}"]
    assert everything_in(tmp_path) == [name]


def test_what_was_there_is_replaced(tmp_path):
    put(f"{tmp_path}/a/", x=b"old", y=b"old")
    put(f"{tmp_path}/a/", x=b"new")
    assert (tmp_path / "a/x").read_bytes() == b"new"
    assert everything_in(tmp_path) == ["a", "a/x", "a/y"]


def test_nothing_is_there_before_the_commit(tmp_path):
    destination = Destination(f"{tmp_path}/a/b/c.csv")
    write(destination, b"abc")
    assert not (tmp_path / "a/b/c.csv").exists()
    assert [
        path for path in everything_in(tmp_path) if not Path(path).parts[-1].startswith((".asyncapi-", "0.part"))
    ] == [
        "a",
        "a/b",
    ]
    destination.close()
    assert everything_in(tmp_path) == []


def test_a_folder_that_was_there_stays(tmp_path):
    (tmp_path / "a").mkdir()
    destination = Destination(f"{tmp_path}/a/b/")
    write(destination, b"abc")
    destination.close()
    assert everything_in(tmp_path) == ["a"]


def test_a_commit_that_fails_half_way_leaves_what_was_there(tmp_path):
    put(f"{tmp_path}/a/", x=b"old")
    (tmp_path / "a/clash").mkdir()
    with pytest.raises(ConfigurationError, match=r"a/clash' is a folder, and the result has a file of that name"):
        put(f"{tmp_path}/a/", x=b"new", sub__y=b"new", clash=b"new")
    assert (tmp_path / "a/x").read_bytes() == b"old"
    assert everything_in(tmp_path) == ["a", "a/clash", "a/x"]


def test_a_commit_that_can_not_be_undone_fails_with_its_own_error(tmp_path, monkeypatch):
    (tmp_path / "clash").mkdir()
    monkeypatch.setattr(Path, "unlink", lambda _: (_ for _ in ()).throw(PermissionError("no")))
    with pytest.raises(ConfigurationError):
        put(f"{tmp_path}/", x=b"new", clash=b"new")


def seen_while_replacing(monkeypatch, folder: Path) -> list[dict[str, bytes]]:
    """Return the content of the folder just before and after each step that names a file."""
    seen: list[dict[str, bytes]] = []

    def look() -> None:
        files = (path for path in folder.rglob("*") if path.is_file())
        seen.append(
            {path.name: path.read_bytes() for path in files if not str(path.relative_to(folder)).startswith(".")}
        )

    for owner, name in ((os, "link"), (Path, "replace"), (shutil, "copy2")):
        real = getattr(owner, name)

        def step(*args, real=real, **given):
            look()
            made = real(*args, **given)
            look()
            return made

        monkeypatch.setattr(owner, name, step)
    return seen


@pytest.fixture(params=["hard links", "no hard links"])
def _linking(request, monkeypatch):
    def refuse(*_args, **_given):
        raise OSError(errno.EOPNOTSUPP, "no hard links here")

    if request.param == "no hard links":
        monkeypatch.setattr(os, "link", refuse)


@pytest.mark.usefixtures("_linking")
def test_a_reader_finds_the_old_file_or_the_new_one_and_never_a_gap(tmp_path, monkeypatch):
    put(f"{tmp_path}/", x=b"old x", y=b"old y")
    seen = seen_while_replacing(monkeypatch, tmp_path)
    put(f"{tmp_path}/", x=b"new x", y=b"new y")
    assert all(each.keys() == {"x", "y"} for each in seen)
    assert {content for each in seen for content in each.values()} == {b"old x", b"old y", b"new x", b"new y"}
    assert everything_in(tmp_path) == ["x", "y"]


@pytest.mark.usefixtures("_linking")
@pytest.mark.parametrize("failing", [0, 1, 2])
def test_an_undone_commit_leaves_the_old_files_and_nothing_beside_them(tmp_path, monkeypatch, failing):
    put(f"{tmp_path}/", x=b"old x", y=b"old y")
    destination = Destination(f"{tmp_path}/")
    files = [((name,), write(destination, b"new")) for name in "xyz"]
    steps = iter(range(10))
    real = Path.replace

    def replace(path, target):
        if Path(target).parent == tmp_path and Path(target).name in "xyz" and next(steps) == failing:
            raise OSError(errno.EIO, "the disk is broken")
        return real(path, target)

    monkeypatch.setattr(Path, "replace", replace)
    with pytest.raises(OSError, match="broken"):
        destination.commit(files)
    destination.close()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"x": b"old x", "y": b"old y"}


def test_a_link_that_is_refused_for_another_reason_fails_the_commit(tmp_path, monkeypatch):
    put(f"{tmp_path}/", x=b"old")

    def refuse(*_args, **_given):
        raise OSError(errno.ENOSPC, "no room for a name")

    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(OSError, match="no room"):
        put(f"{tmp_path}/", x=b"new")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"x": b"old"}


def test_files_and_their_names_are_on_the_disk_before_an_earlier_result_is_given_up(tmp_path, monkeypatch):
    put(f"{tmp_path}/", x=b"old")
    steps: list[str] = []
    real_sync, real_replace = os.fsync, Path.replace

    def fsync(descriptor):
        steps.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        real_sync(descriptor)

    def replace(path, target):
        steps.append("name")
        return real_replace(path, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", replace)
    put(f"{tmp_path}/", x=b"new")
    # First the record by which it can be undone, then the file.
    assert steps == ["file", "name", "folder"] * 2


@pytest.mark.parametrize(("answer", "matters"), [(errno.EINVAL, False), (errno.EIO, True)])
def test_a_folder_whose_names_cannot_be_flushed_is_no_reason_to_fail_and_a_broken_disk_is(
    tmp_path, monkeypatch, answer, matters
):
    def refuse(_descriptor):
        raise OSError(answer, "can't")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match="can't") if matters else contextlib.nullcontext():
        put(f"{tmp_path}/x", x=b"new")


def test_threads_that_begin_files_together_share_one_staging_folder(tmp_path, monkeypatch):
    destination = Destination(f"{tmp_path}/a/")
    asked = itertools.count(1)
    another_is_here = threading.Event()

    def staging(_name):
        if next(asked) == 2:
            another_is_here.set()
        another_is_here.wait(0.2)
        folder = tmp_path / str(uuid.uuid4())
        folder.mkdir()
        return folder

    monkeypatch.setattr(destination._storage, "make_staging_folder", staging)
    with ThreadPoolExecutor(8) as pool:
        files = list(pool.map(lambda _: destination.open_file(ByteBudget(LIMIT)), range(8)))
    for file in files:
        file.close()
    assert len(list(tmp_path.iterdir())) == 1


def test_several_files_do_not_become_one(tmp_path):
    with pytest.raises(ConfigurationError, match="is one file, and there are several; end it with a slash"):
        put(f"{tmp_path}/x.csv", a=b"1", b=b"2")
    assert everything_in(tmp_path) == []


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("", "destination: is empty"),
        (" ", "destination: is empty"),
        ("file://host/x", "names a host; a file's URL begins with file:///"),
        ("file://", "names a host"),
        ("nothing://x/y", "destination: 'nothing://x/' can't be written to"),
    ],
)
def test_a_destination_that_can_not_be_one_is_an_error_at_once(target, message):
    with pytest.raises(ConfigurationError, match=message):
        Destination(target)


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(ConfigurationError, match="is a folder; end it with a slash"):
        Destination(str(tmp_path))


@pytest.mark.parametrize("target", ["x/", "x/y.csv", "x/y/z/"])
def test_a_file_is_no_folder(tmp_path, target):
    (tmp_path / "x").write_bytes(b"")
    destination = Destination(f"{tmp_path}/{target}")
    with pytest.raises(ConfigurationError, match="leads through a file, not a folder"):
        destination.open_file(ByteBudget(LIMIT))
    destination.close()
    assert everything_in(tmp_path) == ["x"]


def test_a_destination_that_nothing_was_written_to_leaves_nothing(tmp_path):
    destination = Destination(f"{tmp_path}/a/")
    assert destination.commit([]) == []
    destination.close()
    assert everything_in(tmp_path) == []


# Remote


@pytest.fixture(params=["memory", "s3"])
def scheme(request):
    return request.param


@pytest.fixture
def store(scheme, tmp_path, monkeypatch):
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    yield fresh_store(scheme)
    assert everything_in(tmp_path / "tmp") == []


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


# A task that is tried again


@pytest.fixture(params=["local", "s3", "memory"])
def folder(request, tmp_path):
    """Return a folder, and a function that returns its content."""
    if request.param == "local":
        root = tmp_path / "a"
        root.mkdir()
        return f"{root}/", lambda: {
            str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()
        }
    store = fresh_store(request.param)
    return f"{request.param}://bucket/a/", lambda: {
        name.removeprefix("/").removeprefix("bucket/a/"): content for name, content in store.contents().items()
    }


def begun(target, **files):
    destination = Destination(target, TASK)
    destination.undo_earlier_try()
    stored = [((name,), write(destination, content)) for name, content in files.items()]
    return destination, stored


def test_a_try_replaces_what_an_earlier_one_has_left(folder):
    target, contents = folder
    put(target, old=b"0", kept=b"0")
    # Killed between commit and settling: nothing is closed.
    destination, stored = begun(target, old=b"1", new=b"1")
    destination.commit(stored)
    assert {"old", "new", "kept"} < set(contents())
    destination, stored = begun(target, other=b"2")
    assert contents().items() >= {"old": b"0", "kept": b"0"}.items()
    assert "new" not in contents()
    destination.commit(stored)
    destination.finalize()
    destination.close()
    assert contents() == {"old": b"0", "kept": b"0", "other": b"2"}


@pytest.mark.parametrize(("is_retry", "left"), [(True, {"a/xy", "b"}), (False, {"a/x", "a/xy", "b"})])
def test_a_retry_aborts_the_uploads_of_its_file_and_no_others(is_retry, left):
    store = fresh_store("s3")
    store.begun = {"a/x", "a/xy", "b"}
    Destination("s3://bucket/a/x", Owner("dag/run/task/-1", is_retry=is_retry)).undo_earlier_try()
    assert store.begun == left


def test_the_uploads_of_a_folder_are_those_that_its_record_names():
    store = fresh_store("s3")
    destination, stored = begun("s3://bucket/a/", x=b"1", y=b"2")
    destination.commit(stored)
    store.begun = {"a/x", "a/y", "a/z", "x"}
    Destination("s3://bucket/a/", TASK).undo_earlier_try()
    assert store.begun == {"a/z", "x"}


def test_a_role_that_may_not_list_uploads_can_fetch_anyway(caplog):
    store = fresh_store("s3")
    store.may_list = False
    Destination("s3://bucket/a/x", Owner("dag/run/task/-1", is_retry=True)).undo_earlier_try()
    assert "stay at s3://bucket/a: Access Denied" in caplog.text


def test_a_try_that_was_killed_half_way_is_undone(folder, monkeypatch):
    target, contents = folder
    put(target, old=b"0")
    destination, stored = begun(target, old=b"1", new=b"1")

    class Killed(BaseException):
        pass

    def kill(*_):
        raise Killed

    monkeypatch.setattr(type(destination._storage), "move_in", kill)
    for name in ("restore", "remove"):
        monkeypatch.setattr(type(destination._storage), name, kill)
    with pytest.raises(Killed):
        destination.commit(stored)
    monkeypatch.undo()
    destination, _ = begun(target)
    destination.close()
    assert contents() == {"old": b"0"}


def test_a_result_that_was_not_settled_can_still_be_undone(folder):
    target, contents = folder
    put(target, old=b"0")
    destination, stored = begun(target, old=b"1")
    destination.commit(stored)
    destination.close()
    assert contents()["old"] == b"1"
    destination, _ = begun(target)
    destination.close()
    assert contents() == {"old": b"0"}


def names_in_record_of(destination: Destination) -> str:
    return f"{destination._prefix}.json"


@pytest.mark.parametrize("secret", [lambda: b"key", lambda: None])
def test_a_record_that_the_task_did_not_write_is_not_believed(tmp_path, caplog, secret):
    """An archive that another task unpacked into a folder above may have brought it."""
    (tmp_path / "a").mkdir()
    victim, code = tmp_path / "victim", tmp_path / "a" / "code"
    victim.write_bytes(b"1")
    code.write_bytes(b"2")
    destination = Destination(f"{tmp_path}/a/", Owner("dag/run/task/-1", secret=secret))
    record = tmp_path / "a" / names_in_record_of(destination)
    pairs = [["../victim", None], ["../dags/evil.py", "code"], [str(victim), None], ["code", None]]
    for forged in (
        json.dumps(pairs),
        json.dumps({"files": json.dumps(pairs), "signature": "0" * 64}),
        json.dumps({"files": json.dumps(pairs), "signature": "\ud83d"}),
        json.dumps({"files": pairs}),
        "[" * 100_000,
        "",
    ):
        record.write_text(forged)
        destination.undo_earlier_try()
        assert everything_in(tmp_path) == ["a", record.relative_to(tmp_path).as_posix(), "a/code", "victim"]
        assert "nothing is undone" in caplog.text
        caplog.clear()
    destination.close()


@pytest.mark.parametrize("secret", [lambda: None, lambda: b"another key"])
def test_former_files_stay_if_the_record_of_them_is_not_believed(tmp_path, secret):
    (tmp_path / "a").write_bytes(b"former")
    killed = Destination(f"{tmp_path}/", TASK)
    killed.commit([(("a",), write(killed, b"new"))])
    left = everything_in(tmp_path)
    retry = Destination(f"{tmp_path}/", Owner(TASK.name, is_retry=True, secret=secret))
    retry.undo_earlier_try()
    retry.close()
    assert everything_in(tmp_path) == left
    assert [path.read_bytes() for path in tmp_path.rglob("*.former")] == [b"former"]


@pytest.mark.parametrize("secret", [lambda: None, lambda: b"another key"])
def test_former_files_and_their_record_outlast_later_tries_if_the_record_is_not_believed(folder, secret):
    target, contents = folder
    put(target, a=b"former")
    killed = Destination(target, TASK)
    killed.commit([(("a",), write(killed, b"new"))])
    (former,) = [name for name in contents() if name.endswith(".former")]
    record = contents()[names_in_record_of(killed)]
    for number in range(3):
        retry = Destination(target, Owner(TASK.name, is_retry=True, secret=secret))
        retry.undo_earlier_try()
        retry.commit([(("a",), write(retry, str(number).encode()))])
        retry.finalize()
        retry.close()
        (kept,) = [name for name in contents() if name.endswith(".unverified.json")]
        assert contents() == {"a": str(number).encode(), former: b"former", kept: record}


def test_an_undo_that_fails_keeps_the_former_files_for_the_next_try(folder, monkeypatch):
    target, contents = folder
    put(target, a=b"former")
    killed = Destination(target, TASK)
    killed.commit([(("a",), write(killed, b"new"))])

    def fail(*_):
        raise PermissionError

    monkeypatch.setattr(type(killed._storage), "restore", fail)
    left = contents()
    retry = Destination(target, TASK)
    with pytest.raises(OSError, match="couldn't be undone, as the log shows"):
        retry.undo_earlier_try()
    retry.close()
    assert contents() == left
    monkeypatch.undo()
    retry = Destination(target, TASK)
    retry.undo_earlier_try()
    retry.close()
    assert contents() == {"a": b"former"}


@pytest.mark.parametrize(
    "pair", [("../victim", None), ("/victim", None), ("a/../../victim", None), (".asyncapi-x", None), ("a", "code")]
)
def test_even_a_signed_record_names_nothing_outside_the_destination(pair):
    record = UndoRecord(".asyncapi-0123", b"key")
    with pytest.raises(UnverifiedRecordError, match="a file that isn't the task's"):
        record.parse(record.dump([pair]))
    good = [("a/b..c", None), ("x", ".asyncapi-0123-01234567.part/3.former")]
    assert record.parse(record.dump(good)) == good


def test_the_record_of_another_task_is_not_believed():
    content = UndoRecord(".asyncapi-0123", b"key").dump([("a", None)])
    for other in (UndoRecord(".asyncapi-4567", b"key"), UndoRecord(".asyncapi-0123", b"other")):
        with pytest.raises(UnverifiedRecordError, match="signature doesn't fit"):
            other.parse(content)


def test_another_task_undoes_nothing(folder):
    target, contents = folder
    destination, stored = begun(target, a=b"1")
    destination.commit(stored)
    other = Destination(target, Owner("dag/run/other/-1", secret=lambda: b"another key"))
    other.undo_earlier_try()
    other.close()
    assert contents()["a"] == b"1"


def test_one_file_needs_no_record(tmp_path):
    put(f"{tmp_path}/x.csv", a=b"1")
    assert everything_in(tmp_path) == ["x.csv"]
    assert put(f"{tmp_path}/x.csv", a=b"2") == [f"{tmp_path}/x.csv"]
    assert (tmp_path / "x.csv").read_bytes() == b"2"


def test_a_file_in_the_way_of_a_folder_is_named(tmp_path):
    (tmp_path / "sub").write_bytes(b"")
    with pytest.raises(ConfigurationError, match="leads through a file, not a folder"):
        put(f"{tmp_path}/", a=b"1", sub__b=b"2")
    assert everything_in(tmp_path) == ["sub"]


def test_a_store_without_a_folder_is_none():
    with pytest.raises(ConfigurationError, match="names no folder or file in the store"):
        Destination("s3:///")
