"""Destinations: files are written beside, and moved when they are complete."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import unquote, urlsplit

from airflow_provider_asyncapi.core.errors import ConfigurationError, ResultTooLargeError

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

_CHUNK = 1024 * 1024


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
        self._size = 0
        self._digest = hashlib.sha256()

    def write(self, chunk: bytes) -> None:
        """
        Take the next bytes.

        :raises ResultTooLargeError: where there are too many.
        """
        self._size += len(chunk)
        if self._size > self._limit:
            raise ResultTooLargeError(f"max_bytes: the result is larger than {self._limit} bytes; nothing was kept")
        self._file.write(chunk)
        self._digest.update(chunk)

    def restart(self) -> None:
        """Forget what was written: the transfer begins again."""
        self._file.seek(0)
        self._file.truncate()
        self._size = 0
        self._digest = hashlib.sha256()

    def finish(self) -> Stored:
        """Close the file, and give what it has become."""
        self._file.close()
        return Stored(self._path, self._size, self._digest.hexdigest())

    def close(self) -> None:
        """Close the file, complete or not."""
        self._file.close()


class Destination:
    """
    Where a result goes. Nothing is there before :meth:`commit`, and nothing is left of what wasn't committed.

    :param target: a path or URL that ``ObjectStoragePath`` takes; with a slash at its end a folder.
    :param max_bytes: how many bytes a file may have.
    """

    def __init__(self, target: str, max_bytes: int) -> None:
        if not target.strip():
            raise ConfigurationError("destination: is empty; it is a file, or a folder with a slash at its end")
        self.target = target
        self.is_folder = target.endswith("/")
        self._max_bytes = max_bytes
        self._sinks: list[FileSink] = []

    @cached_property
    def staging(self) -> Path:
        """The folder for what isn't complete: beside a local destination, so that moving is renaming."""
        local = self._local
        if local is None:
            return Path(tempfile.mkdtemp(prefix="asyncapi-"))
        folder = (local if self.is_folder else local.parent) / f".asyncapi-{uuid.uuid4().hex}.part"
        folder.mkdir(parents=True)
        return folder

    def sink(self) -> FileSink:
        """Give a sink for one more file."""
        sink = FileSink(self.staging / f"{len(self._sinks)}.part", self._max_bytes)
        self._sinks.append(sink)
        return sink

    def commit(self, files: Sequence[tuple[tuple[str, ...], Stored]]) -> list[str]:
        """
        Put complete files in their places.

        :param files: (path below a destination that is a folder, file) pairs; the path doesn't count for one that is a file.
        :return: where each is now.
        :raises ConfigurationError: where several files should become one.
        """
        if not self.is_folder and len(files) > 1:
            raise ConfigurationError(
                f"destination: {self.target!r} is one file, and there are {len(files)}; end it with a slash to make it a"
                " folder"
            )
        return [self._place(segments if self.is_folder else (), stored) for segments, stored in files]

    def close(self) -> None:
        """Remove all that wasn't committed."""
        for sink in self._sinks:
            sink.close()
        if "staging" in self.__dict__:
            shutil.rmtree(self.staging, ignore_errors=True)

    @cached_property
    def _local(self) -> Path | None:
        if "://" not in self.target:
            return Path(self.target)
        parts = urlsplit(self.target)
        return Path(unquote(parts.path)) if parts.scheme == "file" else None

    def _place(self, segments: tuple[str, ...], stored: Stored) -> str:
        if self._local is not None:
            final = self._local.joinpath(*segments)
            final.parent.mkdir(parents=True, exist_ok=True)
            os.replace(stored.path, final)
            return str(final)
        remote = self._object_path().joinpath(*segments) if segments else self._object_path()
        try:
            with stored.path.open("rb") as source, remote.open("wb") as copy:
                try:
                    shutil.copyfileobj(source, copy, _CHUNK)
                except BaseException:
                    # Closing would complete an upload of which only a part has arrived.
                    getattr(copy, "discard", lambda: None)()
                    raise
        finally:
            stored.path.unlink()
        return str(remote)

    def _object_path(self) -> ObjectStoragePath:
        from airflow.providers.common.compat.sdk import ObjectStoragePath

        return ObjectStoragePath(self.target)
