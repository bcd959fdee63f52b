"""What is counted arrives at a StatsD server."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import cache

import pytest

pytestmark = pytest.mark.any_python

#: Importing the trigger imports what an Airflow process has, and with it Airflow's metrics are set up.
_BEGIN = """
import time
import airflow
import airflow_provider_asyncapi.triggers.asyncapi
from airflow_provider_asyncapi.monitoring import metrics
from airflow_provider_asyncapi.core.effects import Polled
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.http.delays import Delay, Reason
from airflow_provider_asyncapi.core.outcome import Outcome
from airflow.providers.common.compat.sdk import Stats
from tests.unit.virtual_time import pass_time, run_in_virtual_time
if airflow.__version__.startswith("3.2."):
    # As each of this Airflow's processes does when it begins.
    from airflow.sdk.execution_time.task_runner import stats_utils
    Stats.initialize(factory=stats_utils.get_stats_factory(Stats))

def poll(conn_id="api", errors=0, outcome=Outcome.RUNNING, **more):
    polled = Polled(JobHandle("7", outcome), 1, errors, changed=False, at=time.time(), **more)
    metrics.count_poll(conn_id, polled, time.time() - 100)
"""
_LOOP = """
import json, sys
for line in sys.stdin:
    exec(json.loads(line), dict(globals()))
    print("done", flush=True)
"""
_ON = (("STATSD_ON", "True"), ("STATSD_INFLUXDB_ENABLED", "True"))


class Listener:
    """Listens as a StatsD server does to a process with its own settings of metrics, which runs scripts."""

    def __init__(self, settings: Iterable[tuple[str, str]]) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.setblocking(False)
        given = {**dict(settings), "STATSD_HOST": "127.0.0.1", "STATSD_PORT": str(self._socket.getsockname()[1])}
        env = {**os.environ, **{f"AIRFLOW__METRICS__{name}": value for name, value in given.items()}}
        command = [sys.executable, "-c", _BEGIN + _LOOP]
        self._process = subprocess.Popen(
            command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()
        self._socket.close()

    def told_by(self, script: str) -> list[str]:
        """Run a script in the process, and give what it has told of us."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{json.dumps(script)}\n")
        self._process.stdin.flush()
        while (line := self._process.stdout.readline()) != "done\n":
            assert line, self._process.communicate()[1]
        told = []
        while True:
            try:
                told.append(self._socket.recv(65536).decode())
            except BlockingIOError:
                return sorted(line for line in told if "asyncapi" in line)


@pytest.fixture(scope="module")
def listen() -> Iterator[Callable[..., Listener]]:
    """Start the processes, one for each of the settings: Airflow sets its metrics up once."""
    with contextlib.ExitStack() as listeners:

        @cache
        def start(*settings: tuple[str, str]) -> Listener:
            listener = Listener(settings)
            listeners.callback(listener.close)
            return listener

        yield start


@pytest.fixture
def listener(listen: Callable[..., Listener]) -> Listener:
    return listen(*_ON)


def test_on_a_worker_each_poll_is_told_at_once(listener: Listener) -> None:
    assert listener.told_by("poll(); poll(errors=1)") == [
        "airflow.asyncapi.poll_errors,asyncapi_conn_id=api:1|c",
        "airflow.asyncapi.polls,asyncapi_conn_id=api:1|c",
        "airflow.asyncapi.polls,asyncapi_conn_id=api:1|c",
    ]


def test_a_wait_that_is_warned_about_is_counted(listener: Listener) -> None:
    told = listener.told_by("poll(); poll(warned=True)")
    assert "airflow.asyncapi.late_waits,asyncapi_conn_id=api:1|c" in told


def test_in_the_triggerer_the_polls_of_some_seconds_are_told_as_one_sum_for_each_connection(listener: Listener) -> None:
    script = """
async def main():
    for number in range(1000):
        poll(errors=number % 10 == 0)
    poll("other")
    await pass_time(6)
    poll("other")
    await pass_time(6)

run_in_virtual_time(main())
"""
    assert listener.told_by(script) == [
        "airflow.asyncapi.poll_errors,asyncapi_conn_id=api:100|c",
        "airflow.asyncapi.polls,asyncapi_conn_id=api:1000|c",
        "airflow.asyncapi.polls,asyncapi_conn_id=other:1|c",
        "airflow.asyncapi.polls,asyncapi_conn_id=other:1|c",
    ]


@pytest.mark.parametrize("where", ["poll(outcome=Outcome.FAILURE)", "run_in_virtual_time(main())"])
def test_the_poll_that_finds_the_job_over_tells_how_long_the_wait_took(listener: Listener, where: str) -> None:
    script = f"""
async def main():
    poll(outcome=Outcome.SUCCESS)
    await pass_time(0.1)

{where}
"""
    (told,) = [line for line in listener.told_by(script) if "wait_duration" in line]
    name, value = told.split(":")
    assert name == "airflow.asyncapi.wait_duration,asyncapi_conn_id=api"
    assert 100_000 <= float(value.removesuffix("|ms")) < 110_000


def test_of_late_polls_the_latest_of_some_seconds_is_told_with_the_reason(listener: Listener) -> None:
    script = """
async def main():
    for seconds in (2.0, 9.0, 4.0):
        poll(delay=Delay(seconds, Reason.CONNECTIONS))
    poll(delay=Delay(3.0, Reason.EVENT_LOOP))
    await pass_time(6)

run_in_virtual_time(main())
poll(delay=Delay(5.0, Reason.RATE))
"""
    told = sorted(line for line in listener.told_by(script) if "poll_lag" in line)
    assert told == [
        "airflow.asyncapi.poll_lag,asyncapi_conn_id=api,reason=connections:9000.000000|ms",
        "airflow.asyncapi.poll_lag,asyncapi_conn_id=api,reason=event_loop:3000.000000|ms",
        "airflow.asyncapi.poll_lag,asyncapi_conn_id=api,reason=rate:5000.000000|ms",
    ]


def test_the_time_to_the_first_byte_is_sent_for_each_request_of_a_worker(listener: Listener) -> None:
    script = "record = metrics.make_first_byte_recorder('api'); record(0.25); record(1.5)"
    assert listener.told_by(script) == [
        "airflow.asyncapi.time_to_first_byte,asyncapi_conn_id=api:1500.000000|ms",
        "airflow.asyncapi.time_to_first_byte,asyncapi_conn_id=api:250.000000|ms",
    ]


def test_the_triggerer_sends_mean_and_longest_time_to_the_first_byte_of_some_seconds(listener: Listener) -> None:
    script = """
async def main():
    record, other = metrics.make_first_byte_recorder("api"), metrics.make_first_byte_recorder("other")
    for number in range(1000):
        record(3.0 if number == 500 else 1.0)
    other(0.5)
    await pass_time(6)
    record(0.25)
    await pass_time(6)

run_in_virtual_time(main())
"""
    assert listener.told_by(script) == [
        "airflow.asyncapi.time_to_first_byte,asyncapi_conn_id=api,statistic=longest:250.000000|ms",
        "airflow.asyncapi.time_to_first_byte,asyncapi_conn_id=api,statistic=longest:3000.000000|ms",
        "airflow.asyncapi.time_to_first_byte,asyncapi_conn_id=api,statistic=mean:1002.000000|ms",
        "airflow.asyncapi.time_to_first_byte,asyncapi_conn_id=api,statistic=mean:250.000000|ms",
        "airflow.asyncapi.time_to_first_byte,asyncapi_conn_id=other,statistic=longest:500.000000|ms",
        "airflow.asyncapi.time_to_first_byte,asyncapi_conn_id=other,statistic=mean:500.000000|ms",
    ]


def test_a_counter_is_raised_by_the_size_of_a_result(listener: Listener) -> None:
    script = """
metrics.count(metrics.RESULT_BYTES, "api", 5000)

async def main():
    metrics.count(metrics.RESULT_BYTES, "api", 20)
    metrics.count(metrics.RESULT_BYTES, "api", 22)
    await pass_time(6)

run_in_virtual_time(main())
"""
    assert listener.told_by(script) == [
        "airflow.asyncapi.result_bytes,asyncapi_conn_id=api:42|c",
        "airflow.asyncapi.result_bytes,asyncapi_conn_id=api:5000|c",
    ]


def test_without_tags_the_names_stay(listen: Callable[..., Listener]) -> None:
    assert listen(("STATSD_ON", "True")).told_by("poll()") == ["airflow.asyncapi.polls:1|c"]


def test_where_metrics_are_off_nothing_is_counted_and_nothing_told(listen: Callable[..., Listener]) -> None:
    script = """
async def main():
    poll(errors=1, outcome=Outcome.SUCCESS)
    assert not metrics._sums
    assert metrics.make_first_byte_recorder("api") is None

run_in_virtual_time(main())
"""
    assert listen(("STATSD_ON", "False")).told_by(script) == []
