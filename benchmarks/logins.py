"""
Measure how often many waits of one connection log in, if its token expires meanwhile.

The API takes the newest token only, which expires as soon as half of the jobs were polled.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from airflow_provider_asyncapi.hooks.asyncapi import AsyncApiHook
from benchmarks.measure import table

WAITS = 1000
_LOGIN = {
    "auth": "login",
    "login_request": {"endpoint": "/login", "json": {"key": "{connection.password}"}},
    "login_selector": "token",
    "login_cache": "process",
}
_STATUS: dict[str, Any] = {"completion_key": "status", "completion_value": "done", "endpoint": "/jobs/{identifier}"}


class _Api(ThreadingHTTPServer):
    """An API whose first token expires as soon as half of the jobs were polled with it."""

    daemon_threads = True
    request_queue_size = 2048

    def __init__(self, waits: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.lock = threading.Lock()
        self.waits = waits
        self.logins = self.polls = self.refused = 0


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Api

    def do_POST(self) -> None:
        """Return a new token, after a while."""
        self.rfile.read(int(self.headers["Content-Length"]))
        time.sleep(0.2)
        with self.server.lock:
            self.server.logins += 1
            token = self.server.logins
        self._reply(200, {"token": f"t-{token}"})

    def do_GET(self) -> None:
        """Return a status, if the token is the newest one and has not expired."""
        api = self.server
        with api.lock:
            has_expired = api.logins == 1 and api.polls >= api.waits // 2
            if has_expired or self.headers["Authorization"] != f"Bearer t-{api.logins}":
                api.refused += 1
                status = 401
            else:
                api.polls += 1
                status = 200
        self._reply(status, {"status": "done"} if status == 200 else {})

    def _reply(self, status: int, body: dict[str, Any]) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


def main(given: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.logins", description=__doc__)
    parser.add_argument("--waits", type=int, default=WAITS, help="number of waits")
    waits = parser.parse_args(given or []).waits
    api = _Api(waits)
    threading.Thread(target=api.serve_forever, daemon=True).start()
    connection = {
        "conn_type": "asyncapi",
        "host": f"http://127.0.0.1:{api.server_port}",
        "password": "pw",
        "extra": {**_LOGIN, "connections_per_host": 50},
    }
    os.environ["AIRFLOW_CONN_LOGINS"] = json.dumps(connection)
    logging.disable(logging.INFO)
    seconds = asyncio.run(_wait_for_all(waits))
    api.shutdown()
    rows = [
        (f"{waits} waits of one connection", ""),
        ("polls that succeeded", str(api.polls)),
        ("polls that were refused, since the token had expired", str(api.refused)),
        ("logins", str(api.logins)),
        ("of them to renew the token", str(api.logins - 1)),
        ("seconds", f"{seconds:.1f}"),
    ]
    table("Logging in", rows)


async def _wait_for_all(waits: int) -> float:
    start = time.monotonic()
    await asyncio.gather(*(AsyncApiHook("logins").await_for_job(f"job-{number}", **_STATUS) for number in range(waits)))
    return time.monotonic() - start


if __name__ == "__main__":
    main(sys.argv[1:])
