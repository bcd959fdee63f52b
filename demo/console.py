"""What the demo prints: lines with the time before them, and a sign of life when there is nothing to tell."""

from __future__ import annotations

import os
import sys
import threading
import time
from types import TracebackType
from typing import Self

#: Who sees nothing for longer than this wonders whether it hangs.
QUIET_SECONDS = 4.0


class Console:
    """
    Print lines with the seconds since the start before them; in colour on a terminal only.

    As a context manager, repeat what is being done whenever nothing was printed for a while.

    :param quiet_seconds: seconds without a line after which a sign of life is printed
    """

    def __init__(self, quiet_seconds: float = QUIET_SECONDS) -> None:
        self._start = time.monotonic()
        self._coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        self._quiet_seconds = quiet_seconds
        self._printed = threading.Event()
        self._is_over = False
        self._thread = threading.Thread(target=self._show_life, name="sign-of-life", daemon=True)
        #: What the sign of life says; no sign of life is given while it is empty.
        self.doing = ""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_over = True
        self._printed.set()
        self._thread.join()

    def step(self, text: str) -> None:
        """Print the name of a step, which lasts until the next one."""
        self.doing = text
        self.line(self.paint(text, "1"))

    def line(self, text: str) -> None:
        """Print a detail of the step."""
        print(f"{time.monotonic() - self._start:7.1f} s  {text}", flush=True)
        self._printed.set()

    def paint(self, text: str, colour: str) -> str:
        """Wrap a text in an ANSI colour if the output has colours."""
        return f"\033[{colour}m{text}\033[0m" if self._coloured and colour else text

    def _show_life(self) -> None:
        while not self._is_over:
            if self._printed.wait(self._quiet_seconds):
                self._printed.clear()
            elif self.doing:
                self.line(self.paint(f"… {self.doing}", "2"))
