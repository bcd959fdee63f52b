"""Find the files that requests send: on this machine, or wherever ``ObjectStoragePath`` finds them."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

# Imports a name at its first use: most tasks send no files of an object store.
from airflow.providers.common.compat import sdk

from airflow_provider_asyncapi.core.errors import AsyncApiError, ConfigurationError, FileUnavailableError
from airflow_provider_asyncapi.core.http.file_bodies import SourceFile
from airflow_provider_asyncapi.core.http.redaction import redact_url

#: Bytes that are requested from a store at a time. The file systems' own sizes, up to 50 MiB, fill the memory.
_BLOCK_SIZE = 5 * 1024 * 1024
#: What stores call the version of a file; the first one that a file has counts, so that the order is from the most to
#: the least exact.
_VERSION_KEYS = (
    "generation",
    "ETag",
    "etag",
    "LastModified",
    "last_modified",
    "updated",
    "mtime",
    "modified",
    "created",
)


def inspect_file(path: str) -> SourceFile:
    """
    Return a file that a request sends; its content isn't read.

    :param path: a path of this machine, or any URL that ``ObjectStoragePath`` accepts.
    :raises FileUnavailableError: if it isn't there, or can't be read.
    :raises ConfigurationError: if it is no file, or its file system isn't known.
    """
    scheme, separator, rest = path.partition("://")
    if separator and scheme != "file":
        return _inspect_remote_file(path)
    if separator and not rest.startswith("/"):
        raise ConfigurationError(f"{path!r} names a host; a file's URL begins with file:///")
    return _inspect_local_file(rest if separator else path)


class _LocalFile:
    """A file of this machine that is being read."""

    def __init__(self, path: str) -> None:
        self._path = path
        with _translate_errors(path):
            self._file = open(path, "rb", buffering=0)  # noqa: PTH123, SIM115 - closed by close()

    def read(self, size: int) -> bytes:
        """Return the next bytes."""
        with _translate_errors(self._path):
            return self._file.read(size) or b""

    def seek(self, position: int) -> None:
        """Continue at a position."""
        with _translate_errors(self._path):
            self._file.seek(position)

    def find_version(self) -> tuple[int, str]:
        """Return the current size and version."""
        with _translate_errors(self._path):
            return _describe_status(os.fstat(self._file.fileno()))

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class _RemoteFile:
    """
    A file of a store that is being read.

    :param store: the file system, as fsspec has it.
    :param name: the name of the file in it.
    :param path: the URL, for messages.
    """

    def __init__(self, store: Any, name: str, path: str) -> None:
        self._store, self._name, self._path = store, name, path
        with _translate_errors(path):
            self._file = store.open(name, "rb", block_size=_BLOCK_SIZE)

    def read(self, size: int) -> bytes:
        """Return the next bytes."""
        with _translate_errors(self._path):
            content: bytes = self._file.read(size)
            return content

    def seek(self, position: int) -> None:
        """Continue at a position."""
        with _translate_errors(self._path):
            self._file.seek(position)

    def find_version(self) -> tuple[int, str]:
        """Return the current size and version."""
        with _translate_errors(self._path):
            return _describe_remote_file(self._store, self._name, self._path)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _inspect_local_file(path: str) -> SourceFile:
    with _translate_errors(path):
        status = os.stat(path)  # noqa: PTH116 - without an object of pathlib
    if not stat.S_ISREG(status.st_mode):
        kind = "a folder" if stat.S_ISDIR(status.st_mode) else "a device or a pipe"
        raise ConfigurationError(f"{path!r} is {kind}, and only a regular file can be sent")
    return SourceFile(path, *_describe_status(status), partial(_LocalFile, path))


def _inspect_remote_file(path: str) -> SourceFile:
    try:
        file = sdk.ObjectStoragePath(path)
        # The file system may lack its provider.
        store = file.fs
    except (ValueError, ImportError) as error:
        raise ConfigurationError(f"{redact_url(path)!r} can't be read: {error}") from error
    with _translate_errors(path):
        size, version = _describe_remote_file(store, file.path, path)
    return SourceFile(path, size, version, partial(_RemoteFile, store, file.path, path))


def _describe_status(status: os.stat_result) -> tuple[int, str]:
    return status.st_size, str(status.st_mtime_ns)


def _describe_remote_file(store: Any, name: str, path: str) -> tuple[int, str]:
    # A listing that the file system remembers may be older than the file.
    store.invalidate_cache()
    info = store.info(name)
    if info.get("type") == "directory":
        raise ConfigurationError(f"{redact_url(path)!r} is a folder, and only a file can be sent")
    if not isinstance(info.get("size"), int):
        raise ConfigurationError(f"{redact_url(path)!r}: its server doesn't state its size, which a request needs")
    found = next((f"{key}={info[key]}" for key in _VERSION_KEYS if info.get(key) is not None), "")
    return info["size"], found


@contextmanager
def _translate_errors(path: str) -> Iterator[None]:
    shown = redact_url(path)
    try:
        yield
    except AsyncApiError:
        raise
    except FileNotFoundError as error:
        raise FileUnavailableError(f"the file {shown!r} isn't there") from _as_cause(path, error)
    except Exception as error:  # noqa: BLE001 - each file system has exceptions of its own, without a common base
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise FileUnavailableError(f"the file {shown!r} can't be read: {reason}") from _as_cause(path, error)


def _as_cause(path: str, error: Exception) -> Exception | None:
    """Return the cause of an error; None if its text, which Airflow logs, may contain the key of a signed URL."""
    return None if "?" in path else error
