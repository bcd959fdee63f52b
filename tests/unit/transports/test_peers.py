"""Addresses that a name mustn't lead to."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_asyncapi.core.http.messages import Request
from tests.loopback import reply
from tests.unit.transports.driving import fetch, make_api


@pytest.fixture(autouse=True)
def _loopback_is_link_local(monkeypatch: pytest.MonkeyPatch) -> None:
    """Name servers that lead to 169.254.169.254 are rare in tests."""
    monkeypatch.setattr(
        "airflow_provider_asyncapi.transports.dns.is_metadata_host", lambda address: address in ("127.0.0.1", "::1")
    )


@pytest.mark.parametrize("is_repeatable", [True, False])
def test_a_name_that_leads_to_a_link_local_address_gets_nothing(driver: str, serve: Any, is_repeatable: bool) -> None:
    server = serve(reply(b"x"))
    url = server.url.replace("127.0.0.1", "localhost")
    assert "localhost" in url
    outcome = fetch(
        driver, make_api("https://api.example.com"), Request("GET", f"{url}/x"), is_repeatable=is_repeatable
    )
    assert outcome.error is not None
    assert outcome.failure[0] == "UnsafeValueError"
    assert "leads to 127.0.0.1, a link-local address or a metadata server" in outcome.failure[1]
    assert "allowed_hosts" in outcome.failure[1]
    assert server.asked == []


@pytest.mark.parametrize("lists", [{"allowed_hosts": "SERVER"}, {"trusted_hosts": "SERVER"}, {}])
def test_a_host_that_the_connection_names_may_be_anywhere(driver: str, serve: Any, lists: dict[str, str]) -> None:
    server = serve(reply(b"x"))
    url = server.url.replace("127.0.0.1", "localhost")
    named: dict[str, Any] = {name: value.replace("SERVER", url.partition("//")[2]) for name, value in lists.items()}
    api = make_api("https://api.example.com" if lists else url, **named)
    assert fetch(driver, api, Request("GET", f"{url}/x")).error is None
