"""Write a generated page of the documentation, or check that it is up to date."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def write_page(target: Path, text: str, module: str) -> int:
    """
    Write a page; with ``--check`` on the command line, only compare.

    :param module: the module that generates the page, for the message.
    :return: the exit code: 1 if the page isn't up to date.
    """
    if "--check" not in sys.argv[1:]:
        target.write_text(text, encoding="utf-8")
    elif target.read_text(encoding="utf-8") != text:
        print(f"{target.relative_to(ROOT)} isn't up to date: run python -m {module}", file=sys.stderr)
        return 1
    return 0
