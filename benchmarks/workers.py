"""Compare what jobs cost in workers: a job API, a meter of the executor's processes, and the command line."""

from __future__ import annotations

import argparse
import compileall
import itertools
import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import psutil

import airflow_provider_asyncapi
from demo.airflow import RUN_OVER, LocalAirflow
from demo.airflow.local import COMPONENTS

_EXECUTOR = "airflow worker -- LocalExecutor"
_SAMPLED_EVERY = 0.05


class _Jobs(BaseHTTPRequestHandler):
    """Responds to submits, polls (with a status, and with 404 while a job runs) and requests for results."""

    protocol_version = "HTTP/1.1"
    seconds = 0.0
    numbers = itertools.count(1)
    begun: dict[str, float] = {}  # noqa: RUF012 - one for all requests

    def do_POST(self) -> None:
        """Start a job."""
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        job = f"j-{next(self.numbers)}"
        self.begun[job] = time.monotonic()
        self._respond(201, {"id": job})

    def do_GET(self) -> None:
        """Return the status or the result of a job; a job that wasn't submitted starts now."""
        match self.path.strip("/").split("/"):
            case ["jobs", _, "rows"]:
                self._respond(200, [{"id": number} for number in range(20)])
            case ["jobs", job]:
                self._respond(200, {"status": "done" if self._is_over(job) else "running"})
            case ["finished", job]:
                self._respond(200 if self._is_over(job) else 404, {})
            case _:
                self._respond(400, {})

    def _is_over(self, job: str) -> bool:
        return time.monotonic() - self.begun.setdefault(job, time.monotonic()) >= self.seconds

    def _respond(self, status: int, value: Any) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Log no requests."""


class _QuietServer(ThreadingHTTPServer):
    """A server for clients that close connections without notice, as sensors do when they have finished."""

    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Ignore closed connections."""


@contextmanager
def serve_jobs(seconds: float) -> Iterator[int]:
    """Serve jobs of a duration, and return the port."""
    _Jobs.seconds = seconds
    with _QuietServer(("127.0.0.1", 0), _Jobs) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@dataclass
class WorkerMeter:
    """
    Watches the executor's processes, as a context manager.

    :param airflow: the Airflow that they belong to.
    :ivar slot_seconds: the seconds for which they had a task, added up.
    :ivar peak: the maximum number of tasks at the same time.
    :ivar worker_cpu: the CPU seconds of the executor's processes and their tasks.
    :ivar other_cpu: the CPU seconds of all other processes of Airflow, including the scheduler.
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
        # A task ends before its process.
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
        """Return the CPU seconds of workers with their tasks, and of all others; ended processes count too."""
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
    """Run a DAG with new jobs, and return the seconds that it took."""
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


@dataclass(frozen=True, slots=True)
class Contender:
    """
    A contender of the comparison.

    :param label: its name in the table.
    :param source: the Python expression of a function that creates the tasks of a job with a given name.
    :param code: the Python code that the expression needs, a template with ``{interval}`` and further fields.
    """

    label: str
    source: str
    code: str


_DAGS = """
from airflow.sdk import DAG

make = {source}
for dag_id, jobs in (("{dag_id}", {jobs}), ("first_{dag_id}", 1)):
    with DAG(dag_id, schedule=None, max_active_tasks=1000):
        for number in range(jobs):
            make(f"{name}_{{number}}")
"""


def parse_arguments(
    given: list[str] | None, program: str, description: str | None, contenders: Mapping[str, Contender], jobs: int
) -> argparse.Namespace:
    """Parse the command line; ``contenders`` holds the selected ones."""
    parser = argparse.ArgumentParser(prog=program, description=description)
    parser.add_argument("--jobs", type=int, default=jobs, help="number of jobs at a time")
    parser.add_argument("--seconds", type=float, default=20, help="duration of each job")
    parser.add_argument("--interval", type=float, default=5, help="seconds between polls")
    parser.add_argument("--only", nargs="+", default=list(contenders), choices=list(contenders))
    arguments = parser.parse_args(given or [])
    arguments.contenders = {name: contenders[name] for name in contenders if name in arguments.only}
    return arguments


def write_dags(folder: Path, arguments: argparse.Namespace, prefix: str, **fields: object) -> None:
    """
    Write the DAG file of each contender: a DAG with all jobs, and a DAG with a single job.

    Each contender has a file of its own, because the process of a task imports everything that the file imports.

    :param prefix: the beginning of the ids of the DAGs.
    :param fields: the further fields of the contenders' code.
    """
    for name, contender in arguments.contenders.items():
        code = contender.code.format(interval=arguments.interval, **fields)
        dags = _DAGS.format(source=contender.source, dag_id=f"{prefix}{name}", jobs=arguments.jobs, name=name)
        (folder / f"{name}.py").write_text(code + dags)


def make_head(arguments: argparse.Namespace) -> tuple[str, ...]:
    """Return the head of the table."""
    return (
        f"{arguments.jobs} jobs of {arguments.seconds:g} s, polled every {arguments.interval:g} s",
        "worker CPU s/job",
        "worker slot s/job",
        "slots at the peak",
        "Airflow's other CPU s/job",
        "run s",
    )


def compile_provider() -> None:
    """Compile the provider's modules: if Python may write no bytecode, each task would compile them."""
    compileall.compile_dir(str(Path(airflow_provider_asyncapi.__file__).parent), quiet=1)


def measure_contenders(
    airflow: LocalAirflow, arguments: argparse.Namespace, prefix: str, suffix: str
) -> Iterator[tuple[str, ...]]:
    """
    Run the DAG of each contender, and yield its row of the table.

    :param prefix: the beginning of the ids of the DAGs.
    :param suffix: the end of the labels.
    """
    jobs = arguments.jobs
    compile_provider()
    # The first tasks load the modules for all others. The first question of any trigger costs the triggerer
    # seconds of CPU, once: its supervisor creates an API of its own.
    for name in arguments.contenders:
        run_dag(airflow, f"first_{prefix}{name}")
    for name, contender in arguments.contenders.items():
        with WorkerMeter(airflow) as meter:
            took = run_dag(airflow, f"{prefix}{name}")
        figures = (meter.worker_cpu / jobs, meter.slot_seconds / jobs, meter.peak, meter.other_cpu / jobs)
        row = (contender.label + suffix, *(f"{figure:.3g}" for figure in figures), f"{took:.0f}")
        print(*row, flush=True)
        yield row
