"""Ask people in a terminal."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from airflow_provider_asyncapi.core.text import make_displayable


class Questions:
    """
    Asks questions on the standard error, and reads answers from the standard input.

    :ivar are_possible: whether somebody can answer.
    """

    def __init__(self) -> None:
        self.are_possible = sys.stdin.isatty()

    def choose(self, question: str, answers: Sequence[str]) -> int:
        """
        Return the index of the answer that somebody chooses by its number; the first one is the default.

        :raises KeyboardInterrupt: if the input ends.
        """
        for number, answer in enumerate(answers, 1):
            self._write(f"  {number}. {answer}\n")
        while True:
            text = self._ask(f"{question} [1] ")
            if not text:
                return 0
            if text.isdecimal() and 1 <= int(text) <= len(answers):
                return int(text) - 1
            self._write(f"  a number from 1 to {len(answers)}, please\n")

    def ask(self, question: str) -> str:
        """Return the line that somebody types, without white space around it."""
        return self._ask(f"{question} ")

    def read_command(self, question: str) -> str:
        """Return the lines that somebody pastes, up to an empty one."""
        self._write(f"{question}, then an empty line:\n")
        lines = []
        while line := self._read_line().rstrip("\r\n"):
            lines.append(line)
        return "\n".join(lines)

    def _ask(self, text: str) -> str:
        self._write(text)
        return self._read_line().strip()

    @staticmethod
    def _read_line() -> str:
        line = sys.stdin.readline()
        if not line:
            raise KeyboardInterrupt
        return line

    @staticmethod
    def _write(text: str) -> None:
        sys.stderr.write(make_displayable(text))
        sys.stderr.flush()
