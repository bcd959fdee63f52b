"""Packages that are installed for a test: their metadata in a folder that Python looks in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from airflow_provider_asyncapi.core import entry_points
from airflow_provider_asyncapi.core.registry import Registry


def write_metadata(site: Path, package: str, group: str, name: str, value: str) -> None:
    """
    Write what an installer writes for a package with one entry point.

    :param group: the group of the entry point.
    :param value: its object, such as ``module:name``.
    """
    info = site / f"{package}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{group}]\n{name} = {value}\n")


def forget_entry_points() -> None:
    """Look the entry points up anew, and load them anew."""
    entry_points.find_entry_points.cache_clear()
    entry_points.load_entry_point.cache_clear()


@contextmanager
def install_kind(site: Path, kinds: Registry[Any], name: str, value: str) -> Iterator[None]:
    """Have a package that adds a kind to a registry."""
    before = set(kinds)
    write_metadata(site, f"kind_{name}", kinds.group, name, value)
    forget_entry_points()
    try:
        yield
    finally:
        forget_entry_points()
        if name not in before:
            kinds.unregister(name)
        kinds.problems.pop(name, None)


@contextmanager
def register_kind(kinds: Registry[Any], kind: Any) -> Iterator[None]:
    """Have a further kind in a registry."""
    kinds.register(kind)
    try:
        yield
    finally:
        kinds.unregister(kind.name)
