"""Decompress a gzip file while it is fetched."""

from __future__ import annotations

import zlib
from pathlib import Path

from airflow_provider_asyncapi.core.errors import ArchiveError, ResultTooLargeError
from airflow_provider_asyncapi.core.http.compression import GZIP_MAGIC, Inflater
from airflow_provider_asyncapi.results.archives import MIN_PACKED_SIZE, ArchiveLimits
from airflow_provider_asyncapi.results.destination import ByteBudget, CompleteFile, PartialFile


class GunzippingPartialFile(PartialFile):
    """
    A file that is decompressed while it is written, if it is a gzip file.

    :param path: its path.
    :param limits: the limits of what it unpacks to.
    """

    def __init__(self, path: Path, budget: ByteBudget, limits: ArchiveLimits) -> None:
        super().__init__(path, budget)
        self._limits = limits
        self._reset()

    def _reset(self) -> None:
        self._packed_size, self._beginning, self._is_uncompressed = 0, b"", False
        self._inflater: Inflater | None = None

    def expect(self, size: int | None) -> None:
        """Ignore the size: it is that of the packed file."""

    def restart(self) -> None:
        """Truncate the file: the transfer begins again."""
        super().restart()
        self._reset()

    def write(self, chunk: bytes) -> None:
        """
        Write the next packed bytes.

        :raises ArchiveError: if they are broken.
        :raises ResultTooLargeError: if they unpack to more than the limits.
        """
        if self._inflater is None and not self._is_uncompressed:
            self._beginning += chunk
            if len(self._beginning) < len(GZIP_MAGIC):
                return
            chunk, self._beginning = self._beginning, b""
            self._is_uncompressed = not chunk.startswith(GZIP_MAGIC)
            self._inflater = None if self._is_uncompressed else Inflater()
        if self._inflater is None:
            super().write(chunk)
            return
        self._packed_size += len(chunk)
        try:
            for piece in self._inflater.feed(chunk):
                super().write(piece)
                if self.size > max(self._packed_size, MIN_PACKED_SIZE) * self._limits.max_ratio:
                    raise ResultTooLargeError("max_ratio: the gzip file unpacks to more than allowed; nothing was kept")
        except zlib.error as error:
            raise ArchiveError(f"the gzip file is broken: {error}; nothing was kept") from error

    def finish(self) -> CompleteFile:
        """
        Close the file, and return it as a complete one.

        :raises ArchiveError: if it ends too early.
        """
        if self._inflater is not None and self._inflater.is_open:
            raise ArchiveError("the gzip file is broken: it ends too early; nothing was kept")
        super().write(self._beginning)
        return super().finish()
