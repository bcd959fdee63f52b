"""A remote store in memory, for destinations that aren't files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath
from airflow.sdk.io import attach
from fsspec.implementations.memory import MemoryFileSystem


class Store(MemoryFileSystem):
    """Keeps its files apart from those of other stores; the uploads whose number is in `breaks` break half way."""

    cachable = False  # codespell:ignore cachable

    def __init__(self, *, appears_whole: bool) -> None:
        super().__init__()
        self.store: dict[str, Any] = {}
        self.pseudo_dirs = [""]
        self.appears_whole = appears_whole
        self.breaks: set[int] = set()
        self.uploads: list[str] = []

    def put_file(self, lpath: str, rpath: str, **given: Any) -> None:
        self.uploads.append(rpath)
        content = Path(lpath).read_bytes()
        if len(self.uploads) in self.breaks:
            if not self.appears_whole:
                self.pipe_file(rpath, content[: len(content) // 2])
            raise ConnectionResetError("the network is down")
        self.pipe_file(rpath, content)

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
    """Give paths as a newer universal-pathlib writes them: an older one has a slash more in `memory:///bucket`."""
    return [path.replace("///", "//") for path in paths]
