"""Collects the bytes of rows before they are written."""

from __future__ import annotations

from airflow_provider_asyncapi.results.destination import CompleteFile, PartialFile

_PIECE = 64 * 1024


class RowBuffer:
    """
    Collects rows: to count, digest and write each on its own takes longer than to encode it.

    :param file: the file in the staging folder.
    """

    def __init__(self, file: PartialFile) -> None:
        self._file = file
        self._pending = bytearray()

    def write(self, data: bytes) -> None:
        """Write the bytes of a row."""
        self._pending += data
        if len(self._pending) >= _PIECE:
            self._flush()

    def finish(self) -> CompleteFile:
        """Complete the file."""
        self._flush()
        return self._file.finish()

    def _flush(self) -> None:
        self._file.write(bytes(self._pending))
        self._pending.clear()
