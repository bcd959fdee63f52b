"""Summarize a fetched result for users: its size and its files, not its content."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_asyncapi.core.text import shorten

if TYPE_CHECKING:
    from airflow_provider_asyncapi.core.jobs.handle import JobHandle
    from airflow_provider_asyncapi.core.json_values import JsonValue

#: Number of files that are named, and the longest name, in characters.
_MAX_FILES, _MAX_NAME = 20, 500


def summarize_result(handle: JobHandle, result: Any, destination: str | None, now: float) -> dict[str, JsonValue]:
    """
    Return the size of the result of a job.

    :param result: the manifest if there is a destination, else the value.
    :param now: current time, in seconds since the epoch.
    """
    if destination is not None:
        return {"identifier": handle.identifier, **summarize_manifest(result, now)}
    rows: dict[str, JsonValue] = {"rows": len(result)} if isinstance(result, list) else {}
    return {"identifier": handle.identifier, "at": _format_time(now), **rows}


def summarize_manifest(manifest: Mapping[str, Any], at: float) -> dict[str, JsonValue]:
    """
    Return the size of the files that a manifest lists, and their first names.

    :param at: when they were written, in seconds since the epoch.
    """
    paths: Any = manifest.get("paths")
    names = paths if isinstance(paths, list) else []
    sizes = {name: manifest[name] for name in ("rows", "bytes") if isinstance(manifest.get(name), int)}
    files: list[JsonValue] = [shorten(str(path), _MAX_NAME) for path in names[:_MAX_FILES]]
    return {"at": _format_time(at), **sizes, "files": files, "file_count": len(names)}


def _format_time(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat()
