"""Files that are kept as they come."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_asyncapi.core.fetch.outputs.base import FetchRun, Output

if TYPE_CHECKING:
    from airflow_provider_asyncapi.core.json_values import JsonValue


class File(Output):
    """A file."""

    name = "file"
    summary = "A file, byte for byte."
    makes_files = True

    def fetch(self, run: FetchRun, inline: JsonValue) -> JsonValue:
        """Return a manifest of the files."""
        return run.fetch_files()


class Gzip(File):
    """A file that is compressed by gzip."""

    name = "gzip"
    summary = "A file, decompressed if it is a gzip file, unless `unpack=False`."

    def fetch(self, run: FetchRun, inline: JsonValue) -> JsonValue:
        """Return a manifest of the files."""
        return run.fetch_files(gunzip=run.unpack)
