"""A job API that says what a test wants, and a browser."""

from __future__ import annotations

import json
import logging
import shutil
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Dialog, Locator, Page, expect, sync_playwright

from demo.airflow import LocalAirflow
from tests.unit.fake_airflow import ApiServer, reply

#: Milliseconds that a slow machine may take to show something: a leg of a task, a poll, and a refresh of the page.
PATIENCE = 120_000
WINDOW: Any = {"width": 1500, "height": 800}
PAGE = "/plugin/async-api-jobs"
OpenAs: TypeAlias = Callable[..., Page]
OpenWindow: TypeAlias = Callable[..., BrowserContext]

expect.set_options(timeout=PATIENCE)
log = logging.getLogger(__name__)


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
    #: The identifiers of all jobs.
    started: set[str] = field(default_factory=set)

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
        self.server.respond_to(f"POST /submit/{name}", reply({"id": identifier}, 201))
        self.set_state(identifier, state, **more)
        conf = {"name": name, "page": f"{self.server.url}/page", "connection": connection}
        return self.airflow.client.trigger(dag_id, conf)

    def set_state(self, identifier: str, state: str, **more: Any) -> None:
        self.started.add(identifier)
        path = f"/jobs/{urllib.parse.quote(identifier, safe='')}"
        self.server.respond_to(f"GET {path}", reply({"state": state, **more}))
        self.server.respond_to(f"GET {path}/rows", reply([{"id": 1}]))
        self.server.respond_to(f"GET /page/{identifier}", reply(b"The vendor's own page"))

    def breaks(self, path: str) -> None:
        self.server.respond_to(f"GET {path}", reply({"title": "maintenance"}, 503))

    def end_all(self) -> None:
        """Finish all jobs, so that their waits don't slow down the tests that follow."""
        for identifier in list(self.started):
            self.set_state(identifier, "FINISHED")


@pytest.fixture(scope="session")
def api() -> Iterator[ApiServer]:
    with ApiServer() as server:
        yield server


@pytest.fixture(scope="session")
def jobs(airflow: LocalAirflow, api: ApiServer) -> Jobs:
    host, port = api.url.rsplit(":", 1)
    vendor = {"conn_type": "asyncapi", "host": host, "port": int(port)}
    airflow.client.add_connection("vendor", vendor)
    airflow.client.add_connection("lakehouse", vendor)
    airflow.client.add_connection("rate_limited", {**vendor, "extra": {"requests_per_second": 0.5}})
    return Jobs(api, airflow)


# Playwright's loop runs in the main thread until it is stopped, and other tests need one of their own: so it has the
# scope of this package.
@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium")
    assert chromium, "make test-ui installs it"
    with sync_playwright() as playwright:
        # Chromium's sandbox wants rights that a container seldom has; all that it sees here is ours.
        launched = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture(scope="package")
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


@pytest.fixture(scope="package")
def window_of(airflow: LocalAirflow, browser: Browser, logins: dict[str, Any]) -> Iterator[OpenWindow]:
    """
    Return what opens the browser's window of a user.

    All pages of a user share one, as they do for people: what Airflow's pages have in common, some megabytes of
    scripts, is loaded once. With other options it is a window of its own.
    """
    opened: dict[str, BrowserContext] = {}

    def context(user: str, **options: Any) -> BrowserContext:
        key = repr((user, options))
        if key not in opened:
            opened[key] = browser.new_context(
                base_url=airflow.url, storage_state=logins[user], **{"viewport": WINDOW, **options}
            )
            opened[key].set_default_timeout(PATIENCE)
        return opened[key]

    yield context
    for one in opened.values():
        one.close()


@pytest.fixture
def open_as(window_of: OpenWindow) -> Iterator[OpenAs]:
    """Open a page of Airflow's as a user; what its script complains of fails the test."""
    pages: list[Page] = []
    complaints: list[str] = []

    # Playwright takes no method of a list.
    def note_popup(page: Page) -> None:
        pages.append(page)

    def dismiss(dialog: Dialog) -> None:
        complaints.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    # Pytest shows it with a test that fails: an error that React catches is only there.
    def log_error(message: ConsoleMessage) -> None:
        if message.type == "error":
            log.error("The browser's console at %s: %s", message.page and message.page.url, message.text)

    def opened(user: str, path: str, **options: Any) -> Page:
        page = window_of(user, **options).new_page()
        pages.append(page)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", log_error)
        page.on("dialog", dismiss)
        page.on("popup", note_popup)
        page.goto(path)
        return page

    yield opened
    for page in pages:
        page.close()
    assert complaints == []
