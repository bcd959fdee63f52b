from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_asyncapi.core.errors import ForgedCallError
from airflow_provider_asyncapi.core.messages import Headers
from airflow_provider_asyncapi.plugins import connections
from airflow_provider_asyncapi.plugins.connections import CallbackConnections, TooManyLookUpsError


class Backend:
    """Be Airflow's secrets backends: a few connections, and how often they were asked."""

    def __init__(self) -> None:
        self.known = {"vendor": "https://h", "half": ""}
        self.asked: list[str] = []
        self.now = 0.0

    def get(self, conn_id: str) -> Any:
        self.asked.append(conn_id)
        if conn_id not in self.known:
            raise connections.AirflowNotFoundException("no such connection")
        return connections.Connection(conn_id=conn_id, conn_type="asyncapi", host=self.known[conn_id])


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> Backend:
    backend = Backend()
    monkeypatch.setattr(connections.Connection, "get_connection_from_secrets", backend.get)
    return backend


def verify(known: CallbackConnections, conn_id: str, *, is_known_name: bool = False) -> bool:
    try:
        known.verify(conn_id, Headers(), b"{}", 0.0, is_known_name=is_known_name)
    except (ForgedCallError, TooManyLookUpsError):
        return False
    return True


def test_a_connection_is_looked_up_once_a_minute(backend: Backend) -> None:
    known = CallbackConnections(lambda: backend.now)
    for backend.now in (0.0, 30.0, 60.0, 61.0, 100.0):
        assert verify(known, "vendor")
    assert backend.asked == ["vendor"] * 2


@pytest.mark.parametrize("conn_id", ["half", "nobody"])
def test_what_takes_no_calls_is_looked_up_again_after_some_seconds(backend: Backend, conn_id: str) -> None:
    known = CallbackConnections(lambda: backend.now)
    for backend.now in (0.0, 1.0, 4.0, 6.0):
        assert not verify(known, conn_id)
    assert backend.asked == [conn_id] * 2
    backend.known[conn_id] = "https://h"
    backend.now = 12.0
    assert verify(known, conn_id)
    backend.known.pop(conn_id)
    backend.now = 80.0
    assert not verify(known, conn_id)


def test_made_up_names_cost_a_few_look_ups_a_minute_and_no_known_connection_suffers(backend: Backend) -> None:
    known = CallbackConnections(lambda: backend.now)
    assert verify(known, "vendor")
    for number in range(5000):
        assert not verify(known, f"made-up-{number}")
    assert len(backend.asked) <= 31
    backend.now = 61.0
    for number in range(5000):
        assert not verify(known, f"made-up-{number}")
    assert verify(known, "vendor")
    assert len(backend.asked) <= 62


def test_while_made_up_names_are_tried_a_genuine_call_is_believed_or_told_to_come_again(backend: Backend) -> None:
    known = CallbackConnections(lambda: backend.now)
    for number in range(30):
        assert not verify(known, f"made-up-{number}")
    for conn_id in ("vendor", "made-up-30"):
        with pytest.raises(TooManyLookUpsError):
            known.verify(conn_id, Headers(), b"{}", 0.0)
    # One that a task has submitted with isn't made up.
    assert verify(known, "vendor", is_known_name=True)
    assert verify(known, "vendor")


def test_made_up_names_take_no_memory_without_end(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "_MOST_UNKNOWN", 3)
    known = CallbackConnections(lambda: backend.now)
    for number in range(20):
        verify(known, f"made-up-{number}")
    assert len(known._unknown) <= 3
