"""Safe names for files whose names come from an API."""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import unquote, unquote_to_bytes, urlsplit

from airflow_provider_asyncapi.core.errors import ArchiveError, ResultTooLargeError
from airflow_provider_asyncapi.core.http.charsets import find_codec
from airflow_provider_asyncapi.core.http.messages import Response
from airflow_provider_asyncapi.core.text import make_displayable, shorten

#: Prefix of the names of temporary files of this package at a destination, which no file from an API may have.
RESERVED_PREFIX = ".asyncapi-"
#: Limits of file systems for a name, and of object stores for a path, in bytes.
_MAX_LENGTH, _MAX_PATH = 255, 1024
#: A name of our own choice leaves room for a number before it.
_LONGEST_NAME, _LONGEST_SUFFIX = 200, 20
#: Characters that some systems don't allow in a name.
_UNSAFE = re.compile(r"[<>:\"|?*]")
#: Part of a content type, and the suffix of its files; the first match counts.
_SUFFIXES = {"ndjson": "ndjson", "jsonl": "ndjson", "json": "json", "xml": "xml", "csv": "csv", "html": "html"}
_S3_VERSION = "?versionId="
#: A parameter of `Content-Disposition` (RFC 6266, section 4.1); matching takes time linear in the header's length.
_PARAMETER = re.compile(r';\s*(?P<name>[\w!#$&+.^`|~*-]+)\s*=\s*(?P<value>"(?:[^"\\]|\\.)*"|[^;]*)', re.ASCII)
_ESCAPED = re.compile(r"\\(.)")
_DRIVE = re.compile(r"[A-Za-z]:")


def choose_file_name(response: Response, fallback: str) -> str:
    """
    Return the name of a downloaded file: ``Content-Disposition`` (RFC 6266), the URL's last segment, the fallback.

    The name never contains a directory or a control character, and the file is never hidden.
    """
    segment = unquote(urlsplit(response.url).path.rpartition("/")[2])
    for candidate in (_parse_content_disposition(response), segment if "." in segment else "", fallback):
        if name := _make_safe(candidate):
            return name
    return "result"


def choose_page_name(number: int, response: Response) -> str:
    """Return the name of the file of one page; names sort in the order of the pages."""
    kind = response.content_type
    suffix = next((suffix for part, suffix in _SUFFIXES.items() if part in kind), "txt")
    return f"page-{number:06}.{suffix}"


def _parse_content_disposition(response: Response) -> str:
    header = response.headers.get("content-disposition", "")
    given = {match["name"].lower(): match["value"].strip() for match in _PARAMETER.finditer(header)}
    # The extended form stands for itself where both are given (RFC 6266, section 4.3).
    if "filename*" in given:
        # Charset, language and value between apostrophes (RFC 8187, section 3.2).
        charset, _, value = given["filename*"].strip('"').rpartition("'")
        return unquote_to_bytes(value).decode(find_codec(charset.partition("'")[0]) or "utf-8", "replace")
    value = given.get("filename", "")
    return _ESCAPED.sub(r"\1", value[1:].removesuffix('"')) if value.startswith('"') else value


def _make_safe(name: str) -> str:
    base = name.replace("\\", "/").rpartition("/")[2]
    if len(base) > _MAX_PATH:
        # Before it is looked at: putting many combining characters in order takes time that grows with their square.
        base = base[:_MAX_LENGTH] + base[-_LONGEST_SUFFIX:]
    base = unicodedata.normalize("NFC", base)
    shown = "".join(character if character.isprintable() else "_" for character in base)
    shown = _UNSAFE.sub("_", shown).strip(" .")
    suffix = shown[shown.rfind(".") :] if "." in shown else ""
    if len(suffix.encode()) > _LONGEST_SUFFIX:
        suffix = ""
    stem = shown.removesuffix(suffix).encode()[: _LONGEST_NAME - len(suffix.encode())]
    return stem.decode(errors="ignore") + suffix


def check_member_name(name: str) -> tuple[str, ...]:
    """
    Check the name of an archive's member, and split it.

    :return: the segments of its path below the destination.
    :raises ArchiveError: if it is an absolute path, too long or reserved for files of this package, or has a drive
        letter, ``..``, a control character or one that changes the order in which the name is read.
    """
    segments = tuple(part for part in name.replace("\\", "/").split("/") if part not in ("", "."))
    if not segments or name.startswith(("/", "\\")) or _DRIVE.match(name) or ".." in segments:
        raise ArchiveError(
            f"the archive's member {format_member_name(name)} would leave the destination; nothing was kept"
        )
    if (
        # In a listing, "report\u202evsc.exe" reads "reportexe.csv".
        make_displayable(name) != name
        or any(unicodedata.category(character) in ("Cc", "Cs") for character in name)
        or any(len(part.encode()) > _MAX_LENGTH for part in segments)
        or len("/".join(segments).encode()) > _MAX_PATH
        # In any folder: for another task, a folder of this destination may be its own.
        or any(make_collision_key((part,)).startswith(RESERVED_PREFIX) for part in segments)
        # Of such a name S3's file system takes the end for a version, and the rest for another member's name.
        or _S3_VERSION in name
    ):
        raise ArchiveError(
            f"the archive's member {format_member_name(name)} can't be the name of a file; nothing was kept"
        )
    return segments


class MemberNames:
    """
    The names of an archive's members, which have to be different from each other.

    :param max_folders: maximum number of folders.
    """

    def __init__(self, max_folders: int) -> None:
        self._max_folders = max_folders
        self._files: dict[str, str] = {}
        self._folders: dict[str, str] = {}

    def add(self, name: str) -> tuple[str, ...]:
        """
        Check one more name.

        :return: the segments of its path below the destination.
        :raises ArchiveError: if it isn't one (:func:`check_member_name`), or it would be one file with another, or a
            folder in its way.
        :raises ResultTooLargeError: if there are too many folders.
        """
        segments = check_member_name(name)
        key = make_collision_key(segments)
        if key in self._files:
            raise ArchiveError(
                f"the archive's members {format_member_name(self._files[key])} and {format_member_name(name)} would be"
                " one file"
            )
        above = [key]
        while parent := above[-1].rpartition("/")[0]:
            above.append(parent)
        for file, inside in [(name, self._folders.get(key)), *((self._files.get(each), name) for each in above[1:])]:
            if file is not None and inside is not None:
                raise ArchiveError(
                    f"the archive's member {format_member_name(file)} would be a file and the folder of"
                    f" {format_member_name(inside)}"
                )
        self._files[key] = name
        self._folders |= dict.fromkeys(above[1:], name)
        if len(self._folders) > self._max_folders:
            raise ResultTooLargeError(
                f"max_members: the archive's files are in more than {self._max_folders} folders; nothing was kept"
            )
        return segments


def make_collision_key(segments: tuple[str, ...]) -> str:
    """Return a key that is equal for names of the same file on some file system: case and Unicode forms are folded."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", "/".join(segments)).casefold())


def format_member_name(name: str) -> str:
    """Return a member's name for a message."""
    return repr(shorten(name, 200))
