"""Measure in new processes that take turns, so that other load affects all of them."""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence

ROUNDS = 9


def parse_rounds(program: str, description: str | None, given: list[str] | None, default: int = ROUNDS) -> int:
    """Return the number of rounds that the command line of a benchmark asks for."""
    parser = argparse.ArgumentParser(prog=program, description=description)
    parser.add_argument("--rounds", type=int, default=default, help="number of measurements of each")
    return int(parser.parse_args(given or []).rounds)


def cpu_milliseconds(scripts: Mapping[str, str], rounds: int = ROUNDS) -> dict[str, float]:
    """
    Run scripts that each print a number of CPU milliseconds; return the median of each.

    :param scripts: name → Python source.
    :param rounds: number of runs of each script.
    """
    measured: dict[str, list[float]] = {name: [] for name in scripts}
    with tempfile.TemporaryDirectory() as home:
        environment = {
            **{name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
            "AIRFLOW_HOME": home,
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        }
        # The first round writes byte code and configuration, and doesn't count.
        for turn in range(rounds + 1):
            for name, source in scripts.items():
                ran = subprocess.run(
                    [sys.executable, "-c", source], env=environment, check=True, capture_output=True, text=True
                )
                if turn:
                    measured[name].append(float(ran.stdout.split()[-1]))
    return {name: statistics.median(values) for name, values in measured.items()}


def table(title: str, rows: Sequence[tuple[str, ...]]) -> None:
    """Print a table; the first row is its head."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    print(f"\n{title}")
    for number, row in enumerate(rows):
        print("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)))
        if number == 0:
            print("  " + "  ".join("-" * width for width in widths))
