"""
Profiles: the description of one vendor's API as data.

A profile is a TOML file with the tables ``connection``, ``submit``, ``status``, ``fetch`` and ``cancel``, which contain
default parameters. Its name is the name of the file, or that of a folder and of a file in it: ``vendor/jobs``. With
``extends`` a profile inherits from another one. Profiles are searched for in the folder of the option ``[asyncapi]
profiles_folder``, then in the packages of the entry point group ``airflow_provider_asyncapi.profiles``, then in this
package.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
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
_NAME = re.compile(r"[A-Za-z0-9][\w-]*(?:/[A-Za-z0-9][\w-]*)?")
_SUFFIX = ".toml"


@dataclass(frozen=True, slots=True)
class ProfileFile:
    """
    The file of a profile.

    :param name: the name of the profile.
    :param position: the position of its folder among the folders that are searched.
    :param path: the path of the file, for people.
    :param content: the content of the file, unchecked.
    """

    name: str
    position: int
    path: str
    content: Mapping[str, Any]


def load_profile(name: str) -> Mapping[str, Mapping[str, Any]]:
    """
    Return a profile, with what it inherits.

    :raises ConfigurationError: if there is no profile of this name, or it is malformed.
    """
    if not is_profile_name(name):
        raise ConfigurationError(
            f"profile: {name!r} can't be the name of a profile: a name has letters, digits, _ and - only, and at most"
            " one slash, as in 'vendor/jobs'"
        )
    return _load_cached(name, _own_folder())


def find_profile_version(name: str) -> Mapping[str, str]:
    """
    Return the name and the version of a profile, as job handles store them.

    :raises ConfigurationError: if there is no profile of this name, or it is malformed.
    """
    return lazy.version_of(name, load_profile(name))


def is_profile_name(name: Any) -> bool:
    """Return whether a value can be the name of a profile, so that it leads to no file elsewhere."""
    return isinstance(name, str) and _NAME.fullmatch(name) is not None


def find_profile_files() -> dict[str, Any]:
    """
    Return the files of all profiles by name, sorted by name.

    :raises ConfigurationError: if a folder or a package of profiles isn't there.
    """
    return _list_files(list(_list_profile_folders(_own_folder())))


def read_profile_files(name: str, folder: str | None = None) -> Sequence[ProfileFile]:
    """
    Return the file of a profile, and after it the files of the profiles that it extends.

    A profile that extends its own name extends the next one of this name, such as the shipped one.

    :param folder: the folder of the user's own profiles, empty for none; by default that of the configuration.
    :raises ConfigurationError: if a file is missing or isn't TOML, or a profile extends itself.
    """
    folders = list(_list_profile_folders(_own_folder() if folder is None else folder))
    files: list[ProfileFile] = []
    wanted, first = name, 0
    while True:
        file = _find_file(wanted, folders, first)
        if file is None:
            where = f"profile {files[-1].name!r}: extends" if files else "profile"
            which = f"no other profile {wanted!r}" if first else f"no profile {wanted!r}"
            known = _list_files(folders)
            nearest = "" if first else lazy.suggest_nearest(wanted, known)
            raise ConfigurationError(f"{where}: there is {which}{nearest}; known are {', '.join(known)}")
        if any((each.name, each.position) == (file.name, file.position) for each in files):
            chain = " → ".join([*(each.name for each in files), file.name])
            raise ConfigurationError(f"profile {name!r}: extends: is a circle: {chain}; remove one of them")
        files.append(file)
        if lazy.EXTENDS not in file.content:
            return files
        wanted = file.content[lazy.EXTENDS]
        if not is_profile_name(wanted):
            raise ConfigurationError(
                f"profile {file.name!r}: extends: has to be the name of another profile, such as 'vendor/jobs', not"
                f" {wanted!r}"
            )
        first = file.position + 1 if wanted == file.name else 0


@lru_cache(maxsize=64)
def _load_cached(name: str, folder: str) -> Mapping[str, Mapping[str, Any]]:
    files = read_profile_files(name, folder)
    profile: Mapping[str, Any] = {}
    for file in reversed(files):
        profile = lazy.merge_profiles(profile, file.content)
    for file in files:
        lazy.check_profile(file.name, file.content)
    return lazy.check_profile(name, profile)


def _find_file(name: str, folders: Sequence[Any], first: int) -> ProfileFile | None:
    """
    Return the first file of a profile; None if there is none.

    :param folders: the folders to search.
    :param first: the position of the first one to search.
    """
    *parents, own = name.split("/")
    for position, folder in enumerate(folders[first:], first):
        file: Any = folder
        for part in (*parents, own + _SUFFIX):
            # Found in the listing, not asked for: some file systems take other letters for the same.
            file = next((each for each in file.iterdir() if each.name == part), None) if file is not None else None
        if file is None:
            continue
        try:
            content = tomllib.loads(file.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"profile {name!r}: isn't TOML: {error}") from None
        return ProfileFile(name, position, str(file), content)
    return None


def _list_files(folders: Sequence[Any]) -> dict[str, Any]:
    """Return the files of all profiles in some folders by name, sorted by name; the first file of a name counts."""
    files: dict[str, Any] = {}
    for folder in folders:
        for entry in folder.iterdir():
            inner = {f"{entry.name}/{each.name}": each for each in entry.iterdir()} if entry.is_dir() else {}
            for path, file in (inner or {entry.name: entry}).items():
                name = path.removesuffix(_SUFFIX)
                if name != path and is_profile_name(name):
                    files.setdefault(name, file)
    return dict(sorted(files.items()))


def _own_folder() -> str:
    folder: str = conf.get("asyncapi", "profiles_folder", fallback="")
    return folder


def _list_profile_folders(folder: str) -> Iterator[Any]:
    if folder:
        if not Path(folder).is_dir():
            raise ConfigurationError(f"[asyncapi] profiles_folder: {folder!r} isn't a folder")
        yield Path(folder)
    for entry_point in lazy.find_entry_points(ENTRY_POINTS):
        try:
            yield resources.files(entry_point.module)
        except ImportError as error:
            raise ConfigurationError(
                f"profile: the package {entry_point.module!r}, named by the entry point {entry_point.name!r}, can't be"
                f" imported: {error}"
            ) from error
    yield resources.files("airflow_provider_asyncapi.profiles")
