"""
Measure what a poll costs the triggerer, next to the http provider's trigger and a plain aiohttp loop.

Airflow's own trigger runner runs in one process, and the server in another. This process is the supervisor, over the
real protocol. The contenders take turns.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec

from benchmarks.measure import table
from tests.certificates import Authority

_SPEC: dict[str, Any] = {
    "endpoint": "/v1/jobs/{identifier}",
    "completion_key": ["data.task.status", "data.status"],
    "completion_value": "done",
    "failure_value": ["failed", "error"],
    "running_value": ["running", "queued"],
    "error_message": "data.task.message",
    "progress": "data.task.progress",
    "capture": {"pages": "data.pages"},
    "poke_interval": 1,
    "query_params": {"detail": "status"},
}
_BATCH = {"endpoint": "/v1/batch", "query_params": {"ids": "{identifiers}"}, "items": "jobs[*]", "id": "id"}
#: In a batch the selectors look at one job's item.
_BATCH_SPEC: dict[str, Any] = {
    **{name: value for name, value in _SPEC.items() if name not in ("endpoint", "query_params")},
    "completion_key": "task.status",
    "progress": "task.progress",
    "batch": _BATCH,
}
NAMES = {
    "sleep": "a trigger that sleeps",
    "ours": "ours",
    "ours-session": "ours, over ClientSession",
    "batch": "ours, in batches",
    "bare": "aiohttp, one session",
    "http": "HttpSensorTrigger",
}
#: Seconds, and further seconds per trigger, after which the work of the start is done.
_SETTLE, _SETTLE_EACH = 5.0, 0.001
_WARM = 20
#: Seconds within which all triggers have to start.
_PATIENCE = 120.0


def trigger(contender: str, number: int, url: str) -> tuple[str, dict[str, Any]]:
    """Return the class path and the arguments of a trigger."""
    now = time.time()
    # The sensor has made the first poll, and has shown what it found.
    handle = {"version": 1, "identifier": f"j-{number}", "outcome": "running", "status": "running", "progress": 0.4}
    wait = {
        "handle": handle,
        "started_at": now,
        "deadline": now + 86400,
        "polls": 1,
        "errors": 0,
        "next_poll": now + _SPEC["poke_interval"],
    }
    http: dict[str, Any] = {"endpoint": f"http/{number}", "http_conn_id": "http", "poke_interval": 1.0}
    ours = "airflow_provider_asyncapi.triggers.asyncapi.AsyncApiJobTrigger"
    session = "benchmarks.session_trigger.SessionTrigger"
    return {
        "sleep": ("benchmarks.polling_triggers.SleepingTrigger", {}),
        "bare": ("benchmarks.polling_triggers.BareTrigger", {"url": f"{url}/v1/jobs/j-{number}?detail=status"}),
        "http": ("airflow.providers.http.triggers.http.HttpSensorTrigger", http),
        "ours": (ours, {"asyncapi_conn_id": "asyncapi", "spec": _SPEC, "wait": wait}),
        "ours-session": (session, {"asyncapi_conn_id": "asyncapi", "spec": _SPEC, "wait": wait}),
        "batch": (ours, {"asyncapi_conn_id": "asyncapi", "spec": _BATCH_SPEC, "wait": wait}),
    }[contender]


@dataclass(frozen=True)
class Address:
    """
    The address of the server.

    :param authority: the file of the authority that has signed its certificate; None if it doesn't use TLS.
    """

    port: int
    authority: str | None = None

    @property
    def scheme(self) -> str:
        """The scheme of its URLs."""
        return "https" if self.authority else "http"


@dataclass
class Supervisor:
    """
    The supervisor of the trigger runner: sends triggers and connections, and counts its messages.

    :param line: the socket.
    :param contender: the contender whose triggers are sent.
    :param triggers: the number of triggers.
    :param server: the server that the triggers poll.
    """

    line: socket.socket
    contender: str
    triggers: int
    server: Address
    asked: Counter[str] = field(default_factory=Counter)

    def run(self) -> None:
        """Answer until the other process has ended."""
        self._write(0, {"type": "StartTriggerer"})
        created, began = 0, time.monotonic()
        with self.line.makefile("rb") as stream:
            while head := stream.read(4):
                number, body, *_ = msgspec.msgpack.decode(stream.read(int.from_bytes(head, "big")))
                self.asked[body["type"]] += 1
                reply = None
                if body["type"] == "GetConnection":
                    reply = self._connection(body["conn_id"])
                elif body["type"] == "TriggerStateChanges":
                    # The first few load all modules, and are there when the meter looks at the memory.
                    due = _WARM if time.monotonic() < began + 8 else min(self.triggers, created + 500)
                    new = [self._workload(number) for number in range(created, due)]
                    created = max(created, due)
                    reply = {"type": "TriggerStateSync", "to_create": new, "to_cancel": []}
                self._write(number, reply)

    def _write(self, number: int, body: Any) -> None:
        frame = msgspec.msgpack.encode([number, body, None])
        try:
            self.line.sendall(len(frame).to_bytes(4, "big") + frame)
        except BrokenPipeError:
            # The meter has ended the process; the next read finds that out.
            return

    def _connection(self, conn_id: str) -> dict[str, Any]:
        scheme, authority = self.server.scheme, self.server.authority
        ours = conn_id == "asyncapi"
        return {
            "type": "ConnectionResult",
            "conn_id": conn_id,
            "conn_type": conn_id,
            "host": f"{scheme}://127.0.0.1" if ours else "127.0.0.1",
            "port": self.server.port,
            "login": None,
            "password": None,
            "extra": json.dumps({"ca_cert": authority}) if ours and authority else None,
            "schema": None if ours else scheme,
        }

    def _workload(self, number: int) -> dict[str, Any]:
        classpath, kwargs = trigger(self.contender, number, f"{self.server.scheme}://127.0.0.1:{self.server.port}")
        ti = {
            "id": str(uuid4()),
            "dag_version_id": str(uuid4()),
            "task_id": "wait",
            "dag_id": "benchmark",
            "run_id": "run",
            "try_number": 1,
            "map_index": number,
            "pool_slots": 1,
            "queue": "default",
            "priority_weight": 1,
        }
        given = json.dumps(kwargs)
        return {"type": "RunTrigger", "id": number + 1, "classpath": classpath, "encrypted_kwargs": given, "ti": ti}


@contextmanager
def serving(latency: float = 0.0, certificate: Sequence[str] = ()) -> Iterator[int]:
    """
    Run the server, and yield its port.

    :param latency: seconds until each response.
    :param certificate: the files of its certificate and key; empty for a server without TLS.
    """
    command = [sys.executable, "-m", "benchmarks.polling_server", str(latency), *certificate]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.kill()


def measure(
    contender: str, triggers: int, seconds: float, profile: str = "", latency: float = 0.0, *, tls: bool = False
) -> dict[str, float]:
    """
    Run triggers of one kind, and return the figures.

    :param latency: seconds until each response.
    :param tls: whether the server uses TLS.
    :param profile: the file that a profile of the triggerer is written to, if any.
    """
    ours, theirs = socket.socketpair()
    with ExitStack() as stack:
        home = stack.enter_context(tempfile.TemporaryDirectory())
        authority = Authority(Path(home), "benchmark") if tls else None
        port = stack.enter_context(serving(latency, authority.issue("127.0.0.1") if authority else ()))
        stack.enter_context(ours)
        server = Address(port, authority.path if authority else None)
        spec = {
            "warm": _WARM,
            "triggers": triggers,
            "patience": _PATIENCE,
            "settle": _SETTLE + _SETTLE_EACH * triggers,
            "seconds": seconds,
            "port": port,
            "authority": server.authority,
            "profile": profile,
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.polling_triggerer", json.dumps(spec)],
            stdin=theirs.fileno(),
            stdout=subprocess.PIPE,
            env={
                **os.environ,
                "AIRFLOW_HOME": home,
                "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
                # The other contenders trust the authority of the server by this.
                **({"SSL_CERT_FILE": server.authority} if server.authority else {}),
            },
        )
        theirs.close()
        supervisor = Supervisor(ours, contender, triggers, server)
        answering = threading.Thread(target=supervisor.run)
        answering.start()
        try:
            said, _ = process.communicate(timeout=600 + seconds)
        finally:
            process.kill()
            answering.join()
    if process.returncode:
        raise RuntimeError(f"the triggerer with {NAMES[contender]!r} failed; its traceback is above")
    measured = json.loads(said.splitlines()[-1])
    return {**measured, "look_ups": supervisor.asked["GetConnection"]}


def _rows(results: Mapping[str, list[dict[str, float]]], triggers: int, latency: float) -> list[tuple[str, ...]]:
    def median(contender: str, name: str) -> float:
        return statistics.median(result[name] for result in results[contender])

    rows: list[tuple[str, ...]] = [
        (
            f"{triggers} triggers, each polls a second after a response, which takes {latency * 1000:g} ms",
            "CPU s/s",
            "ms/poll",
            "polls/s",
            "requests/s",
            "polls due",
            "running",
            "lag p50 ms",
            "p99 ms",
            "KB/trigger",
            "TCP/poll",
            "lines/poll",
            "look-ups",
            "TLS",
        )
    ]
    for contender in results:
        polls = median(contender, "polls")
        due = triggers / (1 + latency) if contender != "sleep" else 0
        per_poll = [f"{median(contender, name) / polls:.4f}" if polls else "-" for name in ("connections", "lines")]
        rows.append(
            (
                NAMES[contender],
                f"{median(contender, 'cpu') / median(contender, 'elapsed'):.3f}",
                f"{median(contender, 'cpu') * 1000 / polls:.3f}" if polls else "-",
                f"{polls / median(contender, 'elapsed'):.0f}",
                f"{median(contender, 'requests') / median(contender, 'elapsed'):.0f}",
                f"{due:.0f}",
                f"{median(contender, 'running'):.0f}",
                f"{median(contender, 'lag_p50') * 1000:.1f}",
                f"{median(contender, 'lag_p99') * 1000:.1f}",
                f"{(median(contender, 'memory') - median('sleep', 'memory')) / 1024:.1f}",
                *per_poll,
                f"{median(contender, 'look_ups'):.0f}",
                f"{median(contender, 'tls_contexts'):.0f}",
            )
        )
    return rows


def main(given: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.polling", description=__doc__)
    parser.add_argument("--triggers", type=int, nargs="+", default=[1000, 5000], help="number of triggers")
    parser.add_argument("--latency", type=float, nargs="+", default=[10, 200], help="milliseconds until a response")
    parser.add_argument("--seconds", type=float, default=15, help="duration of each measurement")
    parser.add_argument("--rounds", type=int, default=1, help="number of measurements; the medians are shown")
    parser.add_argument("--only", nargs="+", default=list(NAMES), choices=list(NAMES), help="the contenders to measure")
    parser.add_argument("--tls", action="store_true", help="poll an API that uses TLS")
    arguments = parser.parse_args(given or [])
    contenders = [name for name in NAMES if name in arguments.only or name == "sleep"]
    for triggers, latency in itertools.product(arguments.triggers, [each / 1000 for each in arguments.latency]):
        results: dict[str, list[dict[str, float]]] = {contender: [] for contender in contenders}
        for _ in range(arguments.rounds):
            for contender in contenders:
                results[contender].append(
                    measure(contender, triggers, arguments.seconds, latency=latency, tls=arguments.tls)
                )
        table("Polling over TLS" if arguments.tls else "Polling", _rows(results, triggers, latency))


if __name__ == "__main__":
    main(sys.argv[1:])
