"""What the triggerer calls when a DAG run misses its deadline."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any


async def tell(file: str, **_context: Any) -> None:
    """Write to a file that the deadline was missed."""
    await asyncio.to_thread(Path(file).write_text, "missed", "utf-8")
