"""Files in memory, for tests that write to none on disk: a draft, and files to send."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial

from airflow_provider_asyncapi.core.errors import FileUnavailableError
from airflow_provider_asyncapi.core.http.file_bodies import SourceFile


class MemoryDraft:
    """Keeps what a download writes, and how it was written."""

    def __init__(self) -> None:
        self.content = b""
        self.restarts = 0
        self.expected: list[int | None] = []
        self.largest = 0

    def expect(self, size: int | None) -> None:
        self.expected.append(size)

    def write(self, data: bytes) -> None:
        self.content += data
        self.largest = max(self.largest, len(data))

    def restart(self) -> None:
        self.content = b""
        self.restarts += 1


class MemoryFiles:
    """
    Files in memory that a request sends.

    :param contents: the content of each file by its path; a test may change or remove it.
    """

    def __init__(self, **contents: bytes) -> None:
        self.contents = {name.replace("_", "."): content for name, content in contents.items()}
        #: The paths of the files that were opened, in order, and the number of those that are open.
        self.opened: list[str] = []
        self.open_files = 0
        #: Called with the path before each chunk is read.
        self.on_read: Callable[[str], object] = lambda _: None

    def inspect(self, path: str) -> SourceFile:
        return SourceFile(path, *self.find_version(path), partial(self._open, path))

    def find_version(self, path: str) -> tuple[int, str]:
        if path not in self.contents:
            raise FileUnavailableError(f"the file {path!r} isn't there")
        content = self.contents[path]
        return len(content), hashlib.sha256(content).hexdigest()

    def _open(self, path: str) -> OpenedMemoryFile:
        self.opened.append(path)
        self.open_files += 1
        return OpenedMemoryFile(self, path)


class OpenedMemoryFile:
    """A file in memory that is being read."""

    def __init__(self, files: MemoryFiles, path: str) -> None:
        self._files, self._path, self._position = files, path, 0

    def read(self, size: int) -> bytes:
        self._files.on_read(self._path)
        chunk = self._files.contents[self._path][self._position :][:size]
        self._position += len(chunk)
        return chunk

    def seek(self, position: int) -> None:
        self._position = position

    def find_version(self) -> tuple[int, str]:
        return self._files.find_version(self._path)

    def close(self) -> None:
        self._files.open_files -= 1
