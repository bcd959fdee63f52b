from __future__ import annotations

from collections.abc import Iterator

import pytest

from demo.airflow import AirflowApiError, AirflowClient, client
from tests.unit.fake_airflow import ApiServer, Reply, reply

LOCKED = reply({"detail": {"reason": "Database error"}}, 500)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiServer]:
    monkeypatch.setattr(client, "_DATABASE_PAUSE", 0)
    with ApiServer() as running:
        running.respond_to("POST /auth/token", reply({"access_token": "t"}))
        yield running


def test_a_request_that_the_database_turned_down_is_sent_again(server: ApiServer) -> None:
    server.respond_to("GET /api/v2/dags/d", LOCKED, LOCKED, reply({"state": "queued"}))
    client = AirflowClient(server.url, "u", "p")
    assert client.call("GET", "/api/v2/dags/d") == {"state": "queued"}


@pytest.mark.parametrize(("answer", "sent"), [(LOCKED, 6), (reply({"detail": "bug"}, 500), 1), (reply({}, 409), 1)])
def test_other_errors_and_a_database_that_stays_locked_are_told(server: ApiServer, answer: Reply, sent: int) -> None:
    server.respond_to("GET /api/v2/dags/d", answer)
    with pytest.raises(AirflowApiError, match="GET /api/v2/dags/d answered"):
        AirflowClient(server.url, "u", "p").call("GET", "/api/v2/dags/d")
    assert server.count("GET /api/v2/dags/d") == sent
