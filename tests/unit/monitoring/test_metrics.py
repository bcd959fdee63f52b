"""What is counted arrives at a StatsD server; a process for each test, for Airflow sets its metrics up once."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping

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
_ON = {"STATSD_ON": "True", "STATSD_INFLUXDB_ENABLED": "True"}


class Listener:
    """Listens as a StatsD server does."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.setblocking(False)

    def close(self) -> None:
        self._socket.close()

    def told_by(self, script: str, settings: Mapping[str, str] = _ON) -> list[str]:
        """Run a script in a process of its own, and give what it has told of us."""
        port = self._socket.getsockname()[1]
        given = {**settings, "STATSD_HOST": "127.0.0.1", "STATSD_PORT": str(port)}
        env = {**os.environ, **{f"AIRFLOW__METRICS__{name}": value for name, value in given.items()}}
        subprocess.run([sys.executable, "-c", _BEGIN + script], env=env, check=True, stdout=subprocess.DEVNULL)
        told = []
        while True:
            try:
                told.append(self._socket.recv(65536).decode())
            except BlockingIOError:
                return sorted(line for line in told if "asyncapi" in line)


@pytest.fixture
def listener() -> Iterator[Listener]:
    listener = Listener()
    yield listener
    listener.close()


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
    (told,) = [line for line in listener.told_by(script) if "wait_seconds" in line]
    name, value = told.split(":")
    assert name == "airflow.asyncapi.wait_seconds,asyncapi_conn_id=api"
    assert 100 <= float(value.removesuffix("|ms")) < 110


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
    told = sorted(line for line in listener.told_by(script) if "poll_lag_seconds" in line)
    assert told == [
        "airflow.asyncapi.poll_lag_seconds,asyncapi_conn_id=api,reason=connections:9.000000|ms",
        "airflow.asyncapi.poll_lag_seconds,asyncapi_conn_id=api,reason=event_loop:3.000000|ms",
        "airflow.asyncapi.poll_lag_seconds,asyncapi_conn_id=api,reason=rate:5.000000|ms",
    ]


def test_without_tags_the_names_stay(listener: Listener) -> None:
    assert listener.told_by("poll()", {"STATSD_ON": "True"}) == ["airflow.asyncapi.polls:1|c"]


def test_where_metrics_are_off_nothing_is_counted_and_nothing_told(listener: Listener) -> None:
    script = """
async def main():
    poll(errors=1, outcome=Outcome.SUCCESS)
    assert not metrics._sums

run_in_virtual_time(main())
"""
    assert listener.told_by(script, {"STATSD_ON": "False"}) == []
