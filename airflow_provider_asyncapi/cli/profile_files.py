"""The files of profiles that commands read."""

from __future__ import annotations

from pathlib import Path

from airflow_provider_asyncapi.cli.running import CommandError

#: No description of an API is longer, in bytes; a larger file is something else.
_MAX_FILE_SIZE = 1024 * 1024


def read_profile_file(file: Path) -> str:
    """
    Return the text of a profile.

    :raises CommandError: if the file can't be read, or is too large or no text.
    """
    try:
        with file.open("rb") as stream:
            content = stream.read(_MAX_FILE_SIZE + 1)
    except OSError as error:
        raise CommandError(f"{file}: can't be read: {error.strerror}") from None
    if len(content) > _MAX_FILE_SIZE:
        raise CommandError(f"{file}: has more than {_MAX_FILE_SIZE} bytes, so it isn't a profile")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise CommandError(f"{file}:{line}: isn't UTF-8, the encoding of TOML") from None
