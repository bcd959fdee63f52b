"""
Airflow's own trigger runner, with a meter: ``python -m benchmarks.polling_triggerer SPEC``.

The supervisor communicates with it over file descriptor 0, as Airflow's does. It prints the figures as JSON.
"""

from __future__ import annotations

import asyncio
import cProfile
import ctypes
import gc
import http.client
import json
import os
import ssl
import sys
import time
import traceback
from pathlib import Path
from typing import Any, BinaryIO

from airflow.jobs.triggerer_job_runner import TriggerRunner
from airflow.sdk.log import configure_logging

_PAGE = os.sysconf("SC_PAGE_SIZE")


class Meter:
    """
    Measures while the triggers run.

    :param runner: the trigger runner.
    :param spec: ``warm`` and ``triggers``, the first number of triggers and the final one; ``patience``, the maximum
        time until they have started; ``settle`` and ``seconds``, the time before the measurement and its duration; the
        server's ``port``, and the ``authority`` of its certificate; the file for a ``profile``, if any.
    :param log: the file of the log.
    """

    def __init__(self, runner: TriggerRunner, spec: dict[str, Any], log: BinaryIO) -> None:
        self._runner, self._spec, self._log = runner, spec, log
        self._tls_contexts = 0
        self._tls = ssl.create_default_context(cafile=spec["authority"]) if spec["authority"] else None
        create = ssl.create_default_context

        def counted(*args: Any, **given: Any) -> ssl.SSLContext:
            self._tls_contexts += 1
            return create(*args, **given)

        ssl.create_default_context = counted

    async def run(self) -> None:
        """Wait until the triggers run, measure, print the figures, and end."""
        spec = self._spec
        await self._until_running(spec["warm"])
        await asyncio.sleep(3)
        memory = _memory()
        await self._until_running(spec["triggers"])
        await asyncio.sleep(spec["settle"])
        profile = cProfile.Profile() if spec["profile"] else None
        if profile:
            profile.enable()
        before, cpu, began = self._counts(), time.process_time(), time.monotonic()
        lags = await _lags(spec["seconds"])
        cpu, elapsed = time.process_time() - cpu, time.monotonic() - began
        if profile:
            profile.dump_stats(spec["profile"])
        requests, jobs, connections, lines = (
            after - first for after, first in zip(self._counts(), before, strict=True)
        )
        measured = {
            "cpu": cpu,
            "elapsed": elapsed,
            "running": len(self._runner.triggers),
            "requests": requests,
            "polls": requests + jobs,
            # The server counts the connection that asks it, too.
            "connections": connections - 1,
            "lines": lines,
            "lag_p50": lags[len(lags) // 2],
            "lag_p99": lags[len(lags) * 99 // 100],
            "memory": (_memory() - memory) / (len(self._runner.triggers) - spec["warm"]),
            "tls_contexts": self._tls_contexts,
        }
        print(json.dumps(measured), flush=True)
        os._exit(0)

    async def _until_running(self, triggers: int) -> None:
        # Triggers that keep the loop busy can prevent others from starting, perhaps forever.
        latest = time.monotonic() + self._spec["patience"]
        while len(self._runner.triggers) < triggers and time.monotonic() < latest:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.2)
        if not self._runner.triggers:
            raise RuntimeError(f"no trigger runs; the log ends in {self._read_log()[-1000:].decode()}")

    def _counts(self) -> tuple[int, int, int, int]:
        """Return the numbers of requests, further jobs in them, connections and log lines."""
        address = "127.0.0.1", self._spec["port"]
        client = (
            http.client.HTTPSConnection(*address, timeout=30, context=self._tls)
            if self._tls
            else http.client.HTTPConnection(*address, timeout=30)
        )
        client.request("GET", "/counts")
        requests, jobs, connections = json.load(client.getresponse())
        client.close()
        return requests, jobs, connections, self._read_log().count(b"\n")

    def _read_log(self) -> bytes:
        self._log.flush()
        return Path(self._log.name).read_bytes()


async def _lags(seconds: float) -> list[float]:
    """Sleep again and again; return the sorted delays of the loop, in seconds."""
    loop = asyncio.get_running_loop()
    pause, end, lags = 0.01, loop.time() + seconds, []
    while (due := loop.time() + pause) < end:
        await asyncio.sleep(pause)
        lags.append(max(0.0, loop.time() - due))
    return sorted(lags)


def _memory() -> int:
    """Return the bytes in use, after the allocator has returned free memory."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE


class MeteredRunner(TriggerRunner):
    """
    A trigger runner that is measured.

    :param spec: what :class:`Meter` needs to know.
    """

    def __init__(self, spec: dict[str, Any], log: BinaryIO) -> None:
        super().__init__()
        self._meter = Meter(self, spec, log)

    async def arun(self) -> None:
        """Run the triggers and the meter."""
        metering = asyncio.create_task(self._meter.run())
        metering.add_done_callback(_end_if_failed)
        await super().arun()
        await metering


def _end_if_failed(metering: asyncio.Task[None]) -> None:
    """End the process if the meter has failed, since the triggers would run forever."""
    if not metering.cancelled() and (error := metering.exception()) is not None:
        traceback.print_exception(error)
        sys.stderr.flush()
        os._exit(1)


def main(given: str) -> None:
    """Run the triggers."""
    spec = json.loads(given)
    with Path(os.environ["AIRFLOW_HOME"], "log.jsonl").open("wb") as log:
        configure_logging(json_output=True, output=log, sending_to_supervisor=True)
        MeteredRunner(spec, log).run()


if __name__ == "__main__":
    main(sys.argv[1])
