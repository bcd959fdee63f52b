"""Destinations: files are written beside, and put into their places when all are complete."""

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
from airflow_provider_asyncapi.core.fetch.progress_meter import Meter
from airflow_provider_asyncapi.core.http.filenames import OWN_NAMES
from airflow_provider_asyncapi.core.json_values import make_displayable
from airflow_provider_asyncapi.results.storage import FORMER, place_of
from airflow_provider_asyncapi.results.undo import Pair, UndoRecord, UnverifiedRecordError

log = logging.getLogger(__name__)
#: What is read into memory: a document that has no rows, or a member of an archive that says what failed.
LARGEST_WHOLE = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Stored:
    """
    One complete file, not yet where it belongs.

    :param path: where it is.
    :param size: in bytes.
    :param sha256: its digest, hexadecimal; empty where nobody asked for one.
    """

    path: Path
    size: int
    sha256: str

    def read(self, what: str, instead: str) -> bytes:
        """
        Give all of its bytes.

        :param what: it is, and which parameter wants to read it, for the message.
        :param instead: what to do where it is too large.
        :raises ResultTooLargeError: where it is.
        """
        if self.size > LARGEST_WHOLE:
            raise ResultTooLargeError(
                f"{what} has {self.size} bytes, and at most {LARGEST_WHOLE} are read as a whole; {instead}"
            )
        return self.path.read_bytes()


class Account:
    """
    What the files of a result have taken together.

    :param limit: how many bytes are too many.
    :param meter: tells people how far it is.
    """

    def __init__(self, limit: float, meter: Meter | None = None) -> None:
        self._limit = limit
        self._meter = meter
        self._lock = threading.Lock()
        self._taken = self._expected = 0
        self._is_known = True

    def expect(self, size: int | None, former: int) -> None:
        """
        Take notice of a file that is to come.

        :param size: in bytes, if that is known.
        :param former: what was expected of it before.
        :raises ResultTooLargeError: where it will be too large.
        """
        with self._lock:
            self._is_known = self._is_known and size is not None
            self._expected += (size or 0) - former
            self._check(self._expected)

    def take(self, size: int) -> None:
        """
        Count bytes; a negative number gives some back.

        :raises ResultTooLargeError: where there are too many.
        """
        with self._lock:
            self._taken += size
            self._check(self._taken)
            line = self._meter.line(self._taken, self._expected if self._is_known else None) if self._meter else None
        if line:
            log.info("%s", line)

    def _check(self, size: int) -> None:
        if size > self._limit:
            raise ResultTooLargeError(
                f"max_bytes, max_ratio: the result has {size} bytes or more, and {self._limit:.0f} are allowed; nothing"
                " was kept"
            )


class DraftFile:
    """
    A file that is being written: a :class:`~.downloads.Draft` that counts and digests.

    :param path: where it is written.
    :param account: whose bytes it takes.
    :param digest: whether anybody wants to know its digest.
    """

    def __init__(self, path: Path, account: Account, *, digest: bool = True) -> None:
        self._path = path
        self._account = account
        self._file: BinaryIO = path.open("wb")
        self._digest = hashlib.sha256() if digest else None
        self._expected = 0
        self.size = 0

    def expect(self, size: int | None) -> None:
        """
        Take notice of how large the file will be.

        :raises ResultTooLargeError: where that is too much.
        """
        self._account.expect(size, self._expected)
        self._expected = size or 0

    def write(self, chunk: bytes) -> None:
        """
        Take the next bytes.

        :raises ResultTooLargeError: where there are too many.
        """
        self.size += len(chunk)
        self._account.take(len(chunk))
        self._file.write(chunk)
        if self._digest is not None:
            self._digest.update(chunk)

    def restart(self) -> None:
        """Forget what was written: the transfer begins again."""
        self._file.seek(0)
        self._file.truncate()
        if self._digest is not None:
            self._digest = hashlib.sha256()
        self._account.take(-self.size)
        self.size = 0

    def finish(self) -> Stored:
        """Close the file, and give what it has become."""
        self._file.close()
        return Stored(self._path, self.size, self._digest.hexdigest() if self._digest is not None else "")

    def close(self) -> None:
        """Close the file, complete or not."""
        # What is still buffered may not fit on the disk; it isn't wanted any more.
        with contextlib.suppress(OSError):
            self._file.close()


@dataclass(frozen=True, slots=True)
class Owner:
    """
    The task that writes to a destination.

    :param name: the same for all tries of a task, so that one finds what another has left.
    :param is_retry: whether there was a try before this one.
    :param secret: returns what signs the record that undoes a commit, the same for all tries; None if Airflow has
        none, and then no try undoes what another has left.
    """

    name: str
    is_retry: bool = False
    secret: Callable[[], bytes | None] = lambda: None


class Destination:
    """
    Where a result goes. Nothing is there before :meth:`commit`, and nothing is left of what wasn't committed.

    A folder gets many files, one after the other. While it does, a record lies beside them, of what was new and where
    the former files are: it undoes a commit that fails, and one of an earlier try that was killed or lost its result.

    :param target: a path or URL that ``ObjectStoragePath`` takes; with a slash at its end a folder.
    :param owner: the task, whose next try finds what this one has left; None for nobody.
    :raises ConfigurationError: on a target that can't be one.
    """

    def __init__(self, target: str, owner: Owner | None = None) -> None:
        self.target = target
        self._owner = owner or Owner(uuid.uuid4().hex)
        self._place, self._name = place_of(target)
        key = hashlib.sha256(self._owner.name.encode()).hexdigest()[:16]
        self._prefix = f"{OWN_NAMES}{key}"
        self._aside = f"{self._prefix}-{uuid.uuid4().hex[:8]}.part"
        self._drafts: list[DraftFile] = []
        # Drafts are begun by several threads, and cached_property has no lock from Python 3.12 on.
        self._staging: Path | None = None
        self._staging_lock = threading.Lock()
        self._numbers = itertools.count()
        self._committed: list[Pair] = []
        self._unverified_record: bytes | None = None

    @property
    def is_folder(self) -> bool:
        """Whether it takes several files."""
        return not self._name

    @property
    def staging(self) -> Path:
        """The folder for what isn't complete; the first who asks has it made."""
        with self._staging_lock:
            if self._staging is None:
                self._staging = self._place.staging(self._aside)
            return self._staging

    @property
    def _undo_record(self) -> UndoRecord:
        return UndoRecord(self._prefix, self._owner.secret() or secrets.token_bytes(32))

    def undo_earlier(self) -> None:
        """
        Remove what an earlier try of the same task has left.

        :raises OSError: if it can't be undone; its record stays, for the next try to undo it.
        """
        earlier = self._read_record()
        if earlier is None:
            # Only a person can tell what the record needs: what lies aside may be the only copies of former files.
            return
        if earlier:
            log.warning("An earlier try of this task has left files at %s; they are removed", self.target)
            self._committed = earlier
            self._place.abort_uploads({name for pair in self._committed for name in pair if name})
            if not self._undo(self._committed):
                raise OSError(
                    f"destination: what an earlier try of this task has left at {self.target} couldn't be undone, as"
                    " the log says; mend that, and run the task again: its next try undoes the rest"
                )
            self.settle()
        elif self._owner.is_retry and not self.is_folder:
            # One file needs no record: the store has one of uploads that were begun.
            self._place.abort_uploads({self._name})
        self._place.sweep(f"{self._prefix}-")

    def draft(self, account: Account, make: Callable[[Path, Account], DraftFile] = DraftFile) -> DraftFile:
        """
        Give one more file to write; it may also be one that isn't committed.

        :param account: counts its bytes.
        :param make: makes it.
        """
        draft = make(self.staging / f"{next(self._numbers)}.part", account)
        self._drafts.append(draft)
        return draft

    def check_room(self, count: int) -> None:
        """
        Check that there is room for so many files.

        :raises ConfigurationError: where several files should become one.
        """
        if count > 1 and not self.is_folder:
            raise ConfigurationError(
                f"destination: {self.target!r} is one file, and there are several; end it with a slash"
            )

    def commit(self, files: Sequence[tuple[tuple[str, ...], Stored]]) -> list[str]:
        """
        Put complete files in their places: all of them, or none.

        :param files: (path below a destination that is a folder, file) pairs; the path doesn't count for one that is a
            file.
        :return: where each is now.
        """
        self.check_room(len(files))
        names = ["/".join(path) if self.is_folder else self._name for path, _ in files]
        puts = [(stored.path, name) for name, (_, stored) in zip(names, files, strict=True)]
        present = self._place.present(names)
        if self.is_folder and names:
            formers = [f"{self._aside}/{number}{FORMER}" if there else None for number, there in enumerate(present)]
            self._committed = list(zip(names, formers, strict=True))
            try:
                self._keep_unverified_record()
                self._place.write(self._record, self._undo_record.dump(self._committed))
                self._place.keep([(name, former) for name, former in self._committed if former])
                self._place.put(puts)
            except BaseException:
                if self._undo(self._committed):
                    self.settle()
                raise
        else:
            # One file replaces another at once: there is nothing to undo.
            self._place.put(puts)
        return [self._place.shown(name) for name in names]

    def settle(self) -> None:
        """Keep what is there for good: no later try has to undo it."""
        for name in [self._record, *(former for _, former in self._committed if former)] if self._committed else ():
            with contextlib.suppress(Exception):
                self._place.remove(name)
        self._committed = []

    def close(self) -> None:
        """Remove all that wasn't committed; what an unsettled commit has put aside stays for a later try."""
        for draft in self._drafts:
            draft.close()
        self._place.close(keep=[former for _, former in self._committed if former])

    @property
    def _record(self) -> str:
        return f"{self._prefix}.json"

    def _read_record(self) -> list[Pair] | None:
        """Return what an earlier try says to undo; None if it isn't certain that a try of this task says it."""
        content = self._place.read(self._record) if self.is_folder else None
        if content is None:
            return []
        try:
            return self._undo_record.parse(content)
        except UnverifiedRecordError as problem:
            self._unverified_record = content
            log.warning(
                "%s looks like what an earlier try of this task left, but %s: nothing is undone. Former files may be in"
                " folders %s-….part beside it; delete both once you have looked",
                self._place.shown(self._record),
                problem,
                self._prefix,
            )
        return None

    def _keep_unverified_record(self) -> None:
        """Keep what an unbelieved record says about former files, since a commit writes its own in its place."""
        if self._unverified_record is not None:
            name = f"{self._aside.removesuffix('.part')}.unverified.json"
            self._place.write(name, self._unverified_record)
            self._unverified_record = None
            log.warning("The record that isn't believed is %s now", self._place.shown(name))

    def _undo(self, committed: list[Pair]) -> bool:
        """Put everything back, also where the commit had only begun; tell whether that worked."""
        worked = True
        for name, former in reversed(committed):
            try:
                if former is None:
                    self._place.remove(name)
                else:
                    self._place.bring_back(former, name)
            except Exception:
                # The error that led here says more than this one.
                log.warning(
                    "%s couldn't be put back as it was", make_displayable(self._place.shown(name)), exc_info=True
                )
                worked = False
        return worked
