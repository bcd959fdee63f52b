"""
Measure how long the page of jobs blocks a browser, with ten thousand jobs in the database.

Airflow's API server runs with Airflow's own UI, and Chromium records what its main thread does. The longest task is how
long the page doesn't react to a user. Needs ``chromium``, which ``make test-ui`` installs.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.measure import table
from demo.airflow import LocalAirflow

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

_PAGE = "/plugin/async-api-jobs"
_CATEGORIES = ["disabled-by-default-devtools.timeline", "devtools.timeline", "__metadata"]
#: Milliseconds in which the browser does what follows from an answer.
_SETTLE = 1500


class _ApiServer(LocalAirflow):
    """The API server alone: nothing changes the jobs."""

    def wait_until_healthy(self) -> None:
        self._wait(lambda: [part for part in self._unhealthy() if part == "api-server"])


def main(given: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.page_browser", description=__doc__)
    parser.add_argument("--jobs", type=int, default=10_000, help="number of waits in the database")
    parser.add_argument("--rounds", type=int, default=5, help="number of times that each thing is done")
    parser.add_argument("--fill", help=argparse.SUPPRESS)
    arguments = parser.parse_args(given or [])
    if arguments.fill is not None:
        _fill(arguments.fill, arguments.jobs)
        return
    with tempfile.TemporaryDirectory() as folder:
        (dags := Path(folder, "dags")).mkdir()
        config = {"core": {"simple_auth_manager_all_admins": "True"}}
        components = {"api-server": ("api-server", "--workers", "1")}
        with _ApiServer(Path(folder, "home"), dags, components=components, config=config) as airflow:
            database = airflow.home / "airflow.db"
            command = [sys.executable, "-m", "benchmarks.page_browser", f"--jobs={arguments.jobs}"]
            environment = {
                **os.environ,
                "AIRFLOW_HOME": f"{folder}/other",
                "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{database}",
            }
            subprocess.run([*command, f"--fill=sqlite:///{database}"], env=environment, check=True)
            rows = _measure(airflow.url, database, arguments.rounds)
    head = (f"{arguments.jobs} jobs", "longest task, ms", "of CPU", "tasks > 50 ms", "all tasks, ms")
    table("The page of jobs in a browser: medians of the rounds", [head, *rows])


def _fill(url: str, jobs: int) -> None:
    from sqlalchemy import create_engine  # noqa: PLC0415 - as below

    from benchmarks import page  # noqa: PLC0415 - as below
    from tests.unit.plugins.airflow_database import Database  # noqa: PLC0415 - imports Airflow

    engine = create_engine(url)
    page.fill(Database(engine), jobs)
    engine.dispose()


def _measure(url: str, database: Path, rounds: int) -> list[tuple[str, ...]]:
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - needs the group ui

    chromium = shutil.which("chromium")
    assert chromium, "make test-ui installs it"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_context(base_url=url, viewport={"width": 1500, "height": 900}).new_page()
        page.set_default_timeout(120_000)
        _keep_alive(database)
        measured: dict[str, list[tuple[float, float, int, float]]] = {}
        for turn in range(rounds + 1):
            for name, act in _list_acts(page, database).items():
                _keep_alive(database)
                found = _trace(browser, page, act)
                if turn:
                    measured.setdefault(name, []).append(found)
        browser.close()
    return [
        (name, *(f"{statistics.median(each):.0f}" for each in zip(*found, strict=True)))
        for name, found in measured.items()
    ]


def _list_acts(page: Page, database: Path) -> dict[str, Callable[[], None]]:
    """Return what a user does, in the order in which it is possible."""
    rows = page.locator("tbody tr")

    def load() -> None:
        page.goto(_PAGE)
        rows.nth(49).wait_for()

    def refresh() -> None:
        with page.expect_response("**/asyncapi/jobs?*"):
            page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")

    def change_and_refresh() -> None:
        with closing(sqlite3.connect(database, timeout=30)) as connection, connection:
            progress = (dt.datetime.now(dt.UTC).microsecond % 99) / 100
            connection.execute(
                "UPDATE xcom SET value = json_set(value, '$.progress', ?) WHERE key = 'job'", (progress,)
            )
        refresh()

    def click(role: Any, name: str, response: str = "jobs?*") -> Callable[[], None]:
        def act() -> None:
            with page.expect_response(f"**/asyncapi/{response}"):
                page.get_by_role(role, name=name).first.click()

        return act

    def choose(value: str) -> Callable[[], None]:
        def act() -> None:
            with page.expect_response("**/asyncapi/jobs?*"):
                page.get_by_label("Group by").select_option(value)

        return act

    def select_all() -> None:
        page.get_by_role("checkbox", name="Select all jobs on this page").check(force=True)
        page.get_by_role("button", name="matching jobs").click()
        page.get_by_role("button", name="Selecting").wait_for(state="hidden")
        page.get_by_text("50 selected").wait_for(state="hidden")

    def clear() -> None:
        page.get_by_role("button", name="Clear selection").click()

    return {
        "the page is loaded, with Airflow's UI": load,
        "a refresh in which nothing has changed": refresh,
        "a refresh in which all rows have changed": change_and_refresh,
        "the rows are sorted by task": click("button", "Task"),
        "the rows are grouped by run": choose("run"),
        "the rows are grouped no more": choose(""),
        "the next page": click("button", "Next"),
        "all jobs of all pages are selected": select_all,
        "a refresh with all jobs selected": refresh,
        "the selection is cleared": clear,
        "one job is opened": click("link", "Details of", "jobs/details?*"),
        "back to the list": click("button", "All jobs"),
    }


def _keep_alive(database: Path) -> None:
    """Record a heartbeat of the triggerer, and a poll of each job."""
    now = dt.datetime.now(dt.UTC).replace(tzinfo=None).isoformat(" ")
    with closing(sqlite3.connect(database, timeout=30)) as connection, connection:
        connection.execute("UPDATE job SET latest_heartbeat = ?", (now,))
        connection.execute("UPDATE xcom SET timestamp = ? WHERE key = 'job'", (now,))


def _trace(browser: Browser, page: Page, act: Callable[[], None]) -> tuple[float, float, int, float]:
    """
    Return what the main thread has done meanwhile.

    :return: milliseconds of the longest task, those in which it had a processor, the number of tasks above 50 ms, and
        milliseconds of all tasks.
    """
    browser.start_tracing(page=page, categories=_CATEGORIES)
    act()
    page.wait_for_timeout(_SETTLE)
    events = json.loads(browser.stop_tracing())["traceEvents"]
    threads = {
        (each["pid"], each["tid"])
        for each in events
        if each["name"] == "thread_name" and each["args"]["name"] == "CrRendererMain"
    }
    tasks = [
        (each["dur"] / 1000, each.get("tdur", 0) / 1000)
        for each in events
        if each["name"] == "RunTask" and (each["pid"], each["tid"]) in threads and "dur" in each
    ]
    longest, processor = max(tasks, default=(0.0, 0.0))
    return longest, processor, sum(duration > 50 for duration, _ in tasks), sum(duration for duration, _ in tasks)


if __name__ == "__main__":
    main(sys.argv[1:])
