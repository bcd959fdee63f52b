"""The files that requests send, on this machine and in a store."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_asyncapi.connections.source_files import inspect_file
from airflow_provider_asyncapi.core.errors import ConfigurationError, FileChangedError, FileUnavailableError
from airflow_provider_asyncapi.core.http.file_bodies import SourceFile
from tests.unit.results.stores import Store, fresh_store


def read(source: SourceFile, size: int = 2) -> bytes:
    return b"".join(source.read_chunks(size))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.csv"
    path.write_bytes(b"12345")
    return path


@pytest.fixture
def store() -> Store:
    store = fresh_store("s3")
    store.pipe_file("/bucket/a.csv", b"12345")
    return store


def test_a_local_file_is_named_by_its_path_or_url(file):
    for path in (str(file), f"file://{file}"):
        source = inspect_file(path)
        assert (source.size, read(source)) == (5, b"12345")


def test_the_version_of_a_local_file_changes_with_it(file):
    before = inspect_file(str(file))
    assert inspect_file(str(file)).version == before.version
    os.utime(file, ns=(0, 0))
    assert inspect_file(str(file)).version != before.version
    with pytest.raises(FileChangedError):
        read(before)


def test_a_local_file_that_is_replaced_while_it_is_read_is_read_to_its_end(file, tmp_path):
    chunks = inspect_file(str(file)).read_chunks(2)
    begun = next(chunks)
    (tmp_path / "new").write_bytes(b"other content")
    (tmp_path / "new").replace(file)
    assert begun + b"".join(chunks) == b"12345"


def test_what_is_no_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigurationError, match="is a folder, and only a regular file can be sent"):
        inspect_file(str(tmp_path))
    with pytest.raises(ConfigurationError, match="is a device or a pipe, and only"):
        inspect_file(str(tmp_path / "pipe"))
    with pytest.raises(ConfigurationError, match="names a host; a file's URL begins with file:///"):
        inspect_file("file://host/a.csv")


def test_a_local_file_that_is_gone_or_cant_be_read_says_why(file):
    source = inspect_file(str(file))
    file.unlink()
    with pytest.raises(FileUnavailableError, match=r"the file '.*a\.csv' isn't there"):
        inspect_file(str(file))
    with pytest.raises(FileUnavailableError, match="isn't there"):
        read(source)
    with pytest.raises(FileUnavailableError, match="can't be read: Not a directory"):
        inspect_file("/dev/null/a.csv")


def test_a_file_of_a_store_is_read_through_airflow(store):
    source = inspect_file("s3://bucket/a.csv")
    assert (source.size, read(source)) == (5, b"12345")


def test_a_file_of_a_store_that_has_changed_is_not_sent(store):
    source = inspect_file("s3://bucket/a.csv")
    store.pipe_file("/bucket/a.csv", b"54321")
    with pytest.raises(FileChangedError):
        read(source)


def test_what_is_missing_in_a_store_says_so(store):
    with pytest.raises(FileUnavailableError, match=r"the file 's3://bucket/b\.csv' isn't there"):
        inspect_file("s3://bucket/b.csv")
    with pytest.raises(ConfigurationError, match="'s3://bucket' is a folder, and only a file can be sent"):
        inspect_file("s3://bucket")
    with pytest.raises(ConfigurationError, match=r"'unknown://a\?…' can't be read: "):
        inspect_file("unknown://a?key=1")


class OtherStore(Store):
    """A store that describes its files as the test says, or fails."""

    described: dict[str, Any]

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        if "error" in self.described:
            raise self.described["error"]
        return {"name": path, "type": "file", "size": 5, **self.described}


@pytest.fixture
def other_store(store: Store) -> OtherStore:
    store.__class__ = OtherStore
    assert isinstance(store, OtherStore)
    return store


@pytest.mark.parametrize(
    ("described", "version"),
    [
        ({"ETag": '"e1"', "LastModified": "now"}, 'ETag="e1"'),
        ({"generation": "7", "etag": "x"}, "generation=7"),
        ({"mtime": 5.0, "created": 1.0}, "mtime=5.0"),
        ({}, ""),
    ],
)
def test_the_most_exact_version_that_the_store_states_counts(other_store, described, version):
    other_store.described = described
    assert inspect_file("s3://bucket/a.csv").version == version


def test_a_store_that_states_no_size_is_refused(other_store):
    other_store.described = {"size": None}
    with pytest.raises(ConfigurationError, match=r"'s3://bucket/a\.csv': its server doesn't state its size"):
        inspect_file("s3://bucket/a.csv")


@pytest.mark.parametrize("error", [PermissionError(13, "Access Denied"), KeyError("fault")])
def test_an_error_of_a_store_has_no_text_that_may_contain_a_signature(other_store, error):
    other_store.described = {"error": error}
    expected = "Access Denied" if isinstance(error, OSError) else "KeyError"
    with pytest.raises(FileUnavailableError, match=f"can't be read: {expected}$") as raised:
        inspect_file("s3://bucket/a.csv?sig=planted")
    assert "planted" not in str(raised.value)
    assert raised.value.__cause__ is None
