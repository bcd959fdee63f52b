"""Names for files that come from outside."""

from __future__ import annotations

import email.message
import re
import unicodedata
from urllib.parse import unquote, urlsplit

from airflow_provider_asyncapi.core.errors import ArchiveError
from airflow_provider_asyncapi.core.messages import Response
from airflow_provider_asyncapi.core.values import shorten

#: What file systems allow in a name, in bytes.
_MAX_LENGTH = 255
#: A name of our own choice leaves room for a number before it.
_LONGEST_NAME, _LONGEST_SUFFIX = 200, 20
#: What one system or another doesn't allow in a name.
_UNSAFE = re.compile(r"[<>:\"|?*]")
_DRIVE = re.compile(r"[A-Za-z]:")


def file_name(response: Response, fallback: str) -> str:
    """
    Choose the name of a downloaded file: ``Content-Disposition`` (RFC 6266), the URL's last segment, the fallback.

    Whatever the API says, the name has no directory, no control character, and isn't hidden.
    """
    segment = unquote(urlsplit(response.url).path.rpartition("/")[2])
    for candidate in (_given_name(response), segment if "." in segment else "", fallback):
        if name := _safe(candidate):
            return name
    return "result"


def _given_name(response: Response) -> str:
    # The extended form stands for itself where both are given (RFC 6266, section 4.3).
    header = response.headers.get("content-disposition", "")
    if re.search(r";\s*filename\*\s*=", header, re.IGNORECASE):
        header = re.sub(r";\s*filename\s*=\s*(?:\"(?:[^\"\\]|\\.)*\"|[^;]*)", "", header, flags=re.IGNORECASE)
    message = email.message.Message()
    message["content-disposition"] = header
    return message.get_filename("")


def _safe(name: str) -> str:
    base = unicodedata.normalize("NFC", re.split(r"[/\\]", name)[-1])
    shown = "".join(character if character.isprintable() else "_" for character in base)
    shown = _UNSAFE.sub("_", shown).strip(" .")
    suffix = shown[shown.rfind(".") :] if "." in shown else ""
    if len(suffix.encode()) > _LONGEST_SUFFIX:
        suffix = ""
    stem = shown.removesuffix(suffix).encode()[: _LONGEST_NAME - len(suffix.encode())]
    return stem.decode(errors="ignore") + suffix


def check_member(name: str) -> tuple[str, ...]:
    """
    Check the name of an archive's member, and take it apart.

    :return: the segments of its path below the destination.
    :raises ArchiveError: on an absolute path, a drive letter, ``..``, a control character, or a name that is too long.
    """
    segments = tuple(part for part in name.replace("\\", "/").split("/") if part not in ("", "."))
    if not segments or name.startswith(("/", "\\")) or _DRIVE.match(name) or ".." in segments:
        raise ArchiveError(f"the archive's member {shown_member(name)} would leave the destination; nothing was kept")
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in name) or any(
        len(part.encode()) > _MAX_LENGTH for part in segments
    ):
        raise ArchiveError(f"the archive's member {shown_member(name)} can't be the name of a file; nothing was kept")
    return segments


def collision_key(segments: tuple[str, ...]) -> str:
    """Give what two names share that would be one file on some file system: case and Unicode forms folded."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", "/".join(segments)).casefold())


def shown_member(name: str) -> str:
    """Give a member's name for a message."""
    return repr(shorten(name, 200))
