"""Run all benchmarks: ``python -m benchmarks [name …]``."""

from __future__ import annotations

import importlib
import sys

NAMES = ("imports", "parsing", "polling", "starting", "slots", "jobs", "fetching", "callbacks", "hostile")


def main(names: list[str]) -> None:
    """Run the benchmarks of these names, or all."""
    for name in names or NAMES:
        importlib.import_module(f"benchmarks.{name}").main()


if __name__ == "__main__":
    main(sys.argv[1:])
