"""Who runs the demo sees at any time that it is alive, and what it does."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from demo.console import Console
from tests.unit.eventually import wait_until


@pytest.fixture
def printed(capsys: pytest.CaptureFixture[str]) -> Callable[[], list[str]]:
    """Return what returns all lines so far, without the time before them."""
    lines: list[str] = []

    def read() -> list[str]:
        lines.extend(re.sub(r"^ *\d+\.\d s  ", "", line) for line in capsys.readouterr().out.splitlines())
        return lines

    return read


def test_what_is_being_done_is_repeated_while_nothing_else_is_printed(printed: Callable[[], list[str]]) -> None:
    with Console(quiet_seconds=0.001) as console:
        console.step("Starting")
        wait_until(lambda: printed().count("… Starting") >= 3)
        console.doing = "1 of 2 runs are over"
        wait_until(lambda: "… 1 of 2 runs are over" in printed())
    assert printed()[0] == "Starting"


def test_there_is_no_sign_of_life_while_others_lines_come_or_nothing_is_done(
    printed: Callable[[], list[str]],
) -> None:
    with Console(quiet_seconds=3600) as console:
        console.step("Starting")
        console.line("a detail")
    with Console(quiet_seconds=0.001) as console:
        assert console.doing == ""
        console.line("a line")
    assert printed() == ["Starting", "a detail", "a line"]
