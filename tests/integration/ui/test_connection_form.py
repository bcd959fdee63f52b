"""The connection form as people use it: make a connection, test it, and have a task use it."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, expect

from airflow_provider_asyncapi.get_provider_info import get_provider_info
from tests.integration.ui.conftest import PAGE, Jobs, OpenAs, row
from tests.unit.fake_airflow import reply

pytestmark = [pytest.mark.ui, pytest.mark.timeout(600)]


def field(form: Locator, name: str) -> Locator:
    """Find an extra field; Airflow ties its label to nothing, so it is found by its help."""
    (connection_type,) = get_provider_info()["connection-types"]
    described = connection_type["conn-fields"][name]
    return form.get_by_role("group").filter(has_text=described["description"]).get_by_role("textbox")


def test_a_connection_is_made_tested_and_used(jobs: Jobs, open_as: OpenAs) -> None:
    host, port = jobs.server.url.rsplit(":", 1)
    page = open_as("admin", "/connections")
    page.get_by_role("button", name="Add Connection").click()
    form = page.get_by_role("dialog")
    form.get_by_label("Connection ID").fill("made_here")
    form.get_by_role("combobox", name="Connection Type").fill("Asynchronous HTTP")
    page.get_by_role("option", name="Asynchronous HTTP API").click()
    form.get_by_role("textbox", name="API address").fill(host)
    form.get_by_role("textbox", name="Password, token or key").fill("planted-token")
    form.get_by_label("Port").fill(port)
    form.get_by_role("button", name="Extra Fields", exact=True).click()
    form.get_by_role("combobox", name="Authentication", exact=True).fill("bearer")
    page.get_by_role("option", name="bearer", exact=True).click()
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
