"""A real Airflow with metrics and traces on: every query of the dashboard finds data, and spans have their parents."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from demo.airflow import RUN_OVER, LocalAirflow
from demo.airflow.configuration import free_port
from tests.integration.otlp_collector import OtlpCollector, ReceivedSpan
from tests.integration.statsd_exporter import StatsdExporter
from tests.unit.fake_airflow import ApiServer, reply

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

HERE = Path(__file__).resolve().parent
MONITORING = HERE.parents[1] / "docs" / "monitoring"
DASHBOARD = json.loads((MONITORING / "grafana-dashboard.json").read_text())
RUNNING, DONE, FAILED = (reply({"state": each}) for each in ("running", "done", "failed"))
#: What Grafana fills in.
GRAFANA = {"$connection": ".*", "$__rate_interval": "1m", "$__range": "5m"}


@dataclass(frozen=True, slots=True)
class Prometheus:
    """A Prometheus that runs."""

    url: str
    process: subprocess.Popen[bytes]

    def ask(self, path: str, **query: str) -> Any:
        with urllib.request.urlopen(f"{self.url}{path}?{urllib.parse.urlencode(query)}") as answer:
            return json.load(answer)["data"]

    def query(self, expression: str) -> list[float]:
        """Return the current values of an expression, without those that aren't numbers."""
        values = [float(each["value"][1]) for each in self.ask("/api/v1/query", query=expression)["result"]]
        return [value for value in values if value == value]  # noqa: PLR0124 - NaN


@pytest.fixture(scope="module")
def exporter() -> Iterator[StatsdExporter]:
    with StatsdExporter() as running:
        yield running


@pytest.fixture(scope="module")
def collector() -> Iterator[OtlpCollector]:
    with OtlpCollector() as running:
        yield running


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory, exporter: StatsdExporter) -> Iterator[Prometheus]:
    if shutil.which("prometheus") is None and not os.environ.get("CI"):
        pytest.skip("there is no Prometheus on this machine; scripts/monitoring-services installs it with apt-get")
    folder = tmp_path_factory.mktemp("prometheus")
    shutil.copy(MONITORING / "alert-rules.yml", folder)
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": ["alert-rules.yml"],
        "scrape_configs": [{"job_name": "airflow", "static_configs": [{"targets": [exporter.address]}]}],
    }
    # JSON is YAML.
    (folder / "prometheus.yml").write_text(json.dumps(config))
    address = f"127.0.0.1:{free_port()}"
    command = [
        "prometheus",
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={address}",
    ]
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            running = Prometheus(f"http://{address}", process)

            def is_ready() -> bool:
                assert process.poll() is None, (folder / "log").read_text()
                try:
                    return bool(running.query("up"))
                except OSError:
                    return False

            wait_for(is_ready)
            yield running
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def api() -> Iterator[ApiServer]:
    with ApiServer() as server:
        yield server


@pytest.fixture(scope="module")
def alerts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the file that the callback of the deadline writes."""
    return tmp_path_factory.mktemp("alerts") / "deadline"


@pytest.fixture(scope="module")
def airflow(
    tmp_path_factory: pytest.TempPathFactory,
    api: ApiServer,
    exporter: StatsdExporter,
    collector: OtlpCollector,
    alerts: Path,
) -> Iterator[LocalAirflow]:
    home = tmp_path_factory.mktemp("monitored")
    dags = HERE / "monitoring_dags"
    vendor = {"conn_type": "asyncapi", "host": api.url, "extra": {"send_trace_context": True}}
    with LocalAirflow(
        home,
        dags,
        connections={"vendor": vendor, "paced": {**vendor, "extra": {"requests_per_second": 0.3}}},
        config={
            "traces": {"otel_on": "True"},
            "metrics": {
                "statsd_on": "True",
                "statsd_host": "127.0.0.1",
                "statsd_port": str(exporter.statsd_port),
                "statsd_influxdb_enabled": "True",
            },
        },
        env={
            "TMPDIR": str(home),
            "PYTHONPATH": os.pathsep.join(filter(None, (str(dags), os.environ.get("PYTHONPATH")))),
            "ASYNCAPI_TEST_ALERTS": str(alerts),
            "OTEL_TRACES_EXPORTER": "otlp_proto_http",
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "OTEL_BSP_SCHEDULE_DELAY": "200",
        },
    ) as running:
        yield running


@pytest.fixture(scope="module")
def began(airflow: LocalAirflow) -> float:
    """Return the time before the first run, by the clock for durations."""
    return time.monotonic()


@pytest.fixture(scope="module")
def runs(airflow: LocalAirflow, began: float, api: ApiServer, prometheus: Prometheus) -> list[list[SimpleNamespace]]:
    """Run the DAG twice, since Prometheus computes rates of what it has seen before; return the API's requests."""
    first = run_monitored(airflow, api)
    # The triggerer sends its sums every 5 s.
    wait_for(lambda: bool(prometheus.query("airflow_asyncapi_wait_duration_count")))
    wait_for(lambda: bool(prometheus.query('airflow_asyncapi_poll_lag{asyncapi_conn_id="paced"}')))
    return [first, run_monitored(airflow, api)]


def run_monitored(airflow: LocalAirflow, api: ApiServer) -> list[SimpleNamespace]:
    """Run the DAG with jobs of which the first fails; return the requests that the API received."""
    api.requests.clear()
    api.respond_to("POST /jobs", reply({"id": "j-1"}, 201), reply({"id": "j-2"}, 201))
    api.respond_to("GET /jobs/j-1", RUNNING, reply({"error": "busy"}, 503), RUNNING, FAILED)
    api.respond_to("GET /jobs/j-2", RUNNING, RUNNING, DONE)
    api.respond_to("GET /jobs/j-2/rows", reply([{"id": 1}]))
    api.respond_to("GET /jobs/slow", RUNNING, RUNNING, RUNNING, DONE)
    api.respond_to("POST /calls", reply({"id": "c-1"}, 201))
    api.respond_to("GET /jobs/c-1/rows", reply([{"id": 2}]))
    run_id = airflow.client.trigger("monitored")

    def state(task_id: str) -> str | None:
        tasks = airflow.client.tasks("monitored", run_id)
        return next((task.state for task in tasks if task.task_id == task_id), None)

    wait_for(lambda: state("called.wait") == "deferred", airflow)
    (call,) = [each for each in api.requests if each.path == "/calls"]
    url = json.loads(call.body)["callback"]
    callback = urllib.request.Request(url, b'{"state": "done"}', {"Content-Type": "application/json"})
    urllib.request.urlopen(callback).close()
    wait_for(lambda: airflow.client.run_state("monitored", run_id) in RUN_OVER, airflow)
    states = {task.label: task.state for task in airflow.client.tasks("monitored", run_id)}
    assert set(states.values()) == {"success"}, states
    return list(api.requests)


def wait_for(condition: Callable[[], bool], airflow: LocalAirflow | None = None, timeout: float = 120.0) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        if airflow is not None:
            airflow.check()
        assert time.monotonic() < deadline, "the condition didn't hold in time"
        time.sleep(0.3)


def queries() -> Iterator[tuple[str, str]]:
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            expression = target["expr"]
            for name, value in GRAFANA.items():
                expression = expression.replace(name, value)
            yield panel["title"], expression


def test_every_query_of_the_dashboard_finds_data(runs: list[list[SimpleNamespace]], prometheus: Prometheus) -> None:
    for title, expression in queries():
        # The last sums may still be on their way.
        wait_for(lambda query=expression: any(prometheus.query(query)), timeout=30)  # type: ignore[misc]  # the default of a lambda
        assert all(value >= 0 for value in prometheus.query(expression)), (title, expression)
    names = prometheus.ask("/api/v1/label/asyncapi_conn_id/values", **{"match[]": "airflow_asyncapi_polls"})
    assert names == ["paced", "vendor"]


def test_metrics_have_the_values_of_what_happened(
    began: float, runs: list[list[SimpleNamespace]], prometheus: Prometheus
) -> None:
    polls = [each for requests in runs for each in requests if each.method == "GET" and "rows" not in each.path]

    def total(name: str) -> float:
        return sum(prometheus.query(f"airflow_asyncapi_{name}"))

    expected = {
        "polls": len(polls),
        "poll_errors": 2,
        "resubmits": 2,
        "callbacks": 2,
        "result_bytes": 4 * len('[{"id": 1}]'),
        "wait_duration_count": 8,
    }
    # Each process sends its own counts, and Prometheus asks for them once a second.
    with contextlib.suppress(AssertionError):
        wait_for(lambda: {name: total(name) for name in expected} == expected)
    assert {name: total(name) for name in expected} == expected
    assert total("late_waits") >= 2
    # Seconds, and no thousandths of them: the first job alone takes more than three, and no wait longer than the runs.
    elapsed = time.monotonic() - began
    (longest,) = prometheus.query('max(airflow_asyncapi_wait_duration{quantile="0.99"})')
    assert 3 < longest < elapsed
    (lag,) = prometheus.query('max(airflow_asyncapi_poll_lag{reason="rate", quantile="0.99"})')
    assert 1 <= lag < elapsed


def test_every_alert_asks_for_metrics_that_are_sent(runs: list[list[SimpleNamespace]], prometheus: Prometheus) -> None:
    (group,) = yaml.safe_load((MONITORING / "alert-rules.yml").read_text())["groups"]
    for rule in group["rules"]:
        value, threshold = re.fullmatch(r"(.*) > ([\d.]+)", rule["expr"], re.DOTALL).groups()  # type: ignore[union-attr]  # else it fails
        assert float(threshold) >= 0
        wait_for(lambda query=value: bool(prometheus.query(query)), timeout=30)  # type: ignore[misc]  # the default of a lambda


def test_the_alert_of_a_late_wait_fires(runs: list[list[SimpleNamespace]], prometheus: Prometheus) -> None:
    def firing() -> set[tuple[str, str]]:
        alerts = prometheus.ask("/api/v1/alerts")["alerts"]
        return {(each["labels"]["alertname"], each["labels"]["asyncapi_conn_id"]) for each in alerts}

    wait_for(lambda: ("AsyncApiJobsTakeTooLong", "vendor") in firing(), timeout=30)


def test_spans_of_workers_and_triggerers_have_the_job_s_as_parent(
    runs: list[list[SimpleNamespace]], collector: OtlpCollector
) -> None:
    def of_job(identifier: str) -> list[ReceivedSpan]:
        found = [each for each in collector.spans if each.attributes.get("asyncapi.job.identifier") == identifier]
        return [each for each in found if each.name == "asyncapi.job"]

    # In each run: the job that failed, the one after it, the paced one, and the one that called back.
    wait_for(lambda: [len(of_job(name)) for name in ("j-1", "j-2", "slow", "c-1")] == [2, 2, 2, 2], timeout=30)
    by_id = {each.span_id: each for each in collector.spans}
    for job in of_job("j-2"):
        stages = [each for each in collector.spans if each.parent_id == job.span_id]
        wait, *more = [each for each in stages if each.name == "asyncapi.wait"]
        assert sorted(each.name for each in stages) == [
            "asyncapi.fetch",
            "asyncapi.submit",
            *["asyncapi.wait"] * (1 + len(more)),
        ]
        # The worker polls once, and the triggerer goes on.
        assert wait.attributes["asyncapi.continues"] is True
        assert sum(each.attributes["asyncapi.polls"] for each in (wait, *more)) == 3
        assert {name for each in (wait, *more) for name in each.events} == {"poll"}
        assert by_id[job.parent_id].name == "worker.job"
        legs = {by_id[link].name for each in (wait, *more) for link in each.links}
        assert legs == {"trigger.job"}
        (dag_run,) = [
            each for each in collector.spans if each.name == "dag_run.monitored" and each.trace_id == job.trace_id
        ]
        assert dag_run.seconds >= job.seconds
    assert all(job.is_error for job in of_job("j-1"))
    assert {"callback"} <= {name for each in collector.spans if each.name == "asyncapi.wait" for name in each.events}


def test_the_api_receives_the_context_of_the_stage_that_sends_the_request(
    runs: list[list[SimpleNamespace]], collector: OtlpCollector
) -> None:
    names = {"POST /jobs": "asyncapi.submit", "GET /jobs/j-2": "asyncapi.wait", "GET /jobs/j-2/rows": "asyncapi.fetch"}
    for requests in runs:
        for each in requests:
            if (name := names.get(f"{each.method} {each.path}")) is not None:
                _, trace_id, span_id, _ = each.headers["traceparent"].split("-")
                (span,) = [span for span in collector.spans if span.span_id == span_id]
                assert (span.name, span.trace_id) == (name, trace_id)
            elif each.path == "/jobs/slow":
                # The connection doesn't send it.
                assert "traceparent" not in each.headers


def test_a_missed_deadline_of_a_dag_calls_back_while_its_task_is_deferred(
    airflow: LocalAirflow, api: ApiServer, alerts: Path
) -> None:
    api.respond_to("GET /jobs/forever", RUNNING)
    run_id = airflow.client.trigger("overdue")
    wait_for(alerts.exists, airflow)
    assert airflow.client.run_state("overdue", run_id) == "running"
    api.respond_to("GET /jobs/forever", DONE)
    wait_for(lambda: airflow.client.run_state("overdue", run_id) in RUN_OVER, airflow)
