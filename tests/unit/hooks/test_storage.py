from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from airflow_provider_asyncapi.core.errors import ConfigurationError, ResultTooLargeError
from airflow_provider_asyncapi.hooks.storage import Destination, FileSink
from tests.unit.hooks.stores import fresh_store, plain

pytestmark = pytest.mark.filterwarnings("ignore:in a future version of UPath:PendingDeprecationWarning")

LIMIT = 1000


def everything_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def write(destination: Destination, content: bytes):
    sink = destination.sink()
    sink.write(content)
    return sink.finish()


def put(target: str, **files: bytes) -> list[str]:
    destination = Destination(target, LIMIT)
    try:
        return destination.commit(
            [((*name.split("__"),), write(destination, content)) for name, content in files.items()]
        )
    finally:
        destination.close()


# Sinks


def test_a_sink_counts_and_digests(tmp_path):
    sink = FileSink(tmp_path / "x", 10)
    sink.write(b"abc")
    sink.write(b"def")
    stored = sink.finish()
    assert (stored.size, stored.sha256) == (6, hashlib.sha256(b"abcdef").hexdigest())
    assert stored.path.read_bytes() == b"abcdef"


def test_a_sink_that_is_restarted_forgets(tmp_path):
    sink = FileSink(tmp_path / "x", 10)
    sink.write(b"123456789")
    sink.restart()
    sink.write(b"ab")
    stored = sink.finish()
    assert (stored.size, stored.sha256) == (2, hashlib.sha256(b"ab").hexdigest())
    assert stored.path.read_bytes() == b"ab"


def test_a_sink_takes_no_more_than_is_allowed(tmp_path):
    sink = FileSink(tmp_path / "x", 3)
    sink.write(b"abc")
    with pytest.raises(ResultTooLargeError, match="max_bytes"):
        sink.write(b"d")
    sink.close()


def test_all_files_together_have_a_limit(tmp_path):
    destination = Destination(f"{tmp_path}/", 5)
    write(destination, b"abc")
    write(destination, b"de")
    with pytest.raises(ResultTooLargeError):
        write(destination, b"f")
    destination.close()
    assert everything_in(tmp_path) == []


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
    destination = Destination(f"{tmp_path}/a/b/c.csv", LIMIT)
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
    destination = Destination(f"{tmp_path}/a/b/", LIMIT)
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
        ("nothing://x/y", "destination: 'nothing://x/y' can't be written to"),
    ],
)
def test_a_destination_that_can_not_be_one_is_an_error_at_once(target, message):
    with pytest.raises(ConfigurationError, match=message):
        Destination(target, LIMIT)


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(ConfigurationError, match="is a folder; end it with a slash"):
        Destination(str(tmp_path), LIMIT)


@pytest.mark.parametrize("target", ["x/", "x/y.csv", "x/y/z/"])
def test_a_file_is_no_folder(tmp_path, target):
    (tmp_path / "x").write_bytes(b"")
    destination = Destination(f"{tmp_path}/{target}", LIMIT)
    with pytest.raises(ConfigurationError, match="leads through a file, not a folder"):
        destination.sink()
    destination.close()
    assert everything_in(tmp_path) == ["x"]


def test_a_destination_that_nothing_was_written_to_leaves_nothing(tmp_path):
    destination = Destination(f"{tmp_path}/a/", LIMIT)
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
    assert len(store.uploads) == broken


def test_where_a_half_could_be_seen_a_file_is_uploaded_beside_and_moved(scheme, store):
    put(f"{scheme}://bucket/a/x.csv", x=b"1")
    assert ".asyncapi-" in store.uploads[0] if scheme == "memory" else store.uploads[0].endswith("bucket/a/x.csv")
