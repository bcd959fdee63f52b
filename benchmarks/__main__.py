"""
Run all benchmarks, or some of them.

Each has options of its own, for example for a short run: ``python -m benchmarks.polling -h``.
"""

from __future__ import annotations

import argparse
import ast
import importlib
from pathlib import Path

NAMES = (
    "imports",
    "parsing",
    "polling",
    "starting",
    "slots",
    "jobs",
    "fetching",
    "callbacks",
    "hostile",
    "signing",
    "logins",
    "profiles",
    "page",
    "page_browser",
)


def main() -> None:
    """Run the benchmarks that the command line names, or all."""
    width = max(map(len, NAMES))
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        epilog="benchmarks:\n" + "\n".join(f"  {name:{width}}  {_summarize(name)}" for name in NAMES),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="name", help="a benchmark; all by default")
    names = parser.parse_args().names
    if unknown := set(names) - set(NAMES):
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    for name in names or NAMES:
        importlib.import_module(f"benchmarks.{name}").main()


def _summarize(name: str) -> str:
    """Return the first line of a benchmark's docstring, without importing its module."""
    source = Path(__file__).with_name(f"{name}.py").read_text()
    return (ast.get_docstring(ast.parse(source)) or "").partition("\n")[0]


if __name__ == "__main__":
    main()
