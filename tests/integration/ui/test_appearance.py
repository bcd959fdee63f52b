"""How the page looks, and the pictures of it for the documentation: SCREENSHOTS says where they go."""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from tests.integration.ui.conftest import PAGE, WINDOW, Jobs, OpenAs, row
from tests.integration.ui.measuring import find_faults, find_violations, tab_to

pytestmark = [pytest.mark.ui, pytest.mark.timeout(600)]

#: Only the jobs of this file.
OURS = f"{PAGE}?jobs_search=2026-01-31"
STOCK, REFUNDS, INVOICES, CUSTOMERS = (f"{name}-2026-01-31" for name in ("stock", "refunds", "invoices", "customers"))
#: What a row may show at most, and an identifier that no column can hold.
CROWDED: dict[str, Any] = {
    "dag_id": "finance_exports_europe_monthly_reconciliation",
    "run_id": "scheduled__2026-01-31T00:00:00+00:00",
    "task_id": "reconciliation_of_invoices.wait_for_export",
    "map_index": 17,
    "state": "up_for_reschedule",
    "health": {
        "level": "critical",
        "reasons": [
            {"code": "past_deadline", "message": "The deadline has passed at 2026-01-31 11:55:00 UTC", "since": None},
            {"code": "stalled", "message": "Stalled: status and progress unchanged", "since": "2026-01-31T10:55:00Z"},
            {
                "code": "status_missing",
                "message": "No status found at 'data.attributes.processing_state'",
                "since": None,
            },
        ],
    },
    "conn_id": "reconciliation_production_europe",
    "identifier": "8f14e45f-ceea-467f-9d3a-6d3a1e2b7c55",
    "status": "WAITING_FOR_CONFIRMATION",
    "progress": 1.0,
    "deadline": "2026-01-31T11:55:00Z",
    "warned_at": "2026-01-31T11:55:00Z",
    "polls": 123_456,
    "delay": {"seconds": 4000, "reason": "connections"},
    "error": "GET https://api.example.com/v1/exports answered 503: the service is being maintained, try again later",
    "attempt": 12,
    "last_failure": "The node was lost.",
}
LIMITED = {
    "rate_limited": 12,
    "rate_limited_since": "2026-01-30T11:55:00Z",
    "rate_limited_until": "2026-01-31T11:55:00Z",
}
WIDE: dict[str, Any] = {"identifier": "0123456789abcdef" * 8, "run_id": "x" * 250, "conn_id": "c" * 250}


@pytest.fixture(scope="module")
def shown(jobs: Jobs) -> Iterator[None]:
    """One job of each kind."""
    jobs.start("open_reports", STOCK, "FINISHED", percent=100)
    jobs.start("open_reports", REFUNDS, "RUNNING", percent=8)
    jobs.start("open_exports", INVOICES, "FAILED", percent=71, reason="The period is closed.")
    jobs.start("open_exports", "8f14e45f-ceea-467f-9d3a-6d3a1e2b7c55", "RUNNING", percent=62)
    jobs.start("open_exports", CUSTOMERS, connection="lakehouse")
    yield
    jobs.end_all()


@pytest.fixture
def page(jobs: Jobs, shown: None, open_as: OpenAs) -> Page:
    """The page with the jobs, one of which is at risk."""
    opened = open_as("admin", PAGE)
    expect(row(opened, REFUNDS)).to_contain_text("8%")
    jobs.breaks(f"/jobs/{REFUNDS}")
    expect(row(opened, STOCK)).to_contain_text("success")
    expect(row(opened, "8f14e45f")).to_contain_text("62%")
    expect(row(opened, INVOICES)).to_contain_text("The period is closed.")
    expect(row(opened, CUSTOMERS)).to_contain_text("QUEUED")
    expect(row(opened, REFUNDS)).to_contain_text("answered 503")
    return opened


def test_the_page_has_the_colours_of_airflow_and_axe_finds_nothing_wrong(page: Page, tmp_path: Path) -> None:
    folder = Path(os.environ.get("SCREENSHOTS") or tmp_path)
    for scheme, picture in (("light", "jobs.png"), ("dark", "jobs-dark.png")):
        page.set_viewport_size({"width": 1500, "height": 480})
        # As the user chooses it in Airflow.
        page.evaluate(f"localStorage.setItem('theme', '{scheme}')")
        page.reload()
        expect(row(page, REFUNDS)).to_contain_text("answered 503")
        # However a browser writes colours down: as a canvas has painted them.
        brightness = page.evaluate(
            """() => {
                const context = document.createElement("canvas").getContext("2d");
                context.fillStyle = getComputedStyle(document.querySelector("tbody td")).color;
                context.fillRect(0, 0, 1, 1);
                return Math.max(...context.getImageData(0, 0, 1, 1).data.slice(0, 3));
            }"""
        )
        assert brightness < 100 if scheme == "light" else brightness > 200
        taken = page.screenshot(path=folder / picture)
        assert 10_000 < len(taken) < 150_000

        page.set_viewport_size(WINDOW)
        page.get_by_role("checkbox", name=f"Select job {CUSTOMERS}").check(force=True)
        page.get_by_role("button", name="Columns").click()
        assert find_violations(page) == []
        page.get_by_role("button", name="Columns").press("Escape")
        row(page, CUSTOMERS).get_by_role("button", name="Actions on job").click()
        expect(page.get_by_role("menuitem", name="Cancel job")).to_be_visible()
        assert find_violations(page) == []
        page.get_by_role("menuitem", name="Cancel job").click()
        expect(page.get_by_role("alertdialog")).to_be_visible()
        assert find_violations(page) == []
        page.keyboard.press("Escape")
        row(page, REFUNDS).get_by_role("link", name="Details of").click()
        expect(page.get_by_role("list", name="Timeline")).to_contain_text("503")
        assert find_violations(page) == []
        page.go_back()
        expect(row(page, REFUNDS)).to_be_visible()
    page.evaluate("localStorage.removeItem('theme')")


def test_nothing_is_cut_or_broken_in_windows_of_usual_widths(page: Page) -> None:
    def add_rows(route: Route) -> None:
        answer = route.fetch()
        found = answer.json()
        found["jobs"] += [{**found["jobs"][0], **CROWDED}, {**found["jobs"][0], **CROWDED, **WIDE}]
        route.fulfill(response=answer, json=found)

    def add_connection(route: Route) -> None:
        answer = route.fetch()
        found = answer.json()
        found["connections"].append({**found["connections"][0], "conn_id": WIDE["conn_id"], **LIMITED})
        route.fulfill(response=answer, json=found)

    page.route("**/asyncapi/jobs?*", add_rows)
    page.route("**/asyncapi/connections?*", add_connection)
    page.reload()
    expect(row(page, "WAITING_FOR_CONFIRMATION")).to_have_count(2)
    shown = {}
    for width in (1920, 1280, 1000):
        page.set_viewport_size({"width": width, "height": 900})
        assert (width, find_faults(page)) == (width, [])
        shown[width] = page.get_by_role("columnheader").count()
        # What has no column of its own is in another one.
        expect(row(page, CUSTOMERS)).to_contain_text("lakehouse")
        folder = os.environ.get("LAYOUTS")
        if folder:
            page.screenshot(path=Path(folder) / f"list-{width}.png")
    assert shown[1920] > shown[1000]
    page.set_viewport_size({"width": 1920, "height": 900})
    expect(page.get_by_role("columnheader")).to_have_count(shown[1920])
    page.unroute_all()
    row(page, INVOICES).first.get_by_role("link", name="Details of").click()
    expect(page.get_by_role("list", name="Timeline")).to_contain_text("The period is closed.")
    for width in (1920, 1280, 1000):
        page.set_viewport_size({"width": width, "height": 900})
        assert (width, find_faults(page)) == (width, [])


def test_all_is_done_with_the_keyboard_alone_and_the_focus_is_where_it_was(page: Page) -> None:
    search = page.get_by_label("Search jobs")
    tab_to(page, search)
    page.keyboard.type("2026-01-31")
    expect(page.locator("tbody tr")).to_have_count(4)
    waiting = page.get_by_role("button", name=re.compile("^Waiting"))
    tab_to(page, waiting)
    page.keyboard.press("Enter")
    expect(waiting).to_have_attribute("aria-pressed", "true")
    expect(page.locator("tbody tr")).to_have_count(2)
    health = page.get_by_label("Health")
    tab_to(page, health)
    page.keyboard.press("ArrowDown")
    expect(health).to_have_value("risk")
    expect(page.locator("tbody tr")).to_have_count(1)
    page.keyboard.press("ArrowUp")

    columns = page.get_by_role("button", name="Columns")
    tab_to(page, columns)
    page.keyboard.press("Enter")
    tab_to(page, page.get_by_role("checkbox", name="Job", exact=True))
    page.keyboard.press("Escape")
    expect(page.get_by_role("group", name="Columns")).to_have_count(0)
    expect(columns).to_be_focused()

    tab_to(page, page.get_by_role("columnheader", name="Status").get_by_role("button"))
    page.keyboard.press("Enter")
    expect(page.get_by_role("columnheader", name="Status")).to_have_attribute("aria-sort", "ascending")
    mine = row(page, CUSTOMERS)
    menu = mine.get_by_role("button", name="Actions on job")
    tab_to(page, mine.get_by_role("checkbox"))
    tab_to(page, menu)
    page.keyboard.press("Enter")
    expect(page.get_by_role("menuitem", name="Poll now")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("menu")).to_have_count(0)
    expect(menu).to_be_focused()
    page.keyboard.press("Enter")
    # The menu is visible before it takes keys.
    expect(page.get_by_role("menu")).to_be_focused()
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Do nothing")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("alertdialog")).to_have_count(0)
    expect(menu).to_be_focused()

    details = mine.get_by_role("link", name="Details of")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Shift+Tab")
    expect(details).to_be_focused()
    page.keyboard.press("Enter")
    back = page.get_by_role("button", name="All jobs")
    expect(back).to_be_focused()
    expect(page.get_by_role("heading", name=CUSTOMERS)).to_be_visible()
    page.keyboard.press("Enter")
    expect(details).to_be_focused()


def test_the_list_starts_with_jobs_at_risk_and_is_grouped_narrowed_down_and_exported(page: Page) -> None:
    page.goto(OURS)
    rows = page.locator("tbody tr")
    expect(rows).to_have_count(4)
    expect(rows.first).to_contain_text(REFUNDS)
    expect(rows.first).to_contain_text("at risk")

    strip = page.get_by_role("group", name="Connections")
    lakehouse = strip.get_by_role("button", name="lakehouse")
    expect(lakehouse).to_contain_text("1 waiting")
    expect(strip.get_by_role("button", name="vendor")).to_contain_text("at risk")
    lakehouse.click()
    expect(lakehouse).to_have_attribute("aria-pressed", "true")
    expect(rows).to_have_count(1)
    expect(page.get_by_label("Connection", exact=True)).to_have_value("lakehouse")
    lakehouse.click()
    expect(rows).to_have_count(4)

    page.get_by_label("Group by").select_option("connection")
    expect(rows).to_have_count(6)
    expect(page.locator("th[scope=colgroup]")).to_have_text(["lakehouse", "vendor"])
    page.get_by_label("Group by").select_option("run")
    expect(page.locator("th[scope=colgroup]")).to_have_count(4)
    page.get_by_label("Group by").select_option("")
    expect(rows).to_have_count(4)

    columns = page.get_by_role("button", name="Columns")
    columns.click()
    for name, is_shown in (("Polls", False), ("Submitted", True)):
        box = page.get_by_role("checkbox", name=name)
        box.set_checked(is_shown)
        expect(page.get_by_role("columnheader", name=name)).to_have_count(int(is_shown))
    page.reload()
    expect(page.get_by_role("columnheader", name="Submitted")).to_be_visible()
    expect(page.get_by_role("columnheader", name="Polls")).to_have_count(0)
    page.evaluate("localStorage.removeItem('asyncapi_columns')")

    page.get_by_role("button", name=re.compile("^Waiting")).click()
    expect(rows).to_have_count(2)
    with page.expect_download() as download:
        page.get_by_role("link", name="Export as CSV").click()
    # It tells what it has: the filters, and the time.
    assert re.fullmatch(r"async-api-jobs-waiting-2026-01-31-\d{8}T\d{4}Z\.csv", download.value.suggested_filename)
    exported = list(csv.DictReader(io.StringIO(download.value.path().read_text("utf-8"))))
    names = list(exported[0])
    assert names[:4] == ["state", "health", "identifier", "url"]
    # Without the columns that the table doesn't show.
    assert names.index("progress") < names.index("dag_id") < names.index("conn_id") < names.index("polls")
    assert "kind" not in names
    assert [(job["identifier"], job["conn_id"], job["health"]) for job in exported] == [
        (REFUNDS, "vendor", "warning"),
        (CUSTOMERS, "lakehouse", "ok"),
    ]
