"""Users act on jobs on the page: who may, what is asked before, and what is shown after."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.integration.ui.conftest import PAGE, Jobs, OpenAs, row
from tests.unit.fake_airflow import reply

pytestmark = [pytest.mark.ui, pytest.mark.timeout(600)]

DAG = "open_acted_on"


@pytest.fixture(scope="module")
def runs(jobs: Jobs) -> Iterator[dict[str, str]]:
    """Jobs that run until somebody acts on them; the runs' ids by job."""
    started = {name: jobs.start(DAG, name, "RUNNING") for name in ("stopped", "sooner", "repeated", "many-1", "many-2")}
    jobs.server.respond_to("DELETE /jobs/stopped", reply({}))
    yield started
    jobs.end_all()


def open_jobs(open_as: OpenAs, user: str, search: str, **options: object) -> Page:
    return open_as(user, f"{PAGE}?jobs_search={search}", **options)


def choose(page: Page, job: str, action: str) -> Locator:
    """Choose an action in the menu of a job; return the dialog that asks."""
    expect(row(page, job)).to_contain_text("deferred")
    row(page, job).get_by_role("button", name=f"Actions on job {job}").click()
    page.get_by_role("menuitem", name=action).click()
    return page.get_by_role("alertdialog", name=re.compile(f"^{action}: "))


def wait_out_deferral(page: Page, job: str, confirm: str, action: str, told: str) -> None:
    """Act until the task was deferred for long enough, as the message advises."""
    while True:
        dialog = choose(page, job, action)
        dialog.get_by_role("button", name=confirm).click()
        expect(dialog.get_by_role("button", name="Close")).to_be_visible()
        is_too_early = "only just now" in dialog.inner_text()
        if not is_too_early:
            expect(dialog).to_contain_text(told)
        dialog.get_by_role("button", name="Close").click()
        if not is_too_early:
            return


def test_a_job_that_ends_while_the_dialog_asks_is_left_alone(jobs: Jobs, runs: dict[str, str], open_as: OpenAs) -> None:
    page = open_jobs(open_as, "admin", "sooner")
    dialog = choose(page, "sooner", "Cancel job and fail task")
    expect(dialog).to_contain_text("sooner (export.wait, ")
    jobs.set_state("sooner", "FINISHED")
    # A dialog hides the rows from screen readers, and so from roles.
    expect(page.locator("tbody tr").filter(has_text="sooner")).to_contain_text("success")
    dialog.get_by_role("button", name="Cancel and fail").click()
    expect(dialog).to_contain_text("not done")
    expect(dialog).to_contain_text("The task has ended meanwhile: its state is success.")


def test_a_job_is_submitted_again(jobs: Jobs, runs: dict[str, str], open_as: OpenAs) -> None:
    jobs.set_state("repeated-2", "RUNNING")
    jobs.server.respond_to("POST /submit/repeated", reply({"id": "repeated-2"}, 201))
    page = open_jobs(open_as, "admin", "repeated")
    dialog = choose(page, "repeated", "Submit again")
    dialog.get_by_role("button", name="Submit again").click()
    expect(dialog).to_contain_text("Task 'export.submit' submits the job again")
    dialog.get_by_role("button", name="Close").click()
    expect(row(page, "repeated-2")).to_contain_text("deferred")
    assert jobs.server.count("POST /submit/repeated") == 2


def test_a_job_is_polled_from_its_own_view(runs: dict[str, str], open_as: OpenAs) -> None:
    page = open_jobs(open_as, "admin", "many-1")
    expect(row(page, "many-1")).to_contain_text("deferred")
    row(page, "many-1").get_by_role("link", name="Details of").click()
    # The place of the button is no more than the top of the view.
    page.set_viewport_size({"width": 1400, "height": 300})
    page.get_by_role("button", name="Actions on job many-1").click()
    page.get_by_role("menuitem", name="Poll now").click()
    # It changes nothing remote, so nobody is asked.
    told = page.get_by_role("status").filter(has_text="Poll now, job many-1")
    expect(told).to_contain_text("The triggerer polls the job within seconds.")
    expect(told).to_be_in_viewport(ratio=1)
    told.get_by_role("button", name="Dismiss").click()
    expect(told).to_have_count(0)
    expect(page.get_by_role("button", name="Actions on job many-1")).to_be_focused()


def test_selected_jobs_are_acted_on_together(jobs: Jobs, runs: dict[str, str], open_as: OpenAs) -> None:
    page = open_jobs(open_as, "admin", "many-")
    for job in ("many-1", "many-2"):
        expect(row(page, job)).to_contain_text("deferred")
    page.get_by_role("checkbox", name="Select all jobs on this page").check(force=True)
    expect(page.get_by_text("2 selected")).to_be_visible()
    bar = page.get_by_role("group", name="Actions on the selected jobs")
    bar.get_by_role("button", name="Poll now").click()
    dialog = page.get_by_role("alertdialog", name="Poll now: 2 jobs")
    dialog.get_by_role("button", name="Poll now").click()
    expect(dialog).to_contain_text("2 jobs: The triggerer polls the job within seconds.")
    dialog.get_by_role("button", name="Close").click()
    expect(page.get_by_text("2 selected")).to_have_count(0)
    for job in ("many-1", "many-2"):
        expect(row(page, job)).to_contain_text("deferred")


def test_a_reader_sees_no_actions_and_can_take_none(runs: dict[str, str], open_as: OpenAs) -> None:
    page = open_jobs(open_as, "reader", "many-")
    with page.expect_response(re.compile(r"/asyncapi/actions\?")) as asked:
        page.reload()
    assert asked.value.json() == {"dag_ids": []}
    expect(row(page, "many-1")).to_contain_text("deferred")
    expect(page.get_by_role("checkbox")).to_have_count(0)
    expect(row(page, "many-1").get_by_role("button", name=re.compile("^Actions"))).to_have_count(0)
    task = {"dag_id": DAG, "run_id": runs["many-1"], "task_id": "export.wait", "map_index": -1, "try_number": 1}
    answer = page.request.post(
        "/asyncapi/actions", data={"action": "cancel", "jobs": [task]}, headers={"X-AsyncApi-Page": "1"}
    )
    assert (answer.status, answer.json()) == (403, {"detail": "You may not edit task instances of this DAG"})


def test_a_request_of_another_site_is_refused(runs: dict[str, str], open_as: OpenAs) -> None:
    """The browser sends the cookie of an administrator with it, but no site can make it send the header."""
    page = open_jobs(open_as, "admin", "many-")
    expect(row(page, "many-1")).to_contain_text("deferred")
    task = {"dag_id": DAG, "run_id": runs["many-1"], "task_id": "export.wait", "map_index": -1, "try_number": 1}
    answer = page.request.post("/asyncapi/actions", data={"action": "cancel", "jobs": [task]})
    assert answer.status == 403
    assert "another site" in answer.json()["detail"]


def test_a_user_whose_login_has_expired_is_told_so(runs: dict[str, str], open_as: OpenAs) -> None:
    # A window of its own, so that the other pages of the user stay logged in.
    page = open_jobs(open_as, "admin", "many-", locale="en-GB")
    dialog = choose(page, "many-1", "Submit again")
    page.context.clear_cookies()
    dialog.get_by_role("button", name="Submit again").click()
    expect(dialog.get_by_role("alert")).to_have_text("You are no longer logged in. Load the page again to log in.")
    expect(dialog).to_contain_text("Nothing is known to have been done about 1 job.")


def test_a_job_is_cancelled_by_keyboard_alone(jobs: Jobs, runs: dict[str, str], open_as: OpenAs) -> None:
    # Last of this file, so that the task was deferred for long enough meanwhile.
    page = open_jobs(open_as, "admin", "stopped")
    expect(row(page, "stopped")).to_contain_text("deferred")
    row(page, "stopped").get_by_role("button", name="Actions on job stopped").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("menuitem", name="Poll now")).to_be_visible()
    # Enter in the dialog does nothing: its focus is on the button that changes nothing.
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    dialog = page.get_by_role("alertdialog", name="Cancel job and fail task: 1 job")
    expect(dialog.get_by_role("button", name="Do nothing")).to_be_focused()
    page.keyboard.press("Enter")
    expect(dialog).to_have_count(0)
    assert jobs.server.count("DELETE /jobs/stopped") == 0

    wait_out_deferral(
        page, "stopped", "Cancel and fail", "Cancel job and fail task", "A worker cancels the job and fails the task"
    )
    expect(row(page, "stopped")).to_contain_text("failed")
    expect(row(page, "stopped")).to_contain_text("admin has cancelled the job on the page Async API jobs")
    assert jobs.server.count("DELETE /jobs/stopped") == 1
    # The page offers only what the task's state allows.
    row(page, "stopped").get_by_role("button", name="Actions on job stopped").click()
    expect(page.get_by_role("menuitem")).to_have_text(["Submit again"])
    page.keyboard.press("Escape")
    row(page, "stopped").get_by_role("link", name="Details of").click()
    cancelled = page.get_by_role("listitem").filter(has_text="admin has cancelled the job")
    expect(cancelled.first).to_contain_text("the API has accepted the cancel")
    expect(page.get_by_role("list", name="Timeline").get_by_text("cancelled", exact=True)).to_be_visible()
