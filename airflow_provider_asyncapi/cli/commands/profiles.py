"""The commands about profiles."""

from __future__ import annotations

import argparse
import json
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_asyncapi.cli.output import Output
from airflow_provider_asyncapi.cli.profile_files import read_profile_file
from airflow_provider_asyncapi.cli.running import ExitCode
from airflow_provider_asyncapi.connections.profiles import (
    ProfileFile,
    find_profile_files,
    load_profile,
    read_profile_files,
)
from airflow_provider_asyncapi.core.profiles.lint import Mistake, find_mistakes

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable


def list_profiles(_arguments: argparse.Namespace, output: Output) -> ExitCode:
    """List the profiles that tasks can use, with their titles and files."""
    listed = [
        {"name": name, "title": _read_title(file), "file": str(file)} for name, file in find_profile_files().items()
    ]
    if output.as_json:
        output.write_json(listed)
    else:
        output.write_table([(each["name"], each["title"], each["file"]) for each in listed])
    return ExitCode.OK


def _read_title(file: Traversable) -> str:
    try:
        about = tomllib.loads(file.read_text(encoding="utf-8")).get("about", {})
    except (OSError, ValueError):
        return "(not readable; see `profiles check`)"
    title = about.get("title") if isinstance(about, Mapping) else None
    return title if isinstance(title, str) else ""


def show_profile(arguments: argparse.Namespace, output: Output) -> ExitCode:
    """Show the tables of a profile, and the origin of each key."""
    profile = load_profile(arguments.name)
    files = read_profile_files(arguments.name)
    tables = {
        table: {key: {"value": value, "origin": _find_origin(files, table, key)} for key, value in content.items()}
        for table, content in profile.items()
        if content
    }
    if output.as_json:
        output.write_json({"name": arguments.name, "file": str(_find_file(arguments.name)), "tables": tables})
        return ExitCode.OK
    output.write(f"# {_find_file(arguments.name)}")
    for table, content in tables.items():
        output.write()
        output.write(f"[{table}]")
        for key, entry in content.items():
            inherited = "" if entry["origin"] == arguments.name else f"  # from {entry['origin']}"
            output.write(f"{key} = {format_toml(entry['value'])}{inherited}")
    return ExitCode.OK


def _find_origin(files: Sequence[ProfileFile], table: str, key: str) -> str:
    """Return the name of the profile that sets a key: itself, or one that it extends."""
    return next(file.name for file in files if key in file.content.get(table, {}))


def _find_file(name: str) -> Traversable:
    file: Traversable = find_profile_files()[name]
    return file


def format_toml(value: Any) -> str:
    """Return a value as TOML writes it on one line."""
    if isinstance(value, Mapping):
        inside = ", ".join(f"{_format_key(key)} = {format_toml(each)}" for key, each in value.items())
        return f"{{ {inside} }}" if inside else "{}"
    if isinstance(value, list):
        return f"[{', '.join(map(format_toml, value))}]"
    # Strings, booleans and finite numbers are the same in JSON.
    return json.dumps(value, ensure_ascii=False, default=str)


def _format_key(key: str) -> str:
    is_bare = key.isascii() and key.replace("-", "").replace("_", "").isalnum()
    return key if is_bare else json.dumps(key, ensure_ascii=False)


def check_profiles(arguments: argparse.Namespace, output: Output) -> ExitCode:
    """Check the files of profiles, or all known profiles."""
    files: list[Any] = [Path(each) for each in arguments.files] or [*find_profile_files().values()]
    mistakes = [(file, mistake) for file in files for mistake in find_mistakes(read_profile_file(file))]
    if output.as_json:
        output.write_json([_dump_mistake(file, mistake) for file, mistake in mistakes])
    else:
        for file, mistake in mistakes:
            output.write(mistake.describe_in(file))
        output.write(_count(len(files), "profile") + " checked: " + (_count(len(mistakes), "mistake") or "no mistakes"))
    return ExitCode.FAILED if mistakes else ExitCode.OK


def _dump_mistake(file: object, mistake: Mistake) -> dict[str, Any]:
    return {
        "file": str(file),
        "line": mistake.line,
        "table": mistake.table,
        "key": mistake.key,
        "message": mistake.message,
    }


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}" if number else ""
