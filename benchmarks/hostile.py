"""
Measure how long a response that was made to take long blocks the triggerer's event loop.

Each response is within the limits of a status document (1 MiB). A wait polls it once with the real driver, and with the
selector that takes longest. For comparison, ``json.loads`` reads usual JSON of the same size.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cached_property
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

from airflow_provider_asyncapi.core.connection.api import Api
from airflow_provider_asyncapi.core.connection.settings import ConnectionSettings
from airflow_provider_asyncapi.core.errors import AsyncApiError
from airflow_provider_asyncapi.core.http.messages import MAX_BODY
from airflow_provider_asyncapi.core.http.redaction import Redactor
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.wait.checkpoint import WaitCheckpoint
from airflow_provider_asyncapi.core.wait.flow import wait
from airflow_provider_asyncapi.core.wait.plan import WaitPlan
from airflow_provider_asyncapi.transports.aiohttp import AiohttpDriver
from airflow_provider_asyncapi.transports.tls import tls_context
from benchmarks.measure import parse_rounds, table

#: Other processes can only lengthen a round, so the shortest one counts.
_ROUNDS = 5
_TICK = 0.001
_JSON, _XML, _TEXT = "application/json", "application/xml", "text/plain"


@dataclass(frozen=True)
class Hostile:
    """
    A response, and the sensor that reads it.

    :param shown: its name in the table.
    :param make: returns the body.
    :param sensor: the sensor's parameters.
    """

    shown: str
    make: Callable[[], bytes]
    content_type: str = _JSON
    status: int = 200
    sensor: tuple[tuple[str, Any], ...] = (("completion_key", "state"),)

    @cached_property
    def body(self) -> bytes:
        """The body, no larger than is read."""
        return self.make()[:MAX_BODY]


def _filled(begins: bytes, part: bytes, ends: bytes = b"") -> Callable[[], bytes]:
    return lambda: begins + part * ((MAX_BODY - len(begins) - len(ends)) // len(part)) + ends


def _small(begins: bytes, part: bytes, ends: bytes = b"") -> Callable[[], bytes]:
    """Return a body of 4 KiB, the largest that is read on the event loop."""
    return lambda: begins + part * ((4096 - len(begins) - len(ends)) // len(part)) + ends


def _many_namespaces() -> bytes:
    declarations = " ".join(f'xmlns:p{number}="u"' for number in range(1000))
    return f"<r {declarations}>{'<a/>' * 20_000}</r>".encode()


def _key(selector: str) -> tuple[tuple[str, Any], ...]:
    return (("completion_key", selector),)


def _rule(**rule: Any) -> tuple[tuple[str, Any], ...]:
    return (("rules", [{**rule, "outcome": "success"}]),)


HOSTILE = (
    Hostile("JSON that says nothing", _filled(b'{"rows": [', b'{"id": 1, "name": "x"},', b"1]}")),
    Hostile("JSON, 350,000 empty lists", _filled(b'{"state":[', b"[],", b"1]}")),
    Hostile("JSON, 131,000 objects", _filled(b'{"state":[', b'{"a":1},', b"1]}")),
    Hostile("JSON, broken at its end", _filled(b"[", b"1,")),
    Hostile("JSON, broken, status 400", _filled(b"[", b"1,"), status=400),
    Hostile("JSON of strings like secrets", _filled(b'["', b"token:", b'"]')),
    Hostile(
        "half a million values for a rule",
        _filled(b"[", b"1,", b"1]"),
        sensor=_rule(selector="$[*]", over="all", **{"in": ["a", "b"]}),
    ),
    Hostile("$..state, half a million values", _filled(b"[", b"1,", b"1]"), sensor=_key("$..state")),
    Hostile("$..a..a, nested 600 deep", lambda: b'{"a":' * 600 + b"1" + b"}" * 600, sensor=_key("$..a..a")),
    Hostile("a slice, half a million values", _filled(b"[", b"1,", b"1]"), sensor=_key("$[0:1000000]")),
    Hostile("a slice, 260,000 values", _filled(b"[", b"111,", b"1]"), sensor=_key("$[0:1000000]")),
    Hostile("a filter that 130,000 objects match", _filled(b"[", b'{"a":1},', b"1]"), sensor=_key("$[?(@.a == 1)].a")),
    Hostile("a filter, 130,000 objects", _filled(b"[", b'{"a":1},', b"1]"), sensor=_key("$[?(@.a == 2)].b")),
    Hostile("digits for (\\d+)/(\\d+)", _filled(b"", b"1"), _TEXT, sensor=_key(r"response_text regex:(\d+)/(\d+)")),
    Hostile(
        "letters for (a+)+$", _filled(b"", b"a", b"b"), _TEXT, sensor=_rule(selector="response_text", matches="(a+)+$")
    ),
    Hostile(
        "4 KiB of letters for (.?){250}b",
        _small(b"", "é".encode()),
        _TEXT,
        sensor=_key("response_text regex:(.?){250}b"),
    ),
    Hostile(
        "4 KiB of letters for (a?){250}a{250}c",
        _small(b"", b"a"),
        _TEXT,
        sensor=_key("response_text regex:(a?){250}a{250}c"),
    ),
    Hostile("$[?($..a)], 1,300 lists", _small(b"[", b"[],", b"1]"), sensor=_key("$[?($..a)]")),
    Hostile("$..*|$..*, 2,000 values", _small(b"[", b"1,", b"1]"), sensor=_key("$..*|$..*")),
    Hostile("$..*[?(@..a)], 2,000 values", _small(b"[", b"[1,1,1,1,1,1,1,1],", b"1]"), sensor=_key("$..*[?(@..a)]")),
    Hostile("$..*..*..*, 2,000 values", _small(b"[", b'{"a":[1,1,1]},', b"1]"), sensor=_key("$..*..*..*")),
    Hostile(
        "XML, 4 KiB, nested 200 deep",
        _small(b"<r>", b"<a>" * 200 + b"</a>" * 200, b"</r>"),
        _XML,
        sensor=_key("xpath://a/ancestor::*//a"),
    ),
    Hostile("XML, 1,000 namespaces, 20,000 elements", _many_namespaces, _XML, sensor=_key("xpath://uws:phase")),
    Hostile("XML, 150,000 elements, all found", _filled(b"<r>", b"<a>x</a>", b"</r>"), _XML, sensor=_key("xpath://a")),
    Hostile(
        "XML nested 200 deep, all found",
        _filled(b"<r>", b"<a>" * 200 + b"</a>" * 200, b"</r>"),
        _XML,
        sensor=_key("xpath://a"),
    ),
    Hostile(
        "XML nested 200 deep for //a//a//b",
        _filled(b"<r>", b"<a>" * 200 + b"</a>" * 200, b"</r>"),
        _XML,
        sensor=_key("xpath://a//a//b"),
    ),
    Hostile(
        "XML, 95,000 pairs for //a//b", _filled(b"<r>", b"<a><b/></a>", b"</r>"), _XML, sensor=_key("xpath://a//b")
    ),
    Hostile(
        "XML, 250,000 elements for //a | //b", _filled(b"<r>", b"<a/>", b"</r>"), _XML, sensor=_key("xpath://a | //b")
    ),
    Hostile("XML, 250,000 empty elements", _filled(b"<r>", b"<a/>", b"</r>"), _XML, sensor=_key("xpath://uws:phase")),
    Hostile("XML, 200,000 instructions", _filled(b"<r>", b"<?a?>", b"</r>"), _XML, sensor=_key("xpath://*")),
    Hostile("XML, broken at its end", _filled(b"<r>", b"<a>x</a>"), _XML),
    Hostile("charset=punycode", lambda: b"a" * 200_000, f"{_TEXT}; charset=punycode", sensor=_key("response_text")),
    Hostile(
        "charset=cp1253, none of its bytes",
        _filled(b"", b"\x81"),
        f"{_TEXT}; charset=cp1253",
        sensor=_key("response_text"),
    ),
    Hostile("white space", _filled(b"", b" "), _TEXT, sensor=_key("response_text")),
)


async def _longest_hold(work: Callable[[], Awaitable[object]]) -> float:
    """Return the longest time for which the event loop was blocked, in milliseconds."""
    loop, longest = asyncio.get_running_loop(), 0.0
    last = time.perf_counter()
    timer: asyncio.TimerHandle

    def tick() -> None:
        nonlocal last, longest, timer
        now = time.perf_counter()
        longest, last = max(longest, now - last - _TICK), now
        timer = loop.call_later(_TICK, tick)

    timer = loop.call_later(_TICK, tick)
    await asyncio.sleep(10 * _TICK)
    longest = 0.0
    await work()
    # What was done in one go up to here hasn't been noticed yet.
    await asyncio.sleep(2 * _TICK)
    timer.cancel()
    return 1000 * longest


async def _poll_once(url: str, hostile: Hostile) -> float:
    api = Api.from_settings(
        ConnectionSettings.parse({"host": url}), clock=time.time, rng=lambda: 0.5, make_nonce=lambda: "n"
    )
    given = {"endpoint": "/", "completion_value": "done", "max_iterations": 1, **dict(hostile.sensor)}
    if "rules" in given:
        del given["completion_value"]
    plan = WaitPlan.parse(given)
    client = AiohttpDriver(api, tls_context(api.settings))

    async def work() -> None:
        with contextlib.suppress(AsyncApiError):
            await client.run(wait(api, plan, WaitCheckpoint(JobHandle("7"), time.time())), observe=lambda _: None)

    try:
        return await _longest_hold(work)
    finally:
        await client.close()


def _renewals() -> float:
    """Return the longest time, in milliseconds, that a renewal of a token and the message after it take."""
    redact, longest = Redactor(["a-static-secret"]), 0.0
    for number in range(1000):
        began = time.perf_counter()
        redact.add_token(f"{number:04}" * 300, f"refresh-{number:04}" * 100)
        redact("a message of some length, of the usual kind " * 10)
        longest = max(longest, time.perf_counter() - began)
    return 1000 * longest


def _loading(size: int) -> float:
    rows = b"[%s]" % b",".join([b'{"id": 12345, "state": "running", "tags": ["a", "b"]}'] * max(1, size // 54))
    began = time.perf_counter()
    json.loads(rows)
    return 1000 * (time.perf_counter() - began)


def serve() -> None:
    """Serve the responses by their numbers, and print the port; in its own process, to not block the measured one."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            hostile = HOSTILE[int(self.path.strip("/"))]
            self.send_response(hostile.status)
            self.send_header("Content-Type", hostile.content_type)
            self.send_header("Content-Length", str(len(hostile.body)))
            self.end_headers()
            self.wfile.write(hostile.body)

        def log_message(self, *_: object) -> None:
            """Stay silent."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_port, flush=True)
    server.serve_forever()


def main(given: list[str] | None = None) -> None:
    """Measure and print."""
    rounds = parse_rounds("python -m benchmarks.hostile", __doc__, given, _ROUNDS)
    rows = [("response", "KiB", "event loop blocked, ms", "json.loads, ms")]
    command = [sys.executable, "-c", "from benchmarks.hostile import serve; serve()"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        port = int(server.stdout.readline())
        try:
            for number, hostile in enumerate(HOSTILE):
                url = f"http://127.0.0.1:{port}/{number}"
                hold = min(asyncio.run(_poll_once(url, hostile)) for _ in range(rounds))
                loading = min(_loading(len(hostile.body)) for _ in range(rounds))
                rows.append((hostile.shown, f"{len(hostile.body) / 1024:.0f}", f"{hold:.0f}", f"{loading:.0f}"))
        finally:
            server.terminate()
    rows.append(
        ("a token renewed 1,000 times, the slowest", "2", f"{min(_renewals() for _ in range(rounds)):.1f}", "0")
    )
    table("Hostile responses", rows)


if __name__ == "__main__":
    main(sys.argv[1:])
