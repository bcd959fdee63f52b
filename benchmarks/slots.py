"""
What a waiting job costs in workers, beside the http provider's sensor: slots, seconds in them, and CPU.

A real Airflow (LocalExecutor, SQLite) runs one DAG after the other, each with as many sensors as there are jobs; then
another does, whose workers have imported :mod:`airflow_provider_asyncapi.preload`. Each job is over so many seconds
after it was first asked for. What the executor's processes do is read from their titles
and the system's accounts. Run alone, it takes arguments: ``python -m benchmarks.slots -h``.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import psutil

from benchmarks.measure import table
from demo.airflow import RUN_OVER, LocalAirflow
from demo.airflow.local import COMPONENTS

#: Contender → its name, and the arguments of its sensors.
_CONTENDERS = {
    "ours": ("AsyncApiSensor, deferred", "ours(deferrable=True)"),
    "end": ("… end_from_trigger", "ours(deferrable=True, end_from_trigger=True)"),
    "start": ("… start_from_trigger", "ours(deferrable=True, start_from_trigger=True)"),
    "both": ("… both", "ours(deferrable=True, start_from_trigger=True, end_from_trigger=True)"),
    "http": ("HttpSensor, deferred", "http(deferrable=True)"),
    "http_reschedule": ("HttpSensor, reschedule", "http(mode='reschedule')"),
    "http_poke": ("HttpSensor, poke", "http(mode='poke')"),
}
_DAGS = """
from airflow.providers.http.sensors.http import HttpSensor
from airflow.sdk import DAG

from airflow_provider_asyncapi.sensors.asyncapi import AsyncApiSensor


def ours(**given):
    return lambda job: AsyncApiSensor(
        task_id=job, job=job, endpoint="/jobs/{{identifier}}", completion_key="status", completion_value="done",
        poke_interval={interval}, asyncapi_conn_id="slots", **given,
    )


def http(**given):
    # It waits for as long as it is answered 404.
    return lambda job: HttpSensor(
        task_id=job, endpoint="finished/" + job, poke_interval={interval}, http_conn_id="slots_http", **given
    )


for name, make in ({contenders}).items():
    with DAG("slots_" + name, schedule=None, max_active_tasks=1000):
        for number in range({jobs}):
            make(f"{{name}}_{{number}}")
"""
_EXECUTOR = "airflow worker -- LocalExecutor"
_SAMPLED_EVERY = 0.05


class _Jobs(BaseHTTPRequestHandler):
    """Answers whether a job is over: in its status, and by 404 while it isn't."""

    protocol_version = "HTTP/1.1"
    seconds = 0.0
    begun: dict[str, float] = {}  # noqa: RUF012 - one for all requests

    def do_GET(self) -> None:
        """Answer."""
        kind, job = self.path.rsplit("/", 2)[-2:]
        is_over = time.monotonic() - self.begun.setdefault(job, time.monotonic()) >= self.seconds
        body = b'{"status": "done"}' if is_over else b'{"status": "running"}'
        self.send_response(200 if is_over or kind == "jobs" else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class QuietServer(ThreadingHTTPServer):
    """Serves the jobs; sensors that are done leave without a word, and that is no news."""

    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def _server(seconds: float) -> Iterator[int]:
    """Serve the jobs, and give the port."""
    _Jobs.seconds = seconds
    with QuietServer(("127.0.0.1", 0), _Jobs) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@dataclass
class WorkerMeter:
    """
    Watches the executor's processes, as a context manager.

    :param airflow: whose they are.
    :ivar slot_seconds: for how long they had a task, together.
    :ivar peak: how many had one at a time, at most.
    :ivar worker_cpu: what they and their tasks have used, in CPU seconds.
    :ivar other_cpu: what all other processes of Airflow have used, the scheduler's among them.
    """

    airflow: LocalAirflow
    slot_seconds: float = 0.0
    peak: int = 0
    worker_cpu: float = 0.0
    other_cpu: float = 0.0
    _over: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        self._until_idle()
        self._before = self._cpu()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        # A task is over before its process is.
        self._until_idle()
        self._over.set()
        self._thread.join()
        self.worker_cpu, self.other_cpu = (now - before for now, before in zip(self._cpu(), self._before, strict=True))

    def _until_idle(self) -> None:
        while self._busy():
            time.sleep(_SAMPLED_EVERY)

    def _busy(self) -> int:
        return sum("<idle>" not in title for _, title in self._workers())

    def _watch(self) -> None:
        last = time.monotonic()
        while not self._over.wait(_SAMPLED_EVERY):
            busy, now = self._busy(), time.monotonic()
            self.slot_seconds += busy * (now - last)
            self.peak, last = max(self.peak, busy), now

    def _workers(self) -> list[tuple[psutil.Process, str]]:
        """Return the executor's processes and their titles."""
        scheduler = self.airflow.processes.family("scheduler")[0]
        titled = []
        for child in scheduler.children():
            try:
                titled.append((child, " ".join(child.cmdline())))
            except psutil.NoSuchProcess:
                continue
        return [(child, title) for child, title in titled if title.startswith(_EXECUTOR)]

    def _cpu(self) -> tuple[float, float]:
        """Return the CPU seconds of workers and their tasks, and of all else, those that have ended included."""
        workers = {child.pid for child, _ in self._workers()}
        components = [self.airflow.processes.family(name)[0] for name in COMPONENTS]
        used = {True: 0.0, False: 0.0}
        for root in components:
            for process in (root, *root.children(recursive=True)):
                try:
                    times = process.cpu_times()
                    own = times.user + times.system + times.children_user + times.children_system
                    used[process.pid in workers or process.ppid() in workers] += own
                except psutil.NoSuchProcess:
                    continue
        return used[True], used[False]


def run_dag(airflow: LocalAirflow, dag_id: str, timeout: float = 900.0) -> float:
    """Run a DAG with new jobs, and give the seconds that it took."""
    _Jobs.begun.clear()
    began = time.monotonic()
    run_id = airflow.client.trigger(dag_id)
    while (state := airflow.client.run_state(dag_id, run_id)) not in RUN_OVER:
        airflow.check()
        if time.monotonic() - began > timeout:
            raise TimeoutError(f"{dag_id} is still {state} after {timeout:g} s")
        time.sleep(0.5)
    if state != "success":
        raise RuntimeError(f"{dag_id} ended as {state}")
    return time.monotonic() - began


def main(given: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.slots", description=__doc__)
    parser.add_argument("--jobs", type=int, default=20, help="how many jobs are waited for at a time")
    parser.add_argument("--seconds", type=float, default=20, help="how long each takes")
    parser.add_argument("--interval", type=float, default=5, help="seconds from one poll to the next")
    parser.add_argument("--only", nargs="+", default=list(_CONTENDERS), choices=list(_CONTENDERS))
    arguments = parser.parse_args(given or [])
    jobs = arguments.jobs
    contenders = {name: _CONTENDERS[name] for name in _CONTENDERS if name in arguments.only}
    source = "{" + ", ".join(f"{name!r}: {make}" for name, (_, make) in contenders.items()) + "}"
    rows: list[tuple[str, ...]] = [
        (
            f"{jobs} jobs of {arguments.seconds:g} s, polled every {arguments.interval:g} s",
            "worker slot s/job",
            "slots at the peak",
            "worker CPU s/job",
            "Airflow's other CPU s/job",
            "run s",
        )
    ]
    with tempfile.TemporaryDirectory() as folder, _server(arguments.seconds) as port:
        dags = Path(folder, "dags")
        dags.mkdir()
        text = _DAGS.format(interval=arguments.interval, jobs=jobs, contenders=source)
        (dags / "slots.py").write_text(text)
        connections: dict[str, dict[str, Any]] = {
            "slots": {"conn_type": "asyncapi", "host": f"http://127.0.0.1:{port}"},
            "slots_http": {"conn_type": "http", "host": "127.0.0.1", "port": port},
        }
        Path(folder, "airflow_local_settings.py").write_text("import airflow_provider_asyncapi.preload\n")
        # A slot for each job, so that none has to wait for one.
        config = {"core": {"parallelism": str(jobs + 2)}}
        for ahead, env in (("", {}), (", preloaded", {"PYTHONPATH": folder})):
            home = Path(folder, "preloaded" if env else "plain")
            with LocalAirflow(home, dags, connections=connections, config=config, env=env) as airflow:
                # The first tasks of all load, compile and fork what the others find.
                run_dag(airflow, f"slots_{next(iter(contenders))}")
                for name, (label, _) in contenders.items():
                    with WorkerMeter(airflow) as meter:
                        took = run_dag(airflow, f"slots_{name}")
                    figures = (meter.slot_seconds / jobs, meter.peak, meter.worker_cpu / jobs, meter.other_cpu / jobs)
                    rows.append((label + ahead, *(f"{figure:.3g}" for figure in figures), f"{took:.0f}"))
    table("Waiting in Airflow", rows)


if __name__ == "__main__":
    main(sys.argv[1:])
