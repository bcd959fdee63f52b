from __future__ import annotations

import hmac
import json
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowNotFoundException

from airflow_provider_asyncapi.airflow_private.database import Connection
from airflow_provider_asyncapi.core.errors import InvalidCallbackError
from airflow_provider_asyncapi.core.http.messages import Headers
from airflow_provider_asyncapi.plugins import connections
from airflow_provider_asyncapi.plugins.connections import CallbackConnections, TooManyLookUpsError

KEY = "callback-key"
EXTRA = json.dumps({"callback": {"signature": {"header": "X-Signature"}}, "callback_secret": KEY})
SIGNED = Headers([("x-signature", hmac.digest(KEY.encode(), b"{}", "sha256").hex())])


class Backend:
    """Be Airflow's secrets backends: a few connections, and how often they were asked."""

    def __init__(self) -> None:
        self.known = {"vendor": "https://h", "half": "", "unsigned": "https://h"}
        self.asked: list[str] = []
        self.now = 0.0

    def get(self, conn_id: str) -> Any:
        self.asked.append(conn_id)
        if conn_id not in self.known:
            raise AirflowNotFoundException("no such connection")
        extra = None if conn_id == "unsigned" else EXTRA
        return Connection(conn_id=conn_id, conn_type="asyncapi", host=self.known[conn_id], extra=extra)


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> Backend:
    backend = Backend()
    monkeypatch.setattr(Connection, "get_connection_from_secrets", backend.get)
    return backend


def verify(known: CallbackConnections, conn_id: str, *, is_known_name: bool = False) -> bool:
    try:
        known.verify(conn_id, SIGNED, b"{}", 0.0, is_known_name=is_known_name)
    except (InvalidCallbackError, TooManyLookUpsError):
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
            known.verify(conn_id, SIGNED, b"{}", 0.0)
    # One that a task has submitted with isn't made up.
    assert verify(known, "vendor", is_known_name=True)
    assert verify(known, "vendor")


@pytest.mark.parametrize("remembered", ["vendor", "unsigned", "half", "made-up-0"])
@pytest.mark.parametrize("made_up", [0, 1, 28, 29, 30, 31])
def test_no_number_of_forged_calls_tells_which_names_are_remembered(
    backend: Backend, remembered: str, made_up: int
) -> None:
    def answers(candidate: str) -> list[str]:
        """Return what is answered to made-up names, with a candidate among them, for two minutes."""
        known, found = CallbackConnections(lambda: backend.now), []
        for name in ("vendor", "unsigned", "half", "made-up-0"):
            backend.now = 0.0
            verify(known, name)
        for backend.now in (61.0, 62.0, 70.0, 122.0, 131.0):
            for name in (*(f"{backend.now}-{number}" for number in range(made_up)), candidate, candidate, "last"):
                with pytest.raises((InvalidCallbackError, TooManyLookUpsError)) as raised:
                    known.verify(name, Headers([("x-signature", "0" * 64)]), b"{}", 0.0)
                found.append(raised.typename)
        return found

    assert answers(remembered) == answers("never seen")


def test_a_call_that_is_signed_is_believed_whatever_was_refused(backend: Backend) -> None:
    known = CallbackConnections(lambda: backend.now)
    assert verify(known, "vendor")
    for backend.now in (10.0, 70.0):
        for number in range(50):
            assert not verify(known, f"made-up-{number}")
        assert verify(known, "vendor")


def test_a_vendor_that_signs_with_another_key_takes_no_look_ups_from_others(backend: Backend) -> None:
    known = CallbackConnections(lambda: backend.now)
    for number in range(50):
        with pytest.raises((InvalidCallbackError, TooManyLookUpsError)) as raised:
            known.verify("vendor", Headers(), b"{}", 0.0)
        assert raised.typename == ("InvalidCallbackError" if number < 30 else "TooManyLookUpsError")
    backend.known["other"] = "https://h"
    assert verify(known, "other")


def test_only_a_call_to_a_url_of_its_own_may_be_unsigned(backend: Backend) -> None:
    known = CallbackConnections(lambda: backend.now)
    assert verify(known, "unsigned", is_known_name=True)
    with pytest.raises(InvalidCallbackError, match="has no callback signature"):
        known.verify("unsigned", SIGNED, b"{}", 0.0)


def test_made_up_names_take_no_memory_without_end(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "_MOST_UNKNOWN", 3)
    known = CallbackConnections(lambda: backend.now)
    for number in range(20):
        verify(known, f"made-up-{number}")
    assert len(known._unknown) <= 3
