"""A real Airflow, a job API that says what a test wants, and a browser."""

from __future__ import annotations

import json
import os
import shutil
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from playwright.sync_api import Browser, Dialog, Locator, Page, expect, sync_playwright

from demo.airflow import LocalAirflow
from tests.unit.fake_airflow import ApiServer, reply

HERE = Path(__file__).resolve().parent
#: Milliseconds that a slow machine may take to show something: a leg of a task, a poll, and a refresh of the page.
PATIENCE = 120_000
WINDOW = {"width": 1500, "height": 800}
PAGE = "/plugin/async-api-jobs"
OpenAs: TypeAlias = Callable[..., Page]

expect.set_options(timeout=PATIENCE)


def row(page: Page, *texts: str) -> Locator:
    """Find the row of the table that holds all of these."""
    found = page.get_by_role("row")
    for text in texts:
        found = found.filter(has_text=text)
    return found


@dataclass(frozen=True)
class Jobs:
    """The job API, and runs that are about its jobs."""

    server: ApiServer
    airflow: LocalAirflow

    def start(
        self,
        dag_id: str,
        name: str,
        state: str = "QUEUED",
        *,
        identifier: str | None = None,
        connection: str = "vendor",
        **more: Any,
    ) -> str:
        """Start a run whose job has this name, and this identifier if that is another; give the run's id."""
        identifier = identifier or name
        self.server.says(f"POST /submit/{name}", reply({"id": identifier}, 201))
        self.says(identifier, state, **more)
        conf = {"name": name, "page": f"{self.server.url}/page", "connection": connection}
        return self.airflow.client.trigger(dag_id, conf)

    def says(self, identifier: str, state: str, **more: Any) -> None:
        path = f"/jobs/{urllib.parse.quote(identifier, safe='')}"
        self.server.says(f"GET {path}", reply({"state": state, **more}))
        self.server.says(f"GET {path}/rows", reply([{"id": 1}]))
        self.server.says(f"GET /page/{identifier}", reply(b"The vendor's own page"))

    def breaks(self, path: str) -> None:
        self.server.says(f"GET {path}", reply({"title": "maintenance"}, 503))


@pytest.fixture(scope="session")
def api() -> Iterator[ApiServer]:
    with ApiServer() as server:
        yield server


@pytest.fixture(scope="session")
def airflow(tmp_path_factory: pytest.TempPathFactory, api: ApiServer) -> Iterator[LocalAirflow]:
    host, port = api.url.rsplit(":", 1)
    vendor = {"conn_type": "asyncapi", "host": host, "port": int(port)}
    with LocalAirflow(
        tmp_path_factory.mktemp("airflow"),
        HERE / "dags",
        connections={"vendor": vendor, "limited": {**vendor, "extra": {"requests_per_second": 0.5}}},
        config={
            "core": {
                "auth_manager": "restricted.RestrictedAuthManager",
                "simple_auth_manager_users": "admin:admin,reader:viewer",
            }
        },
        env={"PYTHONPATH": os.pathsep.join(filter(None, (str(HERE / "auth"), os.environ.get("PYTHONPATH"))))},
        serve_logs=True,
    ) as running:
        yield running


@pytest.fixture(scope="session")
def jobs(airflow: LocalAirflow, api: ApiServer) -> Jobs:
    return Jobs(api, airflow)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium")
    assert chromium, "make test-ui installs it"
    with sync_playwright() as playwright:
        # Chromium's sandbox wants rights that a container seldom has; all that it sees here is ours.
        launched = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture(scope="session")
def logins(airflow: LocalAirflow, browser: Browser) -> dict[str, Any]:
    """What the browser keeps of each user's login, which was made with the form."""
    passwords = json.loads((airflow.home / "passwords.json").read_text())
    states = {}
    for user in ("admin", "reader"):
        context = browser.new_context()
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        page.goto(airflow.url)
        page.fill("input[name=username]", user)
        page.fill("input[name=password]", passwords[user])
        page.keyboard.press("Enter")
        expect(page.get_by_role("button", name="Browse")).to_be_visible()
        states[user] = context.storage_state()
        context.close()
    return states


@pytest.fixture
def open_as(airflow: LocalAirflow, browser: Browser, logins: dict[str, Any]) -> Iterator[OpenAs]:
    """Open a page of Airflow's as a user; what its script complains of fails the test."""
    contexts, complaints = [], []

    def dismiss(dialog: Dialog) -> None:
        complaints.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def opened(user: str, path: str, **options: Any) -> Page:
        context = browser.new_context(
            base_url=airflow.url, storage_state=logins[user], **{"viewport": WINDOW, **options}
        )
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", dismiss)
        page.goto(path)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []
