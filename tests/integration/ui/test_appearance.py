"""How the page looks, and the pictures of it for the documentation: SCREENSHOTS says where they go."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.integration.ui.conftest import PAGE, Jobs, OpenAs, row

pytestmark = [pytest.mark.ui, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def shown(jobs: Jobs) -> None:
    """One job of each kind; this file comes first, so there are no others."""
    jobs.start("open_reports", "stock-2026-01-31", "FINISHED", percent=100)
    jobs.start("open_reports", "refunds-2026-01-31", "RUNNING", percent=8)
    jobs.start("open_exports", "invoices-2026-01-31", "FAILED", percent=71, reason="The period is closed.")
    jobs.start("open_exports", "8f14e45f-ceea-467f-9d3a-6d3a1e2b7c55", "RUNNING", percent=62)
    jobs.start("open_exports", "customers-2026-01-31")


def open_page(open_as: OpenAs, scheme: str, **options: object) -> Page:
    """Open the page in the colours that the user has chosen in Airflow."""
    page = open_as("admin", PAGE, color_scheme=scheme, **options)
    page.evaluate(f"localStorage.setItem('theme', '{scheme}')")
    page.reload()
    expect(row(page, "customers")).to_contain_text("QUEUED")
    return page


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_has_the_colours_of_airflow(
    jobs: Jobs, shown: None, open_as: OpenAs, tmp_path: Path, scheme: str
) -> None:
    page = open_page(open_as, scheme, viewport={"width": 1500, "height": 480})
    expect(row(page, "stock")).to_contain_text("success")
    expect(row(page, "8f14e45f")).to_contain_text("62%")
    expect(row(page, "refunds")).to_contain_text("8%")
    expect(row(page, "invoices")).to_contain_text("The period is closed.")
    jobs.breaks("/jobs/refunds-2026-01-31")
    expect(row(page, "refunds")).to_contain_text("answered 503")
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
    folder = Path(os.environ.get("SCREENSHOTS") or tmp_path)
    picture = page.screenshot(path=folder / {"light": "jobs.png", "dark": "jobs-dark.png"}[scheme])
    assert 10_000 < len(picture) < 150_000


def test_a_narrow_window_scrolls_the_table_and_not_the_page(shown: None, open_as: OpenAs) -> None:
    page = open_page(open_as, "light", viewport={"width": 700, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    log = row(page, "customers").get_by_role("link", name="Log of")
    expect(log).not_to_be_in_viewport()
    log.focus()
    expect(log).to_be_in_viewport()
