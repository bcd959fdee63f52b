"""The connection form as people use it: make a connection, test it, and have a task use it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Locator, Page, expect

from airflow_provider_asyncapi.core.auth.registry import arrange_form
from airflow_provider_asyncapi.get_provider_info import get_provider_info
from demo.airflow import LocalAirflow
from tests.integration.ui.conftest import PAGE, Jobs, OpenAs, row
from tests.unit.fake_airflow import reply

pytestmark = [pytest.mark.ui, pytest.mark.timeout(600)]


def field(form: Locator, name: str, role: Literal["textbox", "combobox"] = "textbox") -> Locator:
    """Find an extra field; Airflow ties its label to nothing, so it is found by its help."""
    (connection_type,) = get_provider_info()["connection-types"]
    described = connection_type["conn-fields"][name]
    return form.get_by_role("group").filter(has_text=described["description"]).get_by_role(role)


def open_section(form: Locator, heading: str) -> None:
    """Open a section of the form; Airflow closes the one that is open."""
    button = form.get_by_role("button", name=heading, exact=True)
    button.click()
    expect(button).to_have_attribute("aria-expanded", "true")


def add_connection(page: Page, conn_id: str) -> Locator:
    """Open the form for a new connection of our type."""
    page.get_by_role("button", name="Add Connection").click()
    form = page.get_by_role("dialog")
    form.get_by_label("Connection ID").fill(conn_id)
    form.get_by_role("combobox", name="Connection Type").fill("Asynchronous HTTP")
    page.get_by_role("option", name="Asynchronous HTTP API").click()
    return form


def choose_authentication(page: Page, form: Locator, kind: str, label: str) -> None:
    form.get_by_role("combobox", name="Authentication", exact=True).fill(kind)
    page.get_by_role("option", name=label, exact=True).click()


@pytest.fixture
def edited(airflow: LocalAirflow) -> Iterator[str]:
    """Have a connection that a command or a file has made, so that it has few keys; its id."""
    conn_id = "edited_here"
    extra = {"auth": "bearer", "headers": {"X-Org": "42"}, "secret_headers": {"X-Org-Key": "planted-key"}}
    host = {"conn_type": "asyncapi", "host": "https://api.example.com", "password": "planted-token"}
    airflow.client.add_connection(conn_id, {**host, "extra": extra})
    yield conn_id
    airflow.client.call("DELETE", f"/api/v2/connections/{conn_id}")


def test_the_form_shows_one_section_at_a_time_and_the_first_one_chooses_what_else_is_needed(
    open_as: OpenAs, tmp_path: Path
) -> None:
    page = open_as("admin", "/connections", viewport={"width": 1400, "height": 1300})
    form = add_connection(page, "celigo_prod")
    headings = form.get_by_role("button", expanded=False).or_(form.get_by_role("button", expanded=True))
    expect(headings).to_have_text(["Standard Fields", *arrange_form(), "Extra Fields JSON"])
    # With one section for all fields it was 9,581 pixels high.
    for heading in arrange_form():
        open_section(form, heading)
        expect(form.get_by_role("button", expanded=True)).to_have_text([heading])
        box = form.bounding_box()
        assert box is not None
        assert box["height"] < 2800

    open_section(form, "Authentication and profile")
    choose_authentication(page, form, "bearer", "bearer: the password is the token")
    profile = field(form, "profile", "combobox")
    suggested = page.locator(f"#{profile.get_attribute('list')} option")
    assert {"celigo", "http_202"} <= {each.get_attribute("value") for each in suggested.all()}
    profile.fill("celigo")
    field(form, "test_endpoint").fill("/v1/flows")
    folder = Path(os.environ.get("SCREENSHOTS") or tmp_path)
    # The animation of the section that closed is over once the picture is stable.
    picture = page.screenshot(path=folder / "connection.png", animations="disabled")
    assert 30_000 < len(picture) < 300_000


def test_a_connection_that_was_not_made_with_the_form_keeps_its_keys_and_secrets_when_edited(
    airflow: LocalAirflow, edited: str, open_as: OpenAs
) -> None:
    page = open_as("admin", "/connections")
    row(page, edited).get_by_role("button", name="Edit Connection").click()
    form = page.get_by_role("dialog")
    open_section(form, "Authentication and profile")
    choose_authentication(page, form, "api_key", "api_key: the password is the key")
    assert "planted-key" not in page.content()
    with page.expect_response(f"**/connections/{edited}*"):
        form.get_by_role("button", name="Save").click()
    expect(form).to_be_hidden()
    stored = airflow.client.call("GET", f"/api/v2/connections/{edited}")
    extra = json.loads(stored["extra"])
    assert {name: value for name, value in extra.items() if value is not None} == {
        "auth": "api_key",
        "headers": {"X-Org": "42"},
        "secret_headers": {"X-Org-Key": "***"},
    }


def test_a_connection_is_made_tested_and_used(jobs: Jobs, open_as: OpenAs) -> None:
    host, port = jobs.server.url.rsplit(":", 1)
    page = open_as("admin", "/connections")
    form = add_connection(page, "made_here")
    form.get_by_role("textbox", name="API address").fill(host)
    form.get_by_role("textbox", name="Password, token or key").fill("planted-token")
    form.get_by_label("Port").fill(port)
    open_section(form, "Authentication and profile")
    choose_authentication(page, form, "bearer", "bearer: the password is the token")
    field(form, "test_endpoint").fill("/me")
    form.get_by_role("button", name="Save").click()
    mine = row(page, "made_here")
    expect(mine).to_contain_text("asyncapi")

    for status, said in ((401, "Test Connection Failed"), (200, "Test Connection Successful")):
        jobs.server.respond_to("GET /me", reply({}, status))
        with page.expect_response("**/connections/test") as answer:
            mine.get_by_role("button", name="Test Connection").click()
        expect(page.get_by_text(said)).to_be_visible()
        told = answer.value.json()["message"]
        assert f"GET {jobs.server.url}/me answered {status}" in told
    assert "planted-token" not in page.content()

    jobs.start("open_exports", "with-it", "RUNNING", percent=20, connection="made_here")
    page.goto(f"{PAGE}?jobs_search=made_here")
    expect(row(page, "with-it")).to_contain_text("20%")
    used = {request.headers.get("Authorization") for request in jobs.server.requests if "with-it" in request.path}
    assert used == {"Bearer planted-token"}
