"""A remote store in memory, for destinations that aren't files."""

from __future__ import annotations

import io
import threading
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath
from airflow.sdk.io import attach
from fsspec.implementations.memory import MemoryFileSystem


class Upload(io.BytesIO):
    """An object that is being written."""

    def __init__(self, store: Store, path: str, *, breaks: bool) -> None:
        super().__init__()
        self.store, self.path, self.breaks = store, path, breaks
        self.is_over = False

    def close(self) -> None:
        if self.is_over:
            return
        self.is_over = True
        content = self.getvalue()
        if not self.breaks:
            self.store.pipe_file(self.path, content)
            return
        if not self.store.appears_whole:
            self.store.pipe_file(self.path, content[: len(content) // 2])
        self.store.discarded.append(self.path)
        raise ConnectionResetError("the network is down")

    def discard(self) -> None:
        self.is_over = True
        self.store.discarded.append(self.path)


class Store(MemoryFileSystem):  # type: ignore[misc]  # fsspec has no types
    """Keeps its files apart from those of other stores; the uploads whose number is in `breaks` break half way."""

    cachable = False  # codespell:ignore cachable

    def __init__(self, *, appears_whole: bool) -> None:
        super().__init__()
        self.store: dict[str, Any] = {}
        self.pseudo_dirs = [""]
        self.appears_whole = appears_whole
        self.breaks: set[int] = set()
        self.uploads: list[str] = []
        self.discarded: list[str] = []
        #: Keys of uploads that were begun and never ended, as S3 lists them; and whether it does.
        self.begun: set[str] = set()
        self.may_list = True
        self._lock = threading.Lock()

    def _open(self, path: str, mode: str = "rb", **given: Any) -> Any:
        if mode != "wb" or "data" in given:
            return super()._open(path, mode, **given)
        with self._lock:
            self.uploads.append(path)
            return Upload(self, path, breaks=len(self.uploads) in self.breaks)

    def split_path(self, path: str) -> tuple[str, str, str | None]:
        bucket, _, key = path.lstrip("/").partition("/")
        return bucket, key, None

    def call_s3(self, method: str, **given: str) -> dict[str, Any]:
        assert given["Bucket"] == "bucket"
        if method == "abort_multipart_upload":
            assert given["UploadId"] == f"id of {given['Key']}"
            self.begun.remove(given["Key"])
            return {}
        assert method == "list_multipart_uploads"
        if not self.may_list:
            raise PermissionError("Access Denied")
        keys = sorted(key for key in self.begun if key.startswith(given["Prefix"]) and key > given.get("KeyMarker", ""))
        # A page holds one.
        page = [{"Key": key, "UploadId": f"id of {key}"} for key in keys[:1]]
        markers = {"NextKeyMarker": keys[0], "NextUploadIdMarker": f"id of {keys[0]}"} if keys else {}
        return {"Uploads": page, "IsTruncated": len(keys) > 1, **markers}

    def contents(self) -> dict[str, bytes]:
        return {name: self.cat_file(name) for name in self.find("/")}


def fresh_store(scheme: str) -> Store:
    """Put an empty store where Airflow looks for the file system of a scheme."""
    try:
        ObjectStoragePath(f"{scheme}://bucket/key")
    except TypeError as error:
        pytest.skip(f"Airflow's ObjectStoragePath doesn't work with this version of universal-pathlib: {error}")
    store = Store(appears_whole=scheme == "s3")
    attach(scheme).__dict__["fs"] = store
    return store


def plain(paths: list[str]) -> list[str]:
    """Return paths as newer releases of universal-pathlib write them; older ones have another slash in `memory:///bucket`."""
    return [path.replace("///", "//") for path in paths]
