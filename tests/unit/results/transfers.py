"""Servers and files for tests of fetching."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

from tests.loopback import Server, raw, reply
from tests.unit.eventually import wait_until

MIB = 1024 * 1024
FAILED = {"selector": "rows[*].state", "in": "failed"}


def zipped(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, content in members.items():
            opened.writestr(name.replace("__", "/").replace("_json", ".json"), content)
    return buffer.getvalue()


def broken(body: bytes, missing: int = 10):
    return raw(f"HTTP/1.1 200 OK\r\ncontent-length: {len(body) + missing}\r\n\r\n".encode() + body)


def everything_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def targets(server: Server) -> list[str]:
    return [f"{asked.method} {asked.target}" for asked in server.asked]


def page_of(after: dict[int, int] | None = None):
    """Serve pages; some of them after another one."""
    served = set()

    def behave(connection, asked):
        number = int(asked.target.partition("=")[2])
        if (first := (after or {}).get(number)) is not None:
            wait_until(lambda: first in served)
        served.add(number)
        return reply({"rows": [{"n": number}, {"n": -number}]})(connection, asked)

    return behave


PAGES = {"output_type": "pages", "endpoint": "/rows", "query_params": {"page": "{page}"}, "result_path": "rows"}


def states(*given: str):
    return {"rows": [{"state": state} for state in given]}
