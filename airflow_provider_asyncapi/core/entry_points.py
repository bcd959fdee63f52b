"""
What other packages add to this one by entry points.

The module imports nothing else of the core, since each process of Airflow uses it when it starts.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from airflow_provider_asyncapi.core.lazy import LazyModule

if TYPE_CHECKING:
    from importlib import metadata
else:
    metadata = LazyModule("importlib.metadata")


@lru_cache(maxsize=32)
def find_entry_points(group: str) -> tuple[metadata.EntryPoint, ...]:
    """Return the entry points of a group; to find them, Python reads the metadata of all installed packages."""
    return tuple(metadata.entry_points(group=group))


# An error isn't remembered: a module that imports Airflow can't be imported yet while Airflow reads its configuration,
# and with it the provider info.
@lru_cache(maxsize=64)
def load_entry_point(entry_point: metadata.EntryPoint) -> Any:
    """Return the object of an entry point."""
    return entry_point.load()
