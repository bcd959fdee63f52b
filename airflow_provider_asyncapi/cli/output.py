"""The output of commands: text for people, or JSON for programs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from typing import Any, TextIO

from airflow_provider_asyncapi.core.text import make_displayable

#: Spaces between two columns.
_GAP = 2


class Output:
    """
    Writes the output of a command.

    :param stream: the stream to write to.
    :param as_json: whether to write JSON for programs instead of text.
    """

    def __init__(self, stream: TextIO, *, as_json: bool = False) -> None:
        self._stream = stream
        self.as_json = as_json

    @property
    def terminal(self) -> TextIO | None:
        """The terminal that the output goes to; None if it goes elsewhere, or is JSON."""
        return self._stream if self._stream.isatty() and not self.as_json else None

    @property
    def width(self) -> int | None:
        """The number of columns of the terminal; None if the output isn't a terminal."""
        return shutil.get_terminal_size().columns if self._stream.isatty() else None

    def write(self, text: str = "") -> None:
        """Write a line, without characters that a terminal would act on."""
        self._stream.write(f"{make_displayable(text)}\n")

    def write_json(self, value: Any) -> None:
        """Write a JSON document."""
        self._stream.write(json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n")

    def write_table(self, rows: Sequence[Sequence[str]]) -> None:
        """
        Write rows in columns.

        If the terminal is too narrow, each row is written as a block of lines.
        """
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        if self.width is not None and sum(widths) + _GAP * (len(widths) - 1) > self.width:
            for first, *others in rows:
                self.write(first)
                for text in others:
                    self.write(f"{'':{_GAP}}{text}")
            return
        for row in rows:
            cells = (f"{text:{width + _GAP}}" for text, width in zip(row, widths, strict=True))
            self.write("".join(cells).rstrip())
