"""Destinations: files are written beside, and moved when they are complete."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import tempfile
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from airflow_provider_asyncapi.core.errors import ConfigurationError, ResultTooLargeError

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

#: There an object appears when its upload is complete, and moving it would be another copy.
_OBJECT_STORES = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "abfss", "adl", "az", "oss"})


@dataclass(frozen=True, slots=True)
class Stored:
    """
    One complete file, not yet where it belongs.

    :param path: where it is.
    :param size: in bytes.
    :param sha256: its digest, hexadecimal.
    """

    path: Path
    size: int
    sha256: str


class FileSink:
    """
    A file that is being written: a :class:`~..core.effects.Sink` that counts and digests.

    :param path: where it is written.
    :param limit: how many bytes are too many.
    """

    def __init__(self, path: Path, limit: int) -> None:
        self._path = path
        self._limit = limit
        self._file: BinaryIO = path.open("wb")
        self._digest = hashlib.sha256()
        self.size = 0

    def write(self, chunk: bytes) -> None:
        """
        Take the next bytes.

        :raises ResultTooLargeError: where there are too many.
        """
        self.size += len(chunk)
        if self.size > self._limit:
            raise ResultTooLargeError("max_bytes: the result is larger than allowed; nothing was kept")
        self._file.write(chunk)
        self._digest.update(chunk)

    def restart(self) -> None:
        """Forget what was written: the transfer begins again."""
        self._file.seek(0)
        self._file.truncate()
        self._digest = hashlib.sha256()
        self.size = 0

    def finish(self) -> Stored:
        """Close the file, and give what it has become."""
        self._file.close()
        return Stored(self._path, self.size, self._digest.hexdigest())

    def close(self) -> None:
        """Close the file, complete or not."""
        # What is still buffered may not fit on the disk; it isn't wanted any more.
        with contextlib.suppress(OSError):
            self._file.close()


class Destination:
    """
    Where a result goes. Nothing is there before :meth:`commit`, and nothing is left of what wasn't committed.

    :param target: a path or URL that ``ObjectStoragePath`` takes; with a slash at its end a folder.
    :param max_bytes: how many bytes all files together may have.
    :raises ConfigurationError: on a target that can't be one.
    """

    def __init__(self, target: str, max_bytes: int) -> None:
        if not target.strip():
            raise ConfigurationError("destination: is empty; it is a file, or a folder with a slash at its end")
        self.target = target
        self.is_folder = target.endswith("/")
        self._max_bytes = max_bytes
        self._sinks: list[FileSink] = []
        self._made: list[Path] = []
        self._local = _local_path(target)
        self._remote = _object_path(target) if self._local is None else None
        if self._local is not None and self._local.is_dir() and not self.is_folder:
            raise ConfigurationError(f"destination: {target!r} is a folder; end it with a slash")

    @cached_property
    def staging(self) -> Path:
        """
        The folder for what isn't complete: beside a local destination, so that moving is renaming.

        :raises ConfigurationError: where a file stands in its way.
        """
        if self._local is None:
            return Path(tempfile.mkdtemp(prefix="asyncapi-"))
        folder = (self._local if self.is_folder else self._local.parent) / f".asyncapi-{uuid.uuid4().hex}.part"
        try:
            self._make_folder(folder)
        except (FileExistsError, NotADirectoryError):
            raise ConfigurationError(f"destination: {self.target!r} leads through a file, not a folder") from None
        return folder

    def sink(self) -> FileSink:
        """
        Give a sink for one more file, once the one before is complete.

        :raises ConfigurationError: where several files should become one.
        """
        if self._sinks and not self.is_folder:
            raise ConfigurationError(
                f"destination: {self.target!r} is one file, and there are several; end it with a slash"
            )
        room = self._max_bytes - sum(sink.size for sink in self._sinks)
        sink = FileSink(self.staging / f"{len(self._sinks)}.part", room)
        self._sinks.append(sink)
        return sink

    def commit(self, files: Sequence[tuple[tuple[str, ...], Stored]]) -> list[str]:
        """
        Put complete files in their places: all of them, or none.

        :param files: (path below a destination that is a folder, file) pairs; the path doesn't count for one that is a
            file.
        :return: where each is now.
        """
        paths: list[str] = []
        undo: list[Callable[[], object]] = []
        place = self._place_remote if self._local is None else self._place_local
        try:
            for segments, stored in files:
                paths.append(place(segments if self.is_folder else (), stored, undo))
        except BaseException:
            for step in reversed(undo):
                # The error that led here says more than one that follows from it.
                with contextlib.suppress(Exception):
                    step()
            raise
        return paths

    def close(self) -> None:
        """Remove all that wasn't committed."""
        for sink in self._sinks:
            sink.close()
        if "staging" in self.__dict__:
            shutil.rmtree(self.staging, ignore_errors=True)
        for folder in reversed(self._made):
            # What holds a result stays.
            with contextlib.suppress(OSError):
                folder.rmdir()

    def _make_folder(self, folder: Path) -> None:
        """Make a folder and what leads to it, and remember what wasn't there before."""
        self._made += reversed([each for each in (folder, *folder.parents) if not each.exists()])
        folder.mkdir(parents=True, exist_ok=True)

    def _place_local(self, segments: tuple[str, ...], stored: Stored, undo: list[Callable[[], object]]) -> str:
        assert self._local is not None  # noqa: S101 - commit looks first
        final = self._local.joinpath(*segments)
        self._make_folder(final.parent)
        if final.is_dir():
            raise ConfigurationError(f"destination: {str(final)!r} is a folder, and the result has a file of that name")
        if final.exists():
            former = self.staging / f"{len(undo)}.former"
            undo.append(lambda: former.replace(final))
            final.replace(former)
        else:
            undo.append(final.unlink)
        stored.path.replace(final)
        return str(final)

    def _place_remote(self, segments: tuple[str, ...], stored: Stored, undo: list[Callable[[], object]]) -> str:
        assert self._remote is not None  # noqa: S101 - commit looks first
        final = self._remote.joinpath(*segments) if segments else self._remote
        store = final.fs
        if final.protocol in _OBJECT_STORES:
            store.put_file(str(stored.path), final.path)
        else:
            beside = f"{final.path.rpartition('/')[0]}/.asyncapi-{uuid.uuid4().hex}.part"
            try:
                store.put_file(str(stored.path), beside)
                store.mv(beside, final.path)
            except BaseException:
                with contextlib.suppress(Exception):
                    store.rm_file(beside)
                raise
        undo.append(lambda: store.rm_file(final.path))
        # The disk holds no more of a large archive than it has to.
        stored.path.unlink()
        return str(final)


def _local_path(target: str) -> Path | None:
    """Give the path of a target in the file system; None for one elsewhere."""
    scheme, separator, path = target.partition("://")
    if not separator:
        return Path(target)
    if scheme != "file":
        return None
    if not path.startswith("/"):
        raise ConfigurationError(f"destination: {target!r} names a host; a file's URL begins with file:///")
    return Path(path)


def _object_path(target: str) -> ObjectStoragePath:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    try:
        path = ObjectStoragePath(target)
        # Before anything is fetched: the file system may lack its provider or its connection.
        _ = path.fs
    except (ValueError, ImportError) as error:
        raise ConfigurationError(f"destination: {target!r} can't be written to: {error}") from error
    return path
