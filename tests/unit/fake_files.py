"""A draft in memory, for tests that write to none on disk."""

from __future__ import annotations


class MemoryDraft:
    """Keeps what a download writes, and how it was written."""

    def __init__(self) -> None:
        self.content = b""
        self.restarts = 0
        self.expected: list[int | None] = []
        self.largest = 0

    def expect(self, size: int | None) -> None:
        self.expected.append(size)

    def write(self, data: bytes) -> None:
        self.content += data
        self.largest = max(self.largest, len(data))

    def restart(self) -> None:
        self.content = b""
        self.restarts += 1
