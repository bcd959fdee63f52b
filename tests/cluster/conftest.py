"""One cluster and one job API for the whole session."""

from __future__ import annotations

import base64
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from demo.airflow.configuration import environment, free_port
from demo.airflow.processes import Processes
from tests.cluster.callers import SIGNING_KEY
from tests.cluster.cluster import JOBS, WORKERS, Cluster
from tests.cluster.control import Control
from tests.cluster.runs import (
    FOR_LONG,
    HELD,
    MOMENTS,
    NO_NAME,
    REFUSED,
    UNRESOLVED,
    Many,
    Run,
    poll_faults,
    submit_faults,
)
from tests.cluster.services import Services, running_services

HERE = Path(__file__).resolve().parent
#: The host of many jobs, and the name under which those log in who submit them.
MANY_HOST, SUBMIT_LOGIN = "many.test", "many-submit"


@pytest.fixture(scope="session")
def services() -> Iterator[Services]:
    with running_services() as running:
        yield running


@pytest.fixture(scope="session")
def ports() -> tuple[int, int]:
    return free_port(), free_port()


@pytest.fixture(scope="session")
def api(tmp_path_factory: pytest.TempPathFactory, ports: tuple[int, int]) -> Iterator[Control]:
    folder = tmp_path_factory.mktemp("job-api")
    processes = Processes(folder, environment(folder))
    processes.start("job-api", (sys.executable, str(HERE / "job_api.py"), *map(str, ports)))
    control = Control(f"http://127.0.0.1:{ports[0]}")
    try:
        control.wait_until_up(processes.check)
        yield control
    finally:
        processes.stop()


@pytest.fixture(scope="session")
def cluster(
    tmp_path_factory: pytest.TempPathFactory, services: Services, api: Control, ports: tuple[int, int]
) -> Iterator[Cluster]:
    login = {"auth": "login", "login_selector": "token"}
    connections: dict[str, dict[str, Any]] = {
        "jobs": {"port": ports[0]},
        "limited": {"port": ports[0], "extra": {"max_active_jobs": 2}},
        "impatient": {"port": ports[0], "extra": {"read_timeout": 2}},
        "signing": {
            "port": ports[0],
            "extra": {
                "callback": {"signature": {"scheme": "standard"}, "identifier": "id"},
                "callback_secret": f"whsec_{base64.b64encode(SIGNING_KEY).decode()}",
            },
        },
        "endurance": {
            "port": ports[1],
            "extra": {
                **login,
                "login_request": {"method": "POST", "endpoint": "/login/endurance"},
                # So that what trickles in is given up after a minute, and holds up nobody else until then.
                "read_timeout": 6,
                "connections_per_host": 100,
            },
        },
        "many": {
            "host": f"http://{MANY_HOST}",
            "port": ports[1],
            "extra": {
                **login,
                "login_request": {"method": "POST", "endpoint": "/login/many"},
                "read_timeout": 2,
                "connections_per_host": 100,
            },
        },
        # For long enough that what is held isn't given up.
        "many-submit": {
            "host": f"http://{MANY_HOST}",
            "port": ports[1],
            "extra": {**login, "login_request": {"method": "POST", "endpoint": f"/login/{SUBMIT_LOGIN}"}},
        },
        "unresolved": {"host": f"http://{UNRESOLVED}", "port": ports[0]},
        # Each logs in at an address of its own, so that one can be held up.
        **{
            f"login-{name}": {
                "port": ports[0],
                "extra": {**login, "login_request": {"method": "POST", "endpoint": f"/login/{name}"}},
            }
            for name in ("shared", "before-task-keyed", "before-both-lookup", "before-task-plain")
        },
    }
    shared = {"conn_type": "asyncapi", "host": "http://127.0.0.1"}
    running = Cluster(
        tmp_path_factory.mktemp("airflow"),
        services,
        connections={name: {**shared, **fields} for name, fields in connections.items()},
    )
    with running:
        running.wait_for_triggerers()
        yield running


@pytest.fixture(scope="session")
def start(cluster: Cluster, api: Control) -> Callable[..., Run]:
    """
    Start DAG runs.

    :return: takes a DAG's id, the run's id, under which its jobs' faults are planned, and of the DAG's params ``conn``,
        the connection, and ``seconds``, how long its jobs take
    """

    def start_run(dag_id: str, run_id: str, **conf: object) -> Run:
        cluster.client.trigger(dag_id, conf, run_id)
        return Run(cluster, api, dag_id, run_id)

    return start_run


@pytest.fixture(scope="session")
def many_begun(cluster: Cluster, api: Control, start: Callable[..., Run]) -> Many:
    """
    Many jobs, submitted through faults of the API, and kills of workers and of the scheduler.

    The last of them are still being submitted: what a worker had taken but not begun is found after 40 s.
    """
    for index in range(JOBS):
        api.plan(f"many/{index}", "submit", *submit_faults(index))
    for moment, (step, how) in MOMENTS.items():
        for name in _held_names(moment):
            api.plan(name, step, how)
    start("many", "many", conn="many", seconds=FOR_LONG)
    run = Many(cluster, api, "many", "many")
    for moment in MOMENTS:
        run.killed[moment] = _kill_a_worker(run, moment)
    run.until(lambda: len(run.jobs()) > JOBS / 2)
    run.until(lambda: {"queued", "running"} <= set(cluster.states("many", "job.submit")))
    cluster.processes.kill("scheduler")
    cluster.start_component("scheduler")
    run.until(lambda: len(cluster.waiting("many")["many"]) > JOBS / 2)
    return run


def _held_names(moment: str) -> list[str]:
    """Return the names under which requests are held; a login belongs to the connection, not to a job."""
    return [SUBMIT_LOGIN] if moment == "before" else [f"many/{index}" for index in HELD[moment]]


def _kill_a_worker(run: Many, moment: str) -> set[int]:
    """Kill a worker with all its tasks; give the map indices of those that were at this moment."""
    cluster, api, (step, _) = run.cluster, run.api, MOMENTS[moment]

    at_it: dict[str, set[int]] = {}

    def are_some_at_it() -> bool:
        held = api.held(step)
        for worker in WORKERS:
            running = cluster.running_at(worker, run.run_id, "job.submit").intersection(HELD[moment])
            at_it[worker] = {index for index in running if held & {SUBMIT_LOGIN, f"many/{index}"}}
        return any(len(indices) > 3 for indices in at_it.values())

    try:
        run.until(are_some_at_it)
        worker = max(WORKERS, key=lambda name: len(at_it[name]))
        cluster.processes.kill(worker)
        cluster.start_component(worker)
    finally:
        for name in _held_names(moment):
            api.release(name, step)
    return at_it[worker]


@pytest.fixture
def many(many_begun: Many) -> Many:
    """The same jobs, of which all that go on are waited for; until the last test of users ends them."""
    many_begun.until_all_wait()
    return many_begun


@pytest.fixture(scope="session")
def storm(cluster: Cluster, api: Control, many_begun: Many) -> Iterator[Future[None]]:
    """Begin what many jobs meet while other tests go on; its result is there once the API answers again, badly."""
    many_begun.until_all_wait()
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(raise_storm, cluster, api, many_begun)


def raise_storm(cluster: Cluster, api: Control, many: Many) -> None:
    """Make the API's host unknown, then refuse connections, until each job has met both; then send faulty responses."""
    going_on = many.going_on()

    def have_met(error: str) -> bool:
        return all(error in many.log("job.wait", index) for index in going_on)

    # It also closes the connections that are open, which would need no name.
    api.refuse()
    try:
        with cluster.without_name(MANY_HOST):
            many.until(lambda: have_met(NO_NAME))
        many.until(lambda: have_met(REFUSED))
    finally:
        api.listen()
    for position, index in enumerate(going_on):
        api.plan(f"many/{index}", "status", *poll_faults(position))
