"""What Airflow's connection page is made of: the form's fields, the Test button, and what is masked."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from airflow_provider_asyncapi.core.auth.registry import collect_extra_keys
from demo.airflow import AirflowClient, LocalAirflow
from demo.server import DemoServer

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

PLANTED = "planted-secret"


@pytest.fixture(scope="module")
def client(airflow: LocalAirflow) -> AirflowClient:
    return airflow.client


@pytest.fixture(scope="module")
def hook(client: AirflowClient) -> dict[str, Any]:
    """What the connection page knows of our type."""
    client.call("GET", "/api/v2/version")
    client.dags()  # logs in; the pages' own routes need it too
    hooks = [hook for hook in client.call("GET", "/ui/connections/hook_meta") if hook["connection_type"] == "asyncapi"]
    assert len(hooks) == 1
    form: dict[str, Any] = hooks[0]
    return form


@pytest.fixture
def stored(client: AirflowClient) -> Iterator[dict[str, Any]]:
    """Connections that are deleted again, by their ids: store what is put in."""
    names: dict[str, Any] = {}
    yield names
    for name in names:
        client.call("DELETE", f"/api/v2/connections/{name}")


def as_the_form_saves(server: DemoServer, **extra: Any) -> dict[str, Any]:
    """Return a connection as the form stores it: fields left alone are null, hidden ones empty."""
    host, port = server.url.rsplit(":", 1)
    left_alone = dict.fromkeys(collect_extra_keys()) | {"verify": True}
    return {
        "conn_type": "asyncapi",
        "host": host,
        "port": int(port),
        "login": "",
        "schema": "",
        "extra": {**left_alone, **extra},
    }


def press_test(client: AirflowClient, sent: Mapping[str, Any]) -> dict[str, Any]:
    """Press the Test button, and again if the demo server refuses this request because of its rate limit."""
    answer: dict[str, Any] = client.call("POST", "/api/v2/connections/test", dict(sent))
    return press_test(client, sent) if "answered 429" in answer["message"] else answer


def as_the_button_sends(conn_id: str, connection: Mapping[str, Any]) -> dict[str, Any]:
    """Return a connection as the Test button sends it."""
    return {**connection, "connection_id": conn_id, "extra": json.dumps(connection["extra"])}


def test_the_form_shows_each_key_of_the_extra_with_a_label_and_help_and_requires_none(hook: dict[str, Any]) -> None:
    assert hook["hook_name"] == "Asynchronous HTTP API"
    assert hook["extra_fields"].keys() == collect_extra_keys()
    for field in hook["extra_fields"].values():
        assert field["schema"]["title"]
        assert field["description"].endswith(".")
        assert "null" in field["schema"]["type"]


def test_the_forms_own_fields_say_what_they_are_here(hook: dict[str, Any]) -> None:
    fields = hook["standard_fields"]
    assert fields["host"] == {"hidden": False, "title": "API address", "placeholder": "https://api.example.com/v1"}
    assert fields["login"]["title"] == "Login, user or client id"
    assert fields["password"]["title"] == "Password, token or key"
    assert fields["url_schema"]["hidden"] is True


def test_the_test_button_tells_a_good_password_from_a_bad_one(client: AirflowClient, demo_server: DemoServer) -> None:
    good = as_the_form_saves(demo_server, auth="bearer", test_endpoint="/v1/flows/orders") | {
        "password": "celigo-token"
    }
    answer = press_test(client, as_the_button_sends("unsaved", good))
    assert answer == {"status": True, "message": f"GET {demo_server.url}/v1/flows/orders answered 200."}

    answer = press_test(client, as_the_button_sends("unsaved", good | {"password": PLANTED}))
    assert answer["status"] is False
    assert "answered 401" in answer["message"]
    assert "check the connection's credentials" in answer["message"]
    assert PLANTED not in answer["message"]


def test_the_test_button_names_the_field_that_is_missing(client: AirflowClient, demo_server: DemoServer) -> None:
    empty = as_the_form_saves(demo_server, auth="bearer") | {"host": "", "password": PLANTED}
    answer = press_test(client, as_the_button_sends("unsaved", empty))
    assert answer["status"] is False
    assert answer["message"].startswith("connection: host is empty")


def test_the_test_button_works_for_a_saved_connection_whose_secrets_it_doesnt_know(
    client: AirflowClient, demo_server: DemoServer, stored: dict[str, Any]
) -> None:
    stored["form_saved"] = as_the_form_saves(demo_server, auth="bearer", test_endpoint="/v1/flows/orders")
    client.add_connection("form_saved", stored["form_saved"] | {"password": "celigo-token"})
    shown = client.call("GET", "/api/v2/connections/form_saved")
    assert shown["password"] == "***"
    sent = {name: value for name, value in shown.items() if name != "team_name"}
    assert press_test(client, sent)["status"] is True


def test_airflow_masks_whatever_is_in_the_secret_fields_and_the_proxy(
    client: AirflowClient, demo_server: DemoServer, stored: dict[str, Any]
) -> None:
    stored["form_masked"] = as_the_form_saves(
        demo_server,
        headers={"X-Org": "org-1"},
        variables={"account": "acme"},
        secret_headers={"X-Org-Key": PLANTED},
        secrets={"key": PLANTED, "more": {"deep": [PLANTED]}},
        proxy=f"http://me:{PLANTED}@proxy.example.com",
    )
    client.add_connection("form_masked", stored["form_masked"] | {"password": PLANTED})
    listed = client.call("GET", "/api/v2/connections", connection_id_pattern="form_masked")
    assert PLANTED not in json.dumps(listed)
    extra = json.loads(listed["connections"][0]["extra"])
    assert extra["headers"] == {"X-Org": "org-1"}
    assert extra["variables"] == {"account": "acme"}
    assert extra["secret_headers"] == {"X-Org-Key": "***"}


def test_a_connection_saved_by_the_form_works_in_a_run(
    client: AirflowClient, demo_server: DemoServer, stored: dict[str, Any], run_dag: Any
) -> None:
    client.call("DELETE", "/api/v2/connections/standard")
    client.add_connection("standard", as_the_form_saves(demo_server, profile="http_202"))
    result = run_dag("standard_soon")
    assert result.state == "success", result.failures()
