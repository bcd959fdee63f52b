"""Commands look up connections without the supervisor of a task."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook

from airflow_provider_asyncapi.airflow_private.connections import look_up_connection
from airflow_provider_asyncapi.airflow_private.versions import HAS_PLUGIN_PAGES
from tests.unit.stored_connections import open_connection_store


@pytest.fixture(autouse=True)
def _store(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    # The look-up sets the variable; what was set first is also undone.
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "")
    monkeypatch.delenv("_AIRFLOW_PROCESS_CONTEXT")
    with open_connection_store() as store:
        store(conn_id="stored", conn_type="asyncapi", host="http://h", password="s3cr3t")
        yield


def test_a_connection_is_found_in_the_database_and_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_GIVEN", "asyncapi://me:s3cr3t@example.com")
    stored, given = look_up_connection("stored"), look_up_connection("given")
    assert (stored.conn_id, stored.host, stored.password) == ("stored", "http://h", "s3cr3t")
    assert (given.conn_id, given.host, given.login, given.password) == ("given", "example.com", "me", "s3cr3t")


def test_an_unknown_connection_is_not_found() -> None:
    with pytest.raises(AirflowNotFoundException, match="missing"):
        look_up_connection("missing")


@pytest.mark.skipif(not HAS_PLUGIN_PAGES, reason="hooks of Airflow 3.1 find stored connections in tasks only")
def test_a_hook_then_finds_stored_connections() -> None:
    """The destination of a result may be an object store that has a connection of its own."""
    look_up_connection("stored")
    assert BaseHook.get_connection("stored").host == "http://h"
