"""Destinations: files are written to a staging folder, and moved in when all are complete."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import logging
import secrets
import threading
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from airflow_provider_asyncapi.core.errors import ConfigurationError, ResultTooLargeError
from airflow_provider_asyncapi.core.fetch.progress_meter import ProgressMeter
from airflow_provider_asyncapi.core.http.filenames import RESERVED_PREFIX
from airflow_provider_asyncapi.core.text import make_displayable
from airflow_provider_asyncapi.results.storage import BACKUP_SUFFIX, open_storage
from airflow_provider_asyncapi.results.undo import UndoEntry, UndoRecord, UnverifiedRecordError
from airflow_provider_asyncapi.transports.cancellation import Cancellation

log = logging.getLogger(__name__)
#: Bytes of the largest file that is read into memory: a document without rows, or a member with failed records.
MAX_IN_MEMORY = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class CompleteFile:
    """
    One complete file in the staging folder.

    :param path: its path.
    :param size: its size in bytes.
    :param sha256: its digest, hexadecimal; empty if none was computed.
    """

    path: Path
    size: int
    sha256: str

    def read(self, what: str, instead: str) -> bytes:
        """
        Return all of its bytes.

        :param what: the parameter that needs the content, and a name for the file, for the message.
        :param instead: the advice if the file is too large.
        :raises ResultTooLargeError: if the file is too large.
        """
        if self.size > MAX_IN_MEMORY:
            raise ResultTooLargeError(
                f"{what} has {self.size} bytes, and at most {MAX_IN_MEMORY} are read as a whole; {instead}"
            )
        return self.path.read_bytes()


class ByteBudget:
    """
    Limits the bytes of all files of a result together.

    :param limit: the largest number of bytes.
    :param meter: makes the log lines of the progress.
    """

    def __init__(self, limit: float, meter: ProgressMeter | None = None) -> None:
        self._limit = limit
        self._meter = meter
        self._lock = threading.Lock()
        self._taken = self._expected = 0
        self._is_known = True

    def expect(self, size: int | None, former: int) -> None:
        """
        Announce the size of a file.

        :param size: bytes of the file; None if unknown.
        :param former: the size that was announced before.
        :raises ResultTooLargeError: if the files will exceed the limit.
        """
        with self._lock:
            self._is_known = self._is_known and size is not None
            self._expected += (size or 0) - former
            self._check(self._expected)

    def take(self, size: int) -> None:
        """
        Count bytes; a negative number returns some to the budget.

        :raises ResultTooLargeError: if the limit is exceeded.
        """
        with self._lock:
            self._taken += size
            self._check(self._taken)
            line = (
                self._meter.next_line(self._taken, self._expected if self._is_known else None) if self._meter else None
            )
        if line:
            log.info("%s", line)

    def _check(self, size: int) -> None:
        if size > self._limit:
            raise ResultTooLargeError(
                f"max_bytes, max_ratio: the result has {size} bytes or more, and {self._limit:.0f} are allowed; nothing"
                " was kept"
            )


class PartialFile:
    """
    A file that is being written to the staging folder: a :class:`~.downloads.DownloadTarget`.

    :param path: its path.
    :param budget: counts its bytes.
    :param digest: whether to compute its SHA-256.
    """

    def __init__(self, path: Path, budget: ByteBudget, *, digest: bool = True) -> None:
        self._path = path
        self._budget = budget
        self._file: BinaryIO = path.open("wb")
        self._digest = hashlib.sha256() if digest else None
        self._expected = 0
        self.size = 0

    def expect(self, size: int | None) -> None:
        """
        Announce the size of the file.

        :raises ResultTooLargeError: if it exceeds the budget.
        """
        self._budget.expect(size, self._expected)
        self._expected = size or 0

    def write(self, chunk: bytes) -> None:
        """
        Write the next bytes.

        :raises ResultTooLargeError: if they exceed the budget.
        """
        self.size += len(chunk)
        self._budget.take(len(chunk))
        self._file.write(chunk)
        if self._digest is not None:
            self._digest.update(chunk)

    def restart(self) -> None:
        """Truncate the file: the transfer begins again."""
        self._file.seek(0)
        self._file.truncate()
        if self._digest is not None:
            self._digest = hashlib.sha256()
        self._budget.take(-self.size)
        self.size = 0

    def finish(self) -> CompleteFile:
        """Close the file, and return it as a complete one."""
        self._file.close()
        return CompleteFile(self._path, self.size, self._digest.hexdigest() if self._digest is not None else "")

    def close(self) -> None:
        """Close the file, complete or not."""
        # The buffer may not fit on the disk; it isn't needed any more.
        with contextlib.suppress(OSError):
            self._file.close()


@dataclass(frozen=True, slots=True)
class Owner:
    """
    The task that writes to a destination.

    :param name: a name that is the same for all tries of a task, so that one finds the files of another.
    :param is_retry: whether there was a try before this one.
    :param secret: returns the key that signs the record of a commit, the same for all tries; None if Airflow has
        none, and then no try undoes what another has left.
    """

    name: str
    is_retry: bool = False
    secret: Callable[[], bytes | None] = lambda: None


class Destination:
    """
    The destination of a result. No file appears before :meth:`commit`, and no file remains that wasn't committed.

    Files are moved into a folder one after the other. During this time, a record in the folder names the new files and
    the backups of replaced files: it is used to undo a commit that fails, or one of an earlier try that was killed or
    lost its result.

    :param target: a path or URL that ``ObjectStoragePath`` takes; with a slash at its end a folder.
    :param owner: the task, whose next try cleans up after this one; None for no task.
    :param cancellation: stops a commit; None for one that runs to its end.
    :raises ConfigurationError: if the target can't be a destination.
    """

    def __init__(self, target: str, owner: Owner | None = None, cancellation: Cancellation | None = None) -> None:
        self.target = target
        self._owner = owner or Owner(uuid.uuid4().hex)
        self._storage, self._name = open_storage(target, cancellation or Cancellation())
        key = hashlib.sha256(self._owner.name.encode()).hexdigest()[:16]
        self._prefix = f"{RESERVED_PREFIX}{key}"
        self._staging_name = f"{self._prefix}-{uuid.uuid4().hex[:8]}.part"
        self._files: list[PartialFile] = []
        # Several threads open files, and cached_property has no lock from Python 3.12 on.
        self._staging: Path | None = None
        self._staging_lock = threading.Lock()
        self._numbers = itertools.count()
        self._committed: list[UndoEntry] = []
        self._unverified_record: bytes | None = None

    @property
    def is_folder(self) -> bool:
        """Whether it takes several files."""
        return not self._name

    @property
    def staging(self) -> Path:
        """The folder for incomplete files; created at the first access."""
        with self._staging_lock:
            if self._staging is None:
                self._staging = self._storage.make_staging_folder(self._staging_name)
            return self._staging

    @property
    def _undo_record(self) -> UndoRecord:
        return UndoRecord(self._prefix, self._owner.secret() or secrets.token_bytes(32))

    def undo_earlier_try(self) -> None:
        """
        Undo the commit that an earlier try of the same task has left.

        :raises OSError: if it can't be undone; its record stays for the next try.
        """
        earlier = self._read_record()
        if earlier is None:
            # Only a person can decide: the backups may be the only copies of former files.
            return
        if earlier:
            log.warning("An earlier try of this task has left files at %s; they are removed", self.target)
            self._committed = earlier
            self._storage.abort_uploads({name for entry in self._committed for name in entry if name})
            if not self._undo(self._committed):
                raise OSError(
                    f"destination: what an earlier try of this task has left at {self.target} couldn't be undone, as"
                    " the log shows; fix the cause, and run the task again: its next try undoes the rest"
                )
            self.finalize()
        elif self._owner.is_retry and not self.is_folder:
            # One file needs no record: the store lists unfinished uploads.
            self._storage.abort_uploads({self._name})
        self._storage.remove_stale_folders(f"{self._prefix}-")

    def open_file(
        self, budget: ByteBudget, make: Callable[[Path, ByteBudget], PartialFile] = PartialFile
    ) -> PartialFile:
        """
        Open a new file in the staging folder; it needn't be committed.

        :param budget: counts its bytes.
        :param make: creates it from its path and the budget.
        """
        file = make(self.staging / f"{next(self._numbers)}.part", budget)
        self._files.append(file)
        return file

    def check_file_count(self, count: int) -> None:
        """
        Check that the destination can hold this number of files.

        :raises ConfigurationError: if there are several, and the destination is one file.
        """
        if count > 1 and not self.is_folder:
            raise ConfigurationError(
                f"destination: {self.target!r} is one file, and there are several; end it with a slash"
            )

    def commit(self, files: Sequence[tuple[tuple[str, ...], CompleteFile]]) -> list[str]:
        """
        Move complete files to the destination: all of them, or none.

        :param files: (path below the destination, file) pairs; the path is ignored if the destination is a file.
        :return: the path or URL of each.
        """
        self.check_file_count(len(files))
        names = ["/".join(path) if self.is_folder else self._name for path, _ in files]
        moves = [(stored.path, name) for name, (_, stored) in zip(names, files, strict=True)]
        existing = self._storage.find_existing(names)
        if self.is_folder and names:
            backups = [
                f"{self._staging_name}/{number}{BACKUP_SUFFIX}" if there else None
                for number, there in enumerate(existing)
            ]
            self._committed = list(zip(names, backups, strict=True))
            try:
                self._move_unverified_record()
                self._storage.write(self._record_name, self._undo_record.dump(self._committed))
                self._storage.back_up([(name, backup) for name, backup in self._committed if backup])
                self._storage.move_in(moves)
            except BaseException:
                if self._undo(self._committed):
                    self.finalize()
                raise
        else:
            # One file replaces another atomically: there is nothing to undo.
            self._storage.move_in(moves)
        return [self._storage.describe(name) for name in names]

    def finalize(self) -> None:
        """Make the commit final, so that no later try undoes it."""
        for name in (
            [self._record_name, *(backup for _, backup in self._committed if backup)] if self._committed else ()
        ):
            with contextlib.suppress(Exception):
                self._storage.remove(name)
        self._committed = []

    def close(self) -> None:
        """Remove all that wasn't committed; the backups of a commit that isn't final stay for a later try."""
        for file in self._files:
            file.close()
        self._storage.close(keep=[backup for _, backup in self._committed if backup])

    @property
    def _record_name(self) -> str:
        return f"{self._prefix}.json"

    def _read_record(self) -> list[UndoEntry] | None:
        """Return what an earlier try has recorded to undo; None if the record can't be verified."""
        content = self._storage.read(self._record_name) if self.is_folder else None
        if content is None:
            return []
        try:
            return self._undo_record.parse(content)
        except UnverifiedRecordError as problem:
            self._unverified_record = content
            log.warning(
                "%s looks like the record of an earlier try of this task, but %s: nothing is undone. Backups of files"
                " may be in folders %s-….part in the same folder; check them, then delete both",
                self._storage.describe(self._record_name),
                problem,
                self._prefix,
            )
        return None

    def _move_unverified_record(self) -> None:
        """Keep an unverified record under another name, since a commit overwrites it."""
        if self._unverified_record is not None:
            name = f"{self._staging_name.removesuffix('.part')}.unverified.json"
            self._storage.write(name, self._unverified_record)
            self._unverified_record = None
            log.warning("The unverified record is %s now", self._storage.describe(name))

    def _undo(self, committed: list[UndoEntry]) -> bool:
        """Restore all files, even if the commit had only begun; return whether that worked."""
        is_restored = True
        for name, backup in reversed(committed):
            try:
                if backup is None:
                    self._storage.remove(name)
                else:
                    self._storage.restore(backup, name)
            except Exception:
                # The error that led here is the one to raise.
                log.warning("%s couldn't be restored", make_displayable(self._storage.describe(name)), exc_info=True)
                is_restored = False
        return is_restored
