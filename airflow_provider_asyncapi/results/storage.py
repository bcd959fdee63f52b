"""Where a destination is: a folder of this machine, or one of an object store; what can be done there."""

# ruff: noqa: D102 - what the methods do is said once, in Place

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
from concurrent.futures import CancelledError, ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Protocol, TypeVar

from airflow_provider_asyncapi.core.errors import ConfigurationError
from airflow_provider_asyncapi.core.http.filenames import OWN_NAMES

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

log = logging.getLogger(__name__)
A = TypeVar("A")
B = TypeVar("B")

#: How the names of former files end, in a staging folder.
FORMER = ".former"
#: There an object appears when its upload is complete, and moving it would be another copy.
_S3 = frozenset({"s3", "s3a"})
_OBJECT_STORES = _S3 | frozenset({"gs", "gcs", "abfs", "abfss", "adl", "az", "oss"})
_CHUNK = 1024 * 1024
#: The smallest part of a multipart upload that S3 takes, and how many there may be (10,000 at most).
_LEAST_PART, _MOST_PARTS = 5 * 1024 * 1024, 9000
#: What a file system answers that can't write down the names in a folder when it is told to.
_NO_FLUSH = frozenset({errno.EINVAL, errno.ENOTSUP, errno.EBADF})
#: What a file system without hard links answers, or one that has given a file as many names as it can.
_NO_HARD_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV})
#: Uploads at a time; each holds a part or two in memory.
_UPLOADS = 4


class Place(Protocol):
    """A folder. Names in it are relative paths with slashes."""

    def staging(self, name: str) -> Path:
        """Make a folder for drafts on this machine: from there files get to their places fastest."""

    def present(self, names: list[str]) -> list[bool]:
        """Tell of each name whether there is a file; what is a folder can't become one."""

    def put(self, files: list[tuple[Path, str]]) -> None:
        """Put drafts into their places; what is there is replaced at once, by the whole file."""

    def keep(self, pairs: list[tuple[str, str]]) -> None:
        """Keep each file under the second name too; readers find it under the first until it is replaced."""

    def bring_back(self, aside: str, name: str) -> None:
        """Put back what was put aside; nothing where nothing was."""

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""

    def write(self, name: str, content: bytes) -> None:
        """Write a small file."""

    def read(self, name: str) -> bytes | None:
        """Read a small file; None where there is none."""

    def shown(self, name: str) -> str:
        """Give the path or the URL of a file."""

    def sweep(self, prefix: str) -> None:
        """Remove staging folders whose name begins so, save those with former files: nothing says where they belong."""

    def abort_uploads(self, names: Collection[str]) -> None:
        """Abort uploads of these files that were begun and never ended."""

    def close(self, *, keep: list[str]) -> None:
        """Remove the staging folder, where it holds nothing to keep, and folders that were made for nothing."""


class LocalPlace:
    """
    A folder of this machine.

    :param folder: its path; made when something is put into it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._staging: Path | None = None
        self._made: list[Path] = []

    def staging(self, name: str) -> Path:
        self._staging = self._folder / name
        self._make_folder(self._staging)
        return self._staging

    def present(self, names: list[str]) -> list[bool]:
        for name in names:
            if (self._folder / name).is_dir():
                raise ConfigurationError(
                    f"destination: {self.shown(name)!r} is a folder, and the result has a file of that name"
                )
        return [(self._folder / name).exists() for name in names]

    def put(self, files: list[tuple[Path, str]]) -> None:
        # A file system may write down the new name before the content; after a power cut the file would be empty.
        for _ in _at_once(lambda file, _: _flush_to_disk(file[0]), files):
            pass
        for path, name in files:
            self._make_folder((self._folder / name).parent)
            path.replace(self._folder / name)
        for folder in {(self._folder / name).parent for _, name in files}:
            _flush_to_disk(folder)

    def keep(self, pairs: list[tuple[str, str]]) -> None:
        for name, aside in pairs:
            self._make_folder((self._folder / aside).parent)
            _link_or_copy(self._folder / name, self._folder / aside)

    def bring_back(self, aside: str, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            # Two names of one file stay as they are.
            (self._folder / aside).replace(self._folder / name)

    def remove(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            (self._folder / name).unlink()

    def write(self, name: str, content: bytes) -> None:
        self._make_folder(self._folder)
        beside = self._folder / f"{name}.part"
        beside.write_bytes(content)
        _flush_to_disk(beside)
        beside.replace(self._folder / name)
        _flush_to_disk(self._folder)

    def read(self, name: str) -> bytes | None:
        try:
            return (self._folder / name).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def shown(self, name: str) -> str:
        return str(self._folder / name)

    def sweep(self, prefix: str) -> None:
        if self._folder.is_dir():
            for each in self._folder.glob(f"{prefix}*"):
                if not any(each.glob(f"*{FORMER}")):
                    shutil.rmtree(each, ignore_errors=True)

    def abort_uploads(self, names: Collection[str]) -> None:
        """Do nothing: a file is moved, not uploaded."""

    def close(self, *, keep: list[str]) -> None:
        if self._staging is not None and not keep:
            shutil.rmtree(self._staging, ignore_errors=True)
        for folder in reversed(self._made):
            # What holds a result stays.
            with contextlib.suppress(OSError):
                folder.rmdir()

    def _make_folder(self, folder: Path) -> None:
        """Make a folder and what leads to it, and remember what wasn't there before."""
        self._made += reversed([each for each in (folder, *folder.parents) if not each.exists()])
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise ConfigurationError(f"destination: {str(folder)!r} leads through a file, not a folder") from None


class RemotePlace:
    """
    A folder of an object store, or of another file system that fsspec knows.

    :param folder: what ``ObjectStoragePath`` takes.
    :raises ConfigurationError: where it can't be written to.
    """

    def __init__(self, folder: str) -> None:
        from airflow.providers.common.compat.sdk import ObjectStoragePath

        try:
            self._folder: ObjectStoragePath = ObjectStoragePath(folder)
            # Before anything is fetched: the file system may lack its provider or its connection.
            self._store = self._folder.fs
        except (ValueError, ImportError) as error:
            raise ConfigurationError(f"destination: {folder!r} can't be written to: {error}") from error
        self._appears_whole = self._folder.protocol in _OBJECT_STORES
        self._staging: Path | None = None

    def staging(self, name: str) -> Path:
        self._staging = Path(tempfile.mkdtemp(prefix=name))
        return self._staging

    def present(self, names: list[str]) -> list[bool]:
        self._store.invalidate_cache()
        return list(_at_once(lambda name, _: bool(self._store.exists(self._path(name))), names))

    def put(self, files: list[tuple[Path, str]]) -> None:
        def upload(file: tuple[Path, str], unwanted: Event) -> None:
            path, name = file
            if self._appears_whole:
                self._upload(path, self._path(name), unwanted)
            else:
                self._upload_beside(path, self._path(name), unwanted)
            # The disk holds no more of a large archive than it has to.
            path.unlink()

        for _ in _at_once(upload, files):
            pass

    def keep(self, pairs: list[tuple[str, str]]) -> None:
        for _ in _at_once(lambda pair, _: self._copy(*pair), pairs):
            pass

    def bring_back(self, aside: str, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._copy(aside, name)

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

    def shown(self, name: str) -> str:
        return str(self._folder.joinpath(*name.split("/")))

    def sweep(self, prefix: str) -> None:
        """Do nothing: drafts were on a machine that may not be this one."""

    def abort_uploads(self, names: Collection[str]) -> None:
        """Abort them in S3; other stores forget uploads by themselves, and ask no money for them."""
        if self._folder.protocol not in _S3:
            return
        keys = {self._store.split_path(self._path(name))[1] for name in names}
        bucket = self._store.split_path(self._folder.path)[0]
        try:
            for upload in list(self._uploads(bucket, os.path.commonprefix(list(keys)))):  # noqa: RUF071 - so keys begin
                if upload["Key"] in keys:
                    chosen = {name: upload[name] for name in ("Key", "UploadId")}
                    self._store.call_s3("abort_multipart_upload", Bucket=bucket, **chosen)
        except OSError as error:
            # Not every role may do that; nothing but the money for some parts is lost.
            log.warning("What an earlier try has uploaded to %s in part stays there: %s", self._folder, error)

    def close(self, *, keep: list[str]) -> None:
        if self._staging is not None:
            shutil.rmtree(self._staging, ignore_errors=True)

    def _uploads(self, bucket: str, prefix: str) -> Iterator[dict[str, str]]:
        """Give all uploads to keys that begin so and that were begun and never ended (``ListMultipartUploads``)."""
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
        if self._appears_whole:
            self._store.cp_file(source, target)
        else:
            self._by_way_of(target, lambda beside: self._store.cp_file(source, beside))

    def _upload_beside(self, source: Path, path: str, unwanted: Event) -> None:
        self._by_way_of(path, lambda beside: self._upload(source, beside, unwanted))

    def _by_way_of(self, path: str, write: Callable[[str], object]) -> None:
        """Write a file under another name, and move it when it is complete: half of it could be seen."""
        beside = f"{path.rpartition('/')[0]}/{OWN_NAMES}{uuid.uuid4().hex}.part"
        try:
            write(beside)
            self._store.mv(beside, path)
        except BaseException:
            with contextlib.suppress(Exception):
                self._store.rm_file(beside)
            raise

    def _upload(self, source: Path, path: str, unwanted: Event) -> None:
        """
        Write an object that appears when it is complete.

        Not `put_file`: that one holds hundreds of megabytes in memory, and goes on when the task is killed.
        """
        part = max(_LEAST_PART, math.ceil(source.stat().st_size / _MOST_PARTS))
        target = self._store.open(path, "wb", block_size=part)
        try:
            with source.open("rb") as opened:
                while chunk := opened.read(_CHUNK):
                    if unwanted.is_set():
                        raise CancelledError  # noqa: TRY301 - like any other failure of the upload
                    target.write(chunk)
            target.close()
        except BaseException:
            # Aborts a multipart upload, for which the store would ask money as long as it lies there.
            with contextlib.suppress(Exception):
                target.discard()
            # What is collected while it is open would be completed after all.
            with contextlib.suppress(Exception):
                target.closed = True
            raise


def place_of(target: str) -> tuple[Place, str]:
    """
    Give the folder of a target, and the file's name in it; no name where the target is a folder.

    :raises ConfigurationError: on a target that can't be one.
    """
    if not target.strip():
        raise ConfigurationError("destination: is empty; it is a file, or a folder with a slash at its end")
    scheme, separator, path = target.partition("://")
    if separator and scheme != "file":
        folder, _, name = target.rpartition("/")
        if not folder.partition("://")[2]:
            raise ConfigurationError(f"destination: {target!r} names no folder or file in the store")
        return RemotePlace(f"{folder}/"), name
    if separator and not path.startswith("/"):
        raise ConfigurationError(f"destination: {target!r} names a host; a file's URL begins with file:///")
    local = Path(path if separator else target)
    if target.endswith("/"):
        return LocalPlace(local), ""
    if local.is_dir():
        raise ConfigurationError(f"destination: {target!r} is a folder; end it with a slash")
    return LocalPlace(local.parent), local.name


def _flush_to_disk(path: Path) -> None:
    """Wait until the operating system has written a file, or the names in a folder, to the disk."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except PermissionError:
        # A folder that may be written to, and not listed.
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network file systems can't do it for folders.
        if error.errno not in _NO_FLUSH:
            raise
    finally:
        os.close(descriptor)


def _link_or_copy(source: Path, target: Path) -> None:
    """Give a file a second name; copy it if the file system has no hard links."""
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
        # Half a copy must not be taken for the file.
        beside = target.with_name(f"{target.name}.copy")
        shutil.copy2(source, beside, follow_symlinks=False)
        beside.replace(target)


def _at_once(do: Callable[[A, Event], B], items: Iterable[A]) -> Iterator[B]:
    """Do the same with several things at a time; where one fails, those that have begun are told to end."""
    unwanted = Event()
    with ThreadPoolExecutor(_UPLOADS) as pool:
        try:
            yield from pool.map(lambda item: do(item, unwanted), items)
        except BaseException:
            unwanted.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
