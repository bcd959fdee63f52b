"""The storage of a destination: a folder of this machine, or of an object store."""

# ruff: noqa: D102 - the methods are documented once, in Storage

from __future__ import annotations

import contextlib
import errno
import logging
import math
import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import Protocol, TypeVar

# Imports a name at its first use: few tasks write to an object store.
from airflow.providers.common.compat import sdk

from airflow_provider_asyncapi.core.errors import ConfigurationError
from airflow_provider_asyncapi.core.http.filenames import RESERVED_PREFIX
from airflow_provider_asyncapi.transports.cancellation import Cancellation
from airflow_provider_asyncapi.transports.concurrency import run_on_threads

log = logging.getLogger(__name__)
A = TypeVar("A")
B = TypeVar("B")

#: The end of the names of backups, in a staging folder.
BACKUP_SUFFIX = ".former"
#: In an object store an object appears when its upload is complete, and moving it would be another copy.
_S3 = frozenset({"s3", "s3a"})
_OBJECT_STORES = _S3 | frozenset({"gs", "gcs", "abfs", "abfss", "adl", "az", "oss"})
_CHUNK = 1024 * 1024
#: The smallest part of a multipart upload that S3 takes, and how many there may be (10,000 at most).
_MIN_PART_SIZE, _MAX_PARTS = 5 * 1024 * 1024, 9000
#: The errors of file systems that can't flush the names in a folder to the disk.
_FLUSH_UNSUPPORTED = frozenset({errno.EINVAL, errno.ENOTSUP, errno.EBADF})
#: The errors of file systems without hard links, or that allow no more links to a file.
_HARD_LINKS_UNSUPPORTED = frozenset(
    {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV}
)
#: Uploads at a time; each holds a part or two in memory.
_CONCURRENT_UPLOADS = 4


class Storage(Protocol):
    """A folder. Names in it are relative paths with slashes."""

    def make_staging_folder(self, name: str) -> Path:
        """Create a staging folder on this machine, from which files are moved in fastest."""

    def find_existing(self, names: list[str]) -> list[bool]:
        """
        Return for each name whether there is a file.

        :raises ConfigurationError: if one is a folder.
        """

    def move_in(self, files: list[tuple[Path, str]]) -> None:
        """Move complete files in; each replaces a file of its name at once, as a whole."""

    def back_up(self, pairs: list[tuple[str, str]]) -> None:
        """Back up each file under the second name; readers find it under the first until it is replaced."""

    def restore(self, backup_path: str, name: str) -> None:
        """Restore a file from its backup, if there is one."""

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""

    def write(self, name: str, content: bytes) -> None:
        """Write a small file."""

    def read(self, name: str) -> bytes | None:
        """Read a small file; None if there is none."""

    def describe(self, name: str) -> str:
        """Return the path or the URL of a file."""

    def remove_stale_folders(self, prefix: str) -> None:
        """Remove staging folders with this prefix, except folders with backups, which may be the only copies."""

    def abort_uploads(self, names: Collection[str]) -> None:
        """Abort unfinished uploads of these files."""

    def close(self, *, keep: list[str]) -> None:
        """Remove the staging folder unless there are backups to keep, and empty folders that were created."""


class LocalStorage:
    """
    A folder of this machine.

    :param folder: its path; created when a file is moved in.
    :param cancellation: stops the work on other threads.
    """

    def __init__(self, folder: Path, cancellation: Cancellation) -> None:
        self._folder, self._cancellation = folder, cancellation
        self._staging: Path | None = None
        self._created: list[Path] = []

    def make_staging_folder(self, name: str) -> Path:
        self._staging = self._folder / name
        self._make_folder(self._staging)
        return self._staging

    def find_existing(self, names: list[str]) -> list[bool]:
        for name in names:
            if (self._folder / name).is_dir():
                raise ConfigurationError(
                    f"destination: {self.describe(name)!r} is a folder, and the result has a file of that name"
                )
        return [(self._folder / name).exists() for name in names]

    def move_in(self, files: list[tuple[Path, str]]) -> None:
        # A file system may store the new name before the content; after a power cut the file would be empty.
        _run_concurrently(lambda file, _: _flush_to_disk(file[0]), files, self._cancellation)
        for path, name in files:
            self._make_folder((self._folder / name).parent)
            path.replace(self._folder / name)
        for folder in {(self._folder / name).parent for _, name in files}:
            _flush_to_disk(folder)

    def back_up(self, pairs: list[tuple[str, str]]) -> None:
        for name, backup_path in pairs:
            self._make_folder((self._folder / backup_path).parent)
            _link_or_copy(self._folder / name, self._folder / backup_path)

    def restore(self, backup_path: str, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            # Two names of one file stay as they are.
            (self._folder / backup_path).replace(self._folder / name)

    def remove(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            (self._folder / name).unlink()

    def write(self, name: str, content: bytes) -> None:
        self._make_folder(self._folder)
        temporary = self._folder / f"{name}.part"
        temporary.write_bytes(content)
        _flush_to_disk(temporary)
        temporary.replace(self._folder / name)
        _flush_to_disk(self._folder)

    def read(self, name: str) -> bytes | None:
        try:
            return (self._folder / name).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def describe(self, name: str) -> str:
        return str(self._folder / name)

    def remove_stale_folders(self, prefix: str) -> None:
        if self._folder.is_dir():
            for each in self._folder.glob(f"{prefix}*"):
                if not any(each.glob(f"*{BACKUP_SUFFIX}")):
                    shutil.rmtree(each, ignore_errors=True)

    def abort_uploads(self, names: Collection[str]) -> None:
        """Do nothing: a file is moved, not uploaded."""

    def close(self, *, keep: list[str]) -> None:
        if self._staging is not None and not keep:
            shutil.rmtree(self._staging, ignore_errors=True)
        for folder in reversed(self._created):
            # What holds a result stays.
            with contextlib.suppress(OSError):
                folder.rmdir()

    def _make_folder(self, folder: Path) -> None:
        """Create a folder and its parents, and remember which of them are new."""
        self._created += reversed([each for each in (folder, *folder.parents) if not each.exists()])
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise ConfigurationError(f"destination: {str(folder)!r} leads through a file, not a folder") from None


class RemoteStorage:
    """
    A folder of an object store, or of another file system that fsspec knows.

    :param folder: a path or URL for ``ObjectStoragePath``.
    :param cancellation: stops the uploads.
    :raises ConfigurationError: if it can't be written to.
    """

    def __init__(self, folder: str, cancellation: Cancellation) -> None:
        self._cancellation = cancellation
        try:
            self._folder = sdk.ObjectStoragePath(folder)
            # Before anything is fetched: the file system may lack its provider or its connection.
            self._store = self._folder.fs
        except (ValueError, ImportError) as error:
            raise ConfigurationError(f"destination: {folder!r} can't be written to: {error}") from error
        self._has_atomic_uploads = self._folder.protocol in _OBJECT_STORES
        self._staging: Path | None = None

    def make_staging_folder(self, name: str) -> Path:
        self._staging = Path(tempfile.mkdtemp(prefix=name))
        return self._staging

    def find_existing(self, names: list[str]) -> list[bool]:
        self._store.invalidate_cache()
        return _run_concurrently(lambda name, _: bool(self._store.exists(self._path(name))), names, self._cancellation)

    def move_in(self, files: list[tuple[Path, str]]) -> None:
        def upload(file: tuple[Path, str], cancellation: Cancellation) -> None:
            path, name = file
            if self._has_atomic_uploads:
                self._upload(path, self._path(name), cancellation)
            else:
                self._upload_and_move(path, self._path(name), cancellation)
            # The disk holds no more of a large archive than it has to.
            path.unlink()

        _run_concurrently(upload, files, self._cancellation)

    def back_up(self, pairs: list[tuple[str, str]]) -> None:
        _run_concurrently(lambda pair, _: self._copy(*pair), pairs, self._cancellation)

    def restore(self, backup_path: str, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._copy(backup_path, name)

    def remove(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._store.rm_file(self._path(name))

    def write(self, name: str, content: bytes) -> None:
        self._store.pipe_file(self._path(name), content)

    def read(self, name: str) -> bytes | None:
        try:
            content: bytes = self._store.cat_file(self._path(name))
        except (FileNotFoundError, NotADirectoryError):
            return None
        return content

    def describe(self, name: str) -> str:
        return str(self._folder.joinpath(*name.split("/")))

    def remove_stale_folders(self, prefix: str) -> None:
        """Do nothing: staged files were on a machine that may not be this one."""

    def abort_uploads(self, names: Collection[str]) -> None:
        """Abort unfinished uploads in S3; other stores remove them, and don't charge for them."""
        if self._folder.protocol not in _S3:
            return
        keys = {self._store.split_path(self._path(name))[1] for name in names}
        bucket = self._store.split_path(self._folder.path)[0]
        try:
            for upload in list(self._list_uploads(bucket, os.path.commonprefix(list(keys)))):  # noqa: RUF071 - so keys begin
                if upload["Key"] in keys:
                    chosen = {name: upload[name] for name in ("Key", "UploadId")}
                    self._store.call_s3("abort_multipart_upload", Bucket=bucket, **chosen)
        except OSError as error:
            # Not every role is allowed to; only the money for some parts is lost.
            log.warning("Unfinished uploads of an earlier try stay at %s: %s", self._folder, error)

    def close(self, *, keep: list[str]) -> None:
        if self._staging is not None:
            shutil.rmtree(self._staging, ignore_errors=True)

    def _list_uploads(self, bucket: str, prefix: str) -> Iterator[dict[str, str]]:
        """Yield the unfinished uploads to keys with this prefix (``ListMultipartUploads``)."""
        begin: dict[str, str] = {}
        while True:
            found = self._store.call_s3("list_multipart_uploads", Bucket=bucket, Prefix=prefix, **begin)
            yield from found.get("Uploads", ())
            if not found.get("IsTruncated"):
                return
            begin = {"KeyMarker": found["NextKeyMarker"], "UploadIdMarker": found["NextUploadIdMarker"]}

    def _path(self, name: str) -> str:
        path: str = self._folder.joinpath(*name.split("/")).path
        return path

    def _copy(self, name: str, other: str) -> None:
        """Copy a file within the store; the copy appears when it is complete."""
        source, target = self._path(name), self._path(other)
        if self._has_atomic_uploads:
            self._store.cp_file(source, target)
        else:
            self._write_and_move(target, lambda temporary: self._store.cp_file(source, temporary))

    def _upload_and_move(self, source: Path, path: str, cancellation: Cancellation) -> None:
        self._write_and_move(path, lambda temporary: self._upload(source, temporary, cancellation))

    def _write_and_move(self, path: str, write: Callable[[str], object]) -> None:
        """Write a file under another name, and move it when it is complete: nobody reads a partial file."""
        temporary = f"{path.rpartition('/')[0]}/{RESERVED_PREFIX}{uuid.uuid4().hex}.part"
        try:
            write(temporary)
            self._store.mv(temporary, path)
        except BaseException:
            with contextlib.suppress(Exception):
                self._store.rm_file(temporary)
            raise

    def _upload(self, source: Path, path: str, cancellation: Cancellation) -> None:
        """
        Write an object that appears when it is complete.

        Not `put_file`, which holds hundreds of megabytes in memory, and continues when the task is killed.
        """
        part = max(_MIN_PART_SIZE, math.ceil(source.stat().st_size / _MAX_PARTS))
        target = self._store.open(path, "wb", block_size=part)
        try:
            with source.open("rb") as opened:
                while chunk := opened.read(_CHUNK):
                    cancellation.check()
                    target.write(chunk)
            # Closing it completes the upload.
            cancellation.check()
            target.close()
        except BaseException:
            # Aborts a multipart upload, which costs money as long as it exists.
            with contextlib.suppress(Exception):
                target.discard()
            # Garbage collection of an open file would complete the upload after all.
            with contextlib.suppress(Exception):
                target.closed = True
            raise


def open_storage(target: str, cancellation: Cancellation) -> tuple[Storage, str]:
    """
    Return the storage of a target's folder, and the file's name in it; no name if the target is a folder.

    :param cancellation: stops the work on other threads.
    :raises ConfigurationError: if the target is invalid.
    """
    if not target.strip():
        raise ConfigurationError("destination: is empty; it is a file, or a folder with a slash at its end")
    scheme, separator, path = target.partition("://")
    if separator and scheme != "file":
        folder, _, name = target.rpartition("/")
        if not folder.partition("://")[2]:
            raise ConfigurationError(f"destination: {target!r} names no folder or file in the store")
        return RemoteStorage(f"{folder}/", cancellation), name
    if separator and not path.startswith("/"):
        raise ConfigurationError(f"destination: {target!r} names a host; a file's URL begins with file:///")
    local = Path(path if separator else target)
    if target.endswith("/"):
        return LocalStorage(local, cancellation), ""
    if local.is_dir():
        raise ConfigurationError(f"destination: {target!r} is a folder; end it with a slash")
    return LocalStorage(local.parent, cancellation), local.name


def _flush_to_disk(path: Path) -> None:
    """Flush a file, or the names in a folder, to the disk."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except PermissionError:
        # A folder with permission to write, and not to list.
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network file systems can't flush folders.
        if error.errno not in _FLUSH_UNSUPPORTED:
            raise
    finally:
        os.close(descriptor)


def _link_or_copy(source: Path, target: Path) -> None:
    """Create a hard link to a file, or a copy if the file system has no hard links."""
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _HARD_LINKS_UNSUPPORTED:
            raise
        # Nobody may take half a copy for the file.
        temporary = target.with_name(f"{target.name}.copy")
        shutil.copy2(source, temporary, follow_symlinks=False)
        temporary.replace(target)


def _run_concurrently(
    function: Callable[[A, Cancellation], B], items: Iterable[A], cancellation: Cancellation
) -> list[B]:
    """Return the results of a function for several items at a time; if one fails, the others are cancelled."""
    results: list[B] = []
    run_on_threads(function, items, _CONCURRENT_UPLOADS, results.append, cancellation)
    return results
