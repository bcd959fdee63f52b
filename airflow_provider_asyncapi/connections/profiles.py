"""
Profiles: the description of one vendor's API as data.

A profile is a TOML file with the tables ``connection``, ``submit``, ``status``, ``fetch`` and ``cancel``, which contain
default parameters. Profiles are searched for in the folder of the option ``[asyncapi] profiles_folder``, then in the
packages of the entry point group ``airflow_provider_asyncapi.profiles``, then in this package.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from importlib import metadata, resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import conf

from airflow_provider_asyncapi.connections import lazy
from airflow_provider_asyncapi.core.errors import ConfigurationError
from airflow_provider_asyncapi.core.lazy import LazyModule

if TYPE_CHECKING:
    import tomllib
else:
    # A DAG file without profiles doesn't need it.
    tomllib = LazyModule("tomllib")

ENTRY_POINTS = "airflow_provider_asyncapi.profiles"
_NAME = re.compile(r"[A-Za-z0-9][\w-]*")


def load_profile(name: str) -> Mapping[str, Mapping[str, Any]]:
    """
    Return a profile.

    :raises ConfigurationError: if there is no profile of this name, or it is malformed.
    """
    if not _NAME.fullmatch(str(name)):
        raise ConfigurationError(
            f"profile: {name!r} can't be the name of a profile: a name has letters, digits, _ and - only"
        )
    return _load_cached(name, conf.get("asyncapi", "profiles_folder", fallback=""))


def find_profile_files() -> dict[str, Any]:
    """
    Return the files of all profiles by name, sorted by name.

    :raises ConfigurationError: if a folder or a package of profiles isn't there.
    """
    files: dict[str, Any] = {}
    for directory in _list_profile_folders(conf.get("asyncapi", "profiles_folder", fallback="")):
        for file in directory.iterdir():
            name = file.name.removesuffix(".toml")
            if name != file.name and _NAME.fullmatch(name):
                files.setdefault(name, file)
    return dict(sorted(files.items()))


@lru_cache(maxsize=64)
def _load_cached(name: str, folder: str) -> Mapping[str, Mapping[str, Any]]:
    known = set()
    for directory in _list_profile_folders(folder):
        for file in directory.iterdir():
            if file.name == f"{name}.toml":
                try:
                    profile = tomllib.loads(file.read_text(encoding="utf-8"))
                except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
                    raise ConfigurationError(f"profile {name!r}: isn't TOML: {error}") from None
                return lazy.check_profile(name, profile)
            if file.name.endswith(".toml"):
                known.add(file.name.removesuffix(".toml"))
    raise ConfigurationError(f"profile: there is no profile {name!r}; known are {', '.join(sorted(known))}")


def _list_profile_folders(folder: str) -> Iterator[Any]:
    if folder:
        if not Path(folder).is_dir():
            raise ConfigurationError(f"[asyncapi] profiles_folder: {folder!r} isn't a folder")
        yield Path(folder)
    for entry_point in metadata.entry_points(group=ENTRY_POINTS):
        try:
            yield resources.files(entry_point.module)
        except ImportError as error:
            raise ConfigurationError(
                f"profile: the package {entry_point.module!r}, named by the entry point {entry_point.name!r}, can't be"
                f" imported: {error}"
            ) from error
    yield resources.files("airflow_provider_asyncapi.profiles")
