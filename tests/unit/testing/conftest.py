"""What the asynchronous hook needs outside of a triggerer."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import BaseHook


@pytest.fixture(autouse=True)
def _outside_of_airflow(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async def look_up(conn_id: str) -> Any:
        return BaseHook.get_connection(conn_id)

    # Airflow 3.1 asks a supervisor for it, and there is none.
    monkeypatch.setattr(BaseHook, "aget_connection", look_up)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
