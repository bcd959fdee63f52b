"""
The record that undoes a commit: the new files, and the backups of the files that they replace.

Other writers, such as another task or an archive of the API, may write to the destination too. So the record is signed,
and a record without the task's signature isn't trusted.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from airflow_provider_asyncapi.core.http.filenames import RESERVED_PREFIX

#: A file below the destination, and the name under which the former one was kept; None if there was none.
UndoEntry = tuple[str, str | None]


class UnverifiedRecordError(Exception):
    """The record isn't one that a try of this task has written."""


@dataclass(frozen=True, slots=True)
class UndoRecord:
    """
    Writes and reads the record of one task.

    :param prefix: the prefix of the names of the task's staging folders.
    :param key: signs the record; only Airflow knows it.
    """

    prefix: str
    key: bytes

    def dump(self, entries: list[UndoEntry]) -> bytes:
        """Return the signed record of these files."""
        files = json.dumps(entries)
        return json.dumps({"files": files, "signature": self._sign(files)}).encode()

    def parse(self, content: bytes) -> list[UndoEntry]:
        """
        Return the files that a record names.

        :raises UnverifiedRecordError: if it isn't signed with the key, or names anything outside the destination.
        """
        try:
            record = json.loads(content)
            files, signature = str(record["files"]), str(record["signature"])
        except (ValueError, KeyError, TypeError, RecursionError):
            raise UnverifiedRecordError("it can't be read") from None
        if not hmac.compare_digest(self._sign(files).encode(), signature.encode(errors="replace")):
            raise UnverifiedRecordError("its signature doesn't fit")
        entries = [(name, backup) for name, backup in json.loads(files)]
        # Signed or not, nothing outside the destination is ever moved or deleted.
        backup_name = re.compile(rf"{re.escape(self.prefix)}-[0-9a-f]{{8}}\.part/\d+\.former")
        for name, backup in entries:
            if not _is_inside(name) or not (backup is None or backup_name.fullmatch(backup)):
                raise UnverifiedRecordError("it names a file that isn't the task's")
        return entries

    def _sign(self, files: str) -> str:
        return hmac.new(self.key, f"{self.prefix}\n{files}".encode(), hashlib.sha256).hexdigest()


def _is_inside(name: str) -> bool:
    """Return whether a name stays below the destination, and isn't one of the provider's own."""
    path = PurePosixPath(name)
    return (
        bool(path.parts) and not path.is_absolute() and ".." not in path.parts and not name.startswith(RESERVED_PREFIX)
    )
