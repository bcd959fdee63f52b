"""Watches a function without changing what it does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def recorded(function: Callable[..., Any], calls: list[Any], pick: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that does the same, and appends to `calls` what `pick` returns for its arguments."""

    def record(*args: Any, **kwargs: Any) -> Any:
        calls.append(pick(*args, **kwargs))
        return function(*args, **kwargs)

    return record
