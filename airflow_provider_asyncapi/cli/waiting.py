"""Wait between polls, with a live line in a terminal."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TextIO

from airflow_provider_asyncapi.core.lazy import LazyModule

if TYPE_CHECKING:
    from rich import console as rich_console
    from rich import progress as rich_progress
else:
    # Used only in a terminal.
    rich_console = LazyModule("rich.console")
    rich_progress = LazyModule("rich.progress")

#: Seconds between two updates of the live line.
_STEP = 0.25
#: The narrowest terminal that a bar fits in, in columns.
_BAR_COLUMNS = 60


def pause(seconds: float) -> None:
    """Sleep."""
    time.sleep(seconds)


class LiveLine:
    """
    Shows the state of a job while the command waits: a spinner, a progress bar, and the time until the next poll.

    :param stream: the terminal.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def wait(self, seconds: float, text: str, progress: float | None) -> None:
        """
        Wait, and show the state meanwhile; then remove the line.

        :param text: the state of the job.
        :param progress: from 0 to 1; None if it isn't known.
        """
        console = rich_console.Console(file=self._stream, highlight=False)
        columns: list[rich_progress.ProgressColumn] = [
            rich_progress.SpinnerColumn(),
            rich_progress.TextColumn("{task.description}", markup=False),
        ]
        if progress is not None and console.width >= _BAR_COLUMNS:
            columns.append(rich_progress.BarColumn(bar_width=20))
        columns.append(rich_progress.TextColumn("next poll in {task.fields[left]:.0f} s", markup=False))
        with rich_progress.Progress(*columns, console=console, transient=True, auto_refresh=False) as live:
            total = None if progress is None else 100
            task = live.add_task(text, total=total, completed=round(100 * (progress or 0.0)), left=seconds)
            left = seconds
            while left > 0:
                live.update(task, left=left, refresh=True)
                step = min(_STEP, left)
                pause(step)
                left -= step
