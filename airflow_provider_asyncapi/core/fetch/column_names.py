"""The names of columns: each column of a table has one, and no two have the same."""

from __future__ import annotations

from collections.abc import Sequence


def make_unique(heads: Sequence[str]) -> list[str]:
    """Return a name for each column: blank ones are called by their position, repeated ones are numbered."""
    names: dict[str, None] = {}
    stated = set(heads)
    numbers: dict[str, int] = {}
    for position, head in enumerate(heads, start=1):
        name = base = head if head.strip() else f"column_{position}"
        while name in names or (name != head and name in stated):
            numbers[base] = numbers.get(base, 1) + 1
            name = f"{base}_{numbers[base]}"
        names[name] = None
    return list(names)
