"""
As much of Prometheus' StatsD exporter as the dashboard needs, by the rules of its documentation.

Debian ships Prometheus, but not this exporter. Without a mapping it replaces dots of a name by underscores, reads the
tags of InfluxDB as labels, adds counters up, and makes a summary with the quantiles 0.5, 0.9 and 0.99 of a timer, whose
milliseconds become seconds (https://github.com/prometheus/statsd_exporter).
"""

from __future__ import annotations

import math
import re
import socket
import threading
from collections import defaultdict
from typing import Self

from airflow_provider_asyncapi.testing.loopback import Answer, LoopbackServer, ReceivedRequest

_QUANTILES = (0.5, 0.9, 0.99)
_LINE = re.compile(r"(?P<name>[^,:]+)(?:,(?P<tags>[^:]+))?:(?P<value>[-\d.]+)\|(?P<kind>c|ms)")
#: A name, and its labels.
_Series = tuple[str, tuple[tuple[str, str], ...]]


class StatsdExporter(LoopbackServer):
    """Receives metrics over UDP, and serves them to Prometheus over HTTP."""

    def __init__(self) -> None:
        super().__init__()
        self._counters: dict[_Series, float] = defaultdict(float)
        self._timers: dict[_Series, list[float]] = defaultdict(list)
        self._metrics_lock = threading.Lock()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.statsd_port: int = self._socket.getsockname()[1]
        self._receiver = threading.Thread(target=self._receive)

    def __enter__(self) -> Self:
        self._receiver.start()
        return super().__enter__()

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        # An empty packet ends the thread.
        self._socket.sendto(b"", self._socket.getsockname())
        self._receiver.join()
        self._socket.close()

    @property
    def address(self) -> str:
        return self.url.removeprefix("http://")

    def answer(self, request: ReceivedRequest) -> Answer:
        return 200, {"Content-Type": "text/plain; version=0.0.4"}, self.expose().encode()

    def expose(self) -> str:
        """Return all metrics in Prometheus' text format."""
        lines = []
        with self._metrics_lock:
            for (name, labels), value in sorted(self._counters.items()):
                lines += [f"{name}{_format(labels)} {value}"]
            for (name, labels), values in sorted(self._timers.items()):
                ordered = sorted(values)
                for quantile in _QUANTILES:
                    found = ordered[math.ceil(quantile * len(ordered)) - 1]
                    lines += [f"{name}{_format((*labels, ('quantile', str(quantile))))} {found}"]
                lines += [f"{name}_sum{_format(labels)} {sum(values)}", f"{name}_count{_format(labels)} {len(values)}"]
        return "\n".join([*lines, ""])

    def _receive(self) -> None:
        while packet := self._socket.recv(65536):
            for line in packet.decode().splitlines():
                if match := _LINE.fullmatch(line):
                    self._count(**match.groupdict())

    def _count(self, name: str, tags: str | None, value: str, kind: str) -> None:
        pairs = (tag.partition("=") for tag in (tags or "").split(",") if tag)
        series = re.sub(r"\W", "_", name), tuple((key, text) for key, _, text in pairs)
        with self._metrics_lock:
            if kind == "c":
                self._counters[series] += float(value)
            else:
                self._timers[series].append(float(value) / 1000)


def _format(labels: tuple[tuple[str, str], ...]) -> str:
    return "{" + ",".join(f'{name}="{value}"' for name, value in labels) + "}" if labels else ""
