"""The page "Async API jobs" as people use it, and the links to the remote job."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Locator, Page, expect

from demo.airflow import LocalAirflow
from tests.integration.ui.conftest import PAGE, Jobs, OpenAs, row
from tests.unit.fake_airflow import reply

pytestmark = [pytest.mark.ui, pytest.mark.timeout(600)]

HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def runs(jobs: Jobs) -> Iterator[dict[str, str]]:
    """Jobs that go on for as long as the tests run, all at once, and one that fails; the runs' ids by job."""
    jobs.set_state("again-1", "FAILED", reason="The node was lost.")
    jobs.set_state("again-2", "RUNNING")
    jobs.server.respond_to("POST /submit/again", reply({"id": "again-1"}, 201), reply({"id": "again-2"}, 201))
    jobs.server.respond_to("POST /submit/refused", reply({"title": "The report is unknown."}, 400))
    started = {
        # The first test looks at this one.
        "e-2": jobs.start("open_exports", "e-2"),
        "again": jobs.airflow.client.trigger("open_again", {"name": "again", "page": f"{jobs.server.url}/page"}),
        "refused": jobs.airflow.client.trigger("open_exports", {"name": "refused", "page": jobs.server.url}),
        "archive-7": jobs.start("open_late", "archive-7", "RUNNING", percent=1),
        "e-3": jobs.start("open_exports", "e-3"),
        "e-1": jobs.start("open_exports", "e-1", "RUNNING", percent=40),
        "r-1": jobs.start("open_reports", "r-1"),
        "locked": jobs.start("open_exports", "locked", "FAILED", reason="The source is locked."),
        "salaries": jobs.start("closed_salaries", "salaries", "RUNNING", percent=75),
        "modes": jobs.start("open_modes", "modes", "RUNNING", percent=10),
        "hostile": jobs.start("open_reports", "hostile", "RUNNING", identifier=HOSTILE, percent=10),
    }
    for number in range(3):
        name = f"tardy-{number}"
        started[name] = jobs.start("open_reports", name, "RUNNING", connection="rate_limited", percent=5)
        jobs.set_state(f"part-{number}", "RUNNING", percent=10 * number)
    started["mapped"] = jobs.airflow.client.trigger("open_mapped")
    yield started
    jobs.end_all()


def column(page: Page, name: str) -> Locator:
    return page.get_by_role("columnheader", name=re.compile(f"^{name}"))


def refresh(page: Page) -> None:
    """Make the page load the list now, as when the user returns to its tab."""
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")


def task_page(dag_id: str, run_id: str, task_id: str) -> str:
    return f"/dags/{dag_id}/runs/{run_id}/tasks/{task_id}"


def test_a_job_is_seen_to_wait_to_go_on_and_to_finish(jobs: Jobs, runs: dict[str, str], open_as: OpenAs) -> None:
    page = open_as("admin", "/")
    page.get_by_role("button", name="Browse").click()
    page.get_by_role("menuitem", name="Async API jobs").click()
    expect(page.get_by_role("heading", name="Async API jobs")).to_be_visible()
    mine = row(page, "e-2")
    expect(mine).to_contain_text("deferred")
    expect(mine).to_contain_text("QUEUED")
    expect(mine).to_contain_text("59 min")
    expect(mine.get_by_role("progressbar")).to_have_count(0)
    for percent in (40, 80):
        jobs.set_state("e-2", "RUNNING", percent=percent)
        expect(mine).to_contain_text(f"RUNNING{percent}%", use_inner_text=False)
        expect(mine.get_by_role("progressbar")).to_have_attribute("aria-valuenow", str(percent / 100))
    jobs.set_state("e-2", "FINISHED", percent=100)
    expect(mine).to_contain_text("success")
    expect(mine).to_contain_text("100%")


def test_a_job_that_failed_says_why(runs: dict[str, str], open_as: OpenAs) -> None:
    page = open_as("admin", PAGE)
    mine = row(page, "locked")
    expect(mine).to_contain_text("failed")
    expect(mine).to_contain_text("Job locked has status FAILED: The source is locked.")
    message = mine.get_by_role("button", name=re.compile("^Job locked"))
    expect(message).to_have_attribute("aria-expanded", "false")
    message.press("Enter")
    expect(message).to_have_attribute("aria-expanded", "true")


def test_a_job_that_is_run_again_shows_the_attempt_and_why_the_last_one_failed(
    jobs: Jobs, runs: dict[str, str], open_as: OpenAs
) -> None:
    page = open_as("admin", PAGE)
    mine = row(page, "again-2")
    expect(mine).to_contain_text("RUNNING")
    expect(mine.get_by_text("attempt 2")).to_have_attribute("title", "Attempt 1 has failed: The node was lost.")
    jobs.set_state("again-2", "FINISHED")


def test_an_error_on_the_way_is_shown_while_it_lasts(jobs: Jobs, runs: dict[str, str], open_as: OpenAs) -> None:
    page = open_as("admin", PAGE)
    expect(row(page, "r-1")).to_contain_text("QUEUED")
    jobs.breaks("/jobs/r-1")
    expect(row(page, "r-1")).to_contain_text("answered 503: maintenance")
    jobs.set_state("r-1", "QUEUED")
    # The id of the run may hold any three digits.
    expect(row(page, "r-1")).not_to_contain_text("answered 503")


def test_waits_that_hold_a_worker_or_come_back_to_one_are_there_too(runs: dict[str, str], open_as: OpenAs) -> None:
    page = open_as("admin", f"{PAGE}?jobs_search=modes")
    expect(row(page, "modes", "poke")).to_contain_text("running")
    expect(row(page, "modes", "reschedule")).to_contain_text("up for reschedule")
    expect(row(page, "modes", "reschedule")).to_contain_text("10%")


def test_mapped_tasks_have_a_row_each(runs: dict[str, str], open_as: OpenAs) -> None:
    page = open_as("admin", f"{PAGE}?jobs_search=open_mapped")
    for number in range(3):
        expect(row(page, f"part-{number}")).to_contain_text(f"wait [{number}]")
    page.get_by_role("link", name="wait [2]", exact=True).click()
    expect(page).to_have_url(re.compile(r"/tasks/wait/mapped/2$"))


def test_jobs_are_found_filtered_and_sorted_and_the_address_keeps_it(runs: dict[str, str], open_as: OpenAs) -> None:
    page = open_as("admin", PAGE)
    expect(row(page, "part-2")).to_contain_text("20%")
    page.get_by_label("Search jobs").fill("PART-")
    expect(row(page, "e-1")).to_have_count(0)
    column(page, "Progress").get_by_role("button").click()
    expect(column(page, "Progress")).to_have_attribute("aria-sort", "ascending")
    expect(page.locator("tbody tr")).to_contain_text(["part-0", "part-1", "part-2"])
    column(page, "Progress").get_by_role("button").press("Enter")
    expect(column(page, "Progress")).to_have_attribute("aria-sort", "descending")
    expect(page.locator("tbody tr")).to_contain_text(["part-2", "part-1", "part-0"])
    page.reload()
    expect(page.locator("tbody tr")).to_contain_text(["part-2", "part-1", "part-0"])
    expect(page.get_by_label("Search jobs")).to_have_value("PART-")

    page.get_by_role("button", name=re.compile("^Failed")).click()
    expect(page.get_by_text("No matching jobs.")).to_be_visible()
    page.get_by_label("Search jobs").fill("")
    expect(row(page, "locked")).to_be_visible()
    expect(row(page, "e-1")).to_have_count(0)
    page.get_by_role("button", name=re.compile("^Waiting")).click()
    expect(row(page, "e-1")).to_be_visible()
    expect(row(page, "locked")).to_have_count(0)


def test_submits_that_have_failed_are_found_by_a_filter_and_by_their_error(
    jobs: Jobs, runs: dict[str, str], open_as: OpenAs
) -> None:
    page = open_as("admin", PAGE)
    page.get_by_label("State", exact=True).select_option("submit failed")
    refused = page.locator("tbody tr")
    expect(refused).to_have_count(1)
    expect(refused).to_contain_text("The report is unknown.")
    expect(refused).to_contain_text("export.submit")
    page.get_by_label("State", exact=True).select_option("Any state")
    expect(row(page, "e-1")).to_be_visible()
    page.get_by_label("Search jobs").fill("report IS unknown")
    expect(refused).to_have_count(1)
    expect(refused).to_contain_text("submit failed")


def test_the_links_lead_to_the_task_its_log_its_run_and_the_job(runs: dict[str, str], open_as: OpenAs) -> None:
    page = open_as("admin", f"{PAGE}?jobs_search=e-1")
    mine = row(page, "e-1")
    with page.expect_popup() as popup:
        mine.get_by_role("link", name="e-1, opens").click()
    expect(popup.value.get_by_text("The vendor's own page")).to_be_visible()
    assert popup.value.evaluate("window.opener") is None

    mine.get_by_role("link", name="Log of").click()
    expect(page.get_by_text("Job e-1 has status RUNNING, 40%").first).to_be_visible()
    page.go_back()
    mine.get_by_role("link", name=runs["e-1"]).click()
    expect(page).to_have_url(re.compile(r"/dags/open_exports/runs/[^/]+$"))
    page.go_back()
    mine.get_by_role("link", name="open_exports").click()
    expect(page).to_have_url(re.compile("/dags/open_exports$"))


def test_a_dag_and_a_task_have_the_page_as_a_tab_with_their_jobs_only(runs: dict[str, str], open_as: OpenAs) -> None:
    page = open_as("admin", "/dags/open_exports")
    page.get_by_role("link", name="Async API jobs").click()
    expect(row(page, "e-1")).to_contain_text("40%")
    expect(row(page, "locked")).to_be_visible()
    expect(row(page, "r-1")).to_have_count(0)
    page.goto(task_page("open_exports", runs["e-1"], "export.wait"))
    page.get_by_role("link", name="Async API jobs").click()
    expect(page.get_by_role("heading", name="e-1")).to_be_visible()
    expect(page.get_by_role("list", name="Timeline")).to_contain_text("RUNNING")
    expect(page.get_by_role("table")).to_have_count(0)


def test_the_tab_of_one_mapped_task_shows_its_own_job(runs: dict[str, str], open_as: OpenAs) -> None:
    page = open_as("admin", f"{task_page('open_mapped', runs['mapped'], 'wait')}/mapped/1")
    page.get_by_role("link", name="Async API jobs").click()
    expect(page.get_by_role("heading", name="part-1")).to_be_visible()
    expect(page.get_by_role("progressbar", name="Progress")).to_have_attribute("aria-valuenow", "0.1")


def test_a_job_has_a_view_of_its_own_and_the_browser_goes_back_to_the_list(
    runs: dict[str, str], open_as: OpenAs
) -> None:
    page = open_as("admin", f"{PAGE}?jobs_search=locked")
    row(page, "locked").get_by_role("link", name="Details of").press("Enter")
    expect(page.get_by_role("heading", name="locked")).to_be_visible()
    expect(page.get_by_role("list", name="Timeline")).to_contain_text("The source is locked.")
    page.reload()
    expect(page.get_by_role("list", name="Timeline")).to_contain_text("The source is locked.")
    page.go_back()
    expect(row(page, "locked")).to_be_visible()
    expect(page.get_by_label("Search jobs")).to_have_value("locked")


def test_who_may_not_read_a_dag_sees_nothing_of_its_jobs(
    airflow: LocalAirflow, runs: dict[str, str], open_as: OpenAs
) -> None:
    expect(row(open_as("admin", PAGE), "salaries")).to_contain_text("75%")
    page = open_as("reader", PAGE)
    expect(row(page, "e-1")).to_be_visible()
    expect(page.locator("body")).not_to_contain_text("salaries")
    page.get_by_label("Search jobs").fill("salaries")
    expect(page.get_by_text("No matching jobs.")).to_be_visible()
    expect(page.get_by_role("button", name="All")).to_contain_text("0")
    for asked in ("search=salaries", "dag_id=closed_salaries", f"run_id={runs['salaries']}"):
        answer = page.request.get(f"/asyncapi/jobs?{asked}")
        assert answer.ok
        assert (answer.json()["total"], answer.json()["jobs"]) == (0, [])
        assert set(answer.json()["groups"].values()) == {0}


def test_what_an_api_says_stays_text(runs: dict[str, str], open_as: OpenAs) -> None:
    page = open_as("admin", f"{PAGE}?jobs_search=onerror")
    expect(row(page, HOSTILE)).to_contain_text("10%")
    assert page.locator("tbody img").count() == 0
    page.goto(f"{PAGE}?jobs_search={HOSTILE.replace('<', '%3C')}")
    expect(row(page, HOSTILE)).to_be_visible()


def test_nothing_comes_from_outside(airflow: LocalAirflow, runs: dict[str, str], open_as: OpenAs) -> None:
    page = open_as("admin", "/")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(PAGE)
    expect(row(page, "e-1")).to_be_visible()
    assert {urlsplit(url).netloc for url in asked if not url.startswith(("data:", "blob:"))} == {
        urlsplit(airflow.url).netloc
    }


def test_the_page_says_that_the_server_is_away_and_keeps_what_it_has(runs: dict[str, str], open_as: OpenAs) -> None:
    page = open_as("admin", PAGE)
    expect(row(page, "e-1")).to_be_visible()
    page.route("**/asyncapi/jobs?*", lambda route: route.fulfill(status=503, body="away"))
    refresh(page)
    expect(page.get_by_role("alert")).to_contain_text("answered 503")
    expect(row(page, "e-1")).to_be_visible()
    page.unroute("**/asyncapi/jobs?*")
    refresh(page)
    expect(page.get_by_role("alert")).to_have_count(0)


def test_tasks_have_a_link_to_the_job_while_that_goes_on(jobs: Jobs, runs: dict[str, str], open_as: OpenAs) -> None:
    page = open_as("admin", PAGE)
    expect(row(page, "e-1")).to_contain_text("40%")
    expect(row(page, "modes", "poke")).to_contain_text("10%")
    for dag_id, task, job in (
        ("open_exports", "export.submit", "e-1"),
        ("open_exports", "export.wait", "e-1"),
        ("open_modes", "poke", "modes"),
    ):
        page.goto(f"{task_page(dag_id, runs[job], task)}/details")
        link = page.get_by_role("link", name="Remote job")
        expect(link).to_have_attribute("href", f"{jobs.server.url}/page/{job}")


def test_the_task_that_fetches_has_the_link_while_it_runs(jobs: Jobs, runs: dict[str, str], open_as: OpenAs) -> None:
    page = open_as("admin", f"{PAGE}?jobs_search=e-3")
    expect(row(page, "e-3")).to_contain_text("QUEUED")
    jobs.set_state("e-3", "FINISHED")
    jobs.breaks("/jobs/e-3/rows")
    expect(row(page, "e-3")).to_contain_text("success")
    page.goto(f"{task_page('open_exports', runs['e-3'], 'export.fetch')}/details")
    expect(page.get_by_test_id("state-badge").filter(has_text="Running").first).to_be_visible()
    expect(page.get_by_role("link", name="Remote job")).to_have_attribute("href", f"{jobs.server.url}/page/e-3")
    jobs.set_state("e-3", "FINISHED")


def test_a_wait_that_takes_too_long_is_marked_while_it_lasts(jobs: Jobs, runs: dict[str, str], open_as: OpenAs) -> None:
    page = open_as("admin", PAGE)
    mark = row(page, "archive-7").get_by_text("longer than expected")
    expect(mark).to_be_visible()
    expect(mark).to_have_attribute("title", re.compile(r"^Longer than warn_after since .*\d"))
    jobs.set_state("archive-7", "FINISHED")
    expect(row(page, "archive-7")).to_contain_text("success")
    expect(mark).to_have_count(0)


def test_polls_that_are_late_say_by_how_much_and_what_they_wait_for(runs: dict[str, str], open_as: OpenAs) -> None:
    """Three jobs each second over a connection that allows a request every two seconds."""
    page = open_as("admin", PAGE)
    for name in ("tardy-0", "tardy-1", "tardy-2"):
        expect(row(page, name)).to_contain_text(re.compile(r"\d+ s late \(rate\)"))
