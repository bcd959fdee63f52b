"""Webhooks that start DAGs: what is stored, what is refused, and how a challenge is answered."""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from airflow.models.asset import AssetActive, AssetDagRunQueue, AssetEvent, AssetModel, DagScheduleAssetReference
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import delete, insert, select

from airflow_provider_asyncapi.airflow_private.database import asset_manager
from airflow_provider_asyncapi.asset_events import find_items
from airflow_provider_asyncapi.plugins import asset_events, connections, receipts
from airflow_provider_asyncapi.plugins.app import make_app
from tests.unit.plugins.airflow_database import Database

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

pytestmark = pytest.mark.filterwarnings("ignore:in a future version of UPath:PendingDeprecationWarning")

KEY = "callback-key"
URL = "/asyncapi/callbacks/connections/vendor/events"
EVENTS = {"asset": "orders", "id": "id", "capture": {"order": "order"}}
BODY = b'{"id": 1, "order": "o-1"}'


@pytest.fixture
def database(tables: Database, monkeypatch: pytest.MonkeyPatch) -> Database:
    """Store an asset that schedules a DAG."""

    @contextmanager
    def create_session() -> Iterator[Session]:
        with tables.session() as session:
            yield session
            session.commit()

    monkeypatch.setattr(asset_events, "create_session", create_session)
    monkeypatch.setattr(receipts, "callback_connections", connections.CallbackConnections())
    tables.clear()
    tables.add_run("orders_dag")
    with tables.engine.begin() as connection:
        for model in (AssetDagRunQueue, DagScheduleAssetReference, AssetEvent, AssetActive, AssetModel):
            connection.execute(delete(model.__table__))
        given = {"id": 1, "name": "orders", "uri": "orders", "group": "asset", "extra": {}}
        connection.execute(insert(AssetModel).values(**given))
        connection.execute(insert(AssetActive).values(name="orders", uri="orders"))
        connection.execute(insert(DagScheduleAssetReference).values(asset_id=1, dag_id="orders_dag"))
    return tables


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Any:
    def store(**callback: Any) -> None:
        extra = {"callback": {"signature": {"header": "X-Signature"}, **callback}, "callback_secret": KEY}
        monkeypatch.setenv("AIRFLOW_CONN_VENDOR", json.dumps({"conn_type": "asyncapi", "host": "h", "extra": extra}))

    store(events=EVENTS)
    return store


@pytest.fixture
def client(database: Database, connect: Any) -> Iterator[TestClient]:
    root = FastAPI()
    root.mount("/asyncapi", make_app())
    with TestClient(root, follow_redirects=False) as client:
        yield client


def post(client: TestClient, body: bytes = BODY, key: str = KEY, url: str = URL) -> Any:
    digest = hmac.digest(key.encode(), body, "sha256").hex()
    return client.post(url, content=body, headers={"X-Signature": digest, "Content-Type": "application/json"})


def events_of(database: Database) -> list[Any]:
    with database.session() as session:
        return list(session.scalars(select(AssetEvent.extra).order_by(AssetEvent.id)))


def queued(database: Database) -> list[str]:
    with database.session() as session:
        return list(session.scalars(select(AssetDagRunQueue.target_dag_id)))


def test_a_webhook_causes_an_asset_event_that_starts_a_dag(client: TestClient, database: Database) -> None:
    answer = post(client)
    assert (answer.status_code, answer.json()) == (200, {})
    (extra,) = events_of(database)
    assert extra["from_webhook"] is True
    (item,) = extra["payload"]["items"]
    assert item["values"] == {"order": "o-1"}
    assert queued(database) == ["orders_dag"]


def test_a_repeated_webhook_causes_no_further_event(client: TestClient, database: Database) -> None:
    assert [post(client).status_code for _ in range(3)] == [200] * 3
    assert len(events_of(database)) == 1
    post(client, b'{"id": 2, "order": "o-2"}')
    assert len(events_of(database)) == 2


def test_an_equal_call_that_is_stored_while_the_events_are_compared_is_a_repetition(
    client: TestClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    post(client, b'{"id": 2, "order": "o-2"}')
    (earlier,) = events_of(database)
    opened = 0
    open_session: Any = vars(asset_events)["create_session"]

    @contextmanager
    def store_between() -> Iterator[Session]:
        nonlocal opened
        opened += 1
        if opened == 2:
            monkeypatch.setattr(asset_events, "create_session", open_session)
            post(client)
            monkeypatch.setattr(asset_events, "create_session", store_between)
        with open_session() as session:
            yield session

    monkeypatch.setattr(asset_events, "create_session", store_between)
    assert post(client).status_code == 200
    first, stored = events_of(database)
    assert (first, stored["payload"]["items"][0]["values"]) == (earlier, {"order": "o-1"})


def test_no_event_is_compared_twice_so_that_the_lock_is_held_briefly(
    client: TestClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        post(client, b'{"id": %d, "order": "o"}' % number)
    compared: list[Any] = []

    def note(extra: Any) -> list[dict[str, Any]]:
        compared.append(extra)
        return find_items(extra)

    monkeypatch.setattr(asset_events, "find_items", note)
    assert asset_events.store_asset_event("orders", {"id": "new", "values": {}}) is True
    assert len(compared) == 3


def test_only_calls_that_meet_the_condition_cause_events(client: TestClient, database: Database, connect: Any) -> None:
    connect(events={**EVENTS, "when": {"selector": "order", "in": ["o-2"]}})
    assert post(client).status_code == 200
    assert events_of(database) == []


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_another_method_is_refused(client: TestClient, database: Database, method: str) -> None:
    assert client.request(method, URL).status_code == 404


def test_what_is_not_genuine_or_can_not_be_an_event_gets_the_same_answer(
    client: TestClient, database: Database, connect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = [
        post(client, key="forged"),
        client.post(URL, content=BODY),
        post(client, url=URL.replace("vendor", "unknown")),
        post(client, url=URL.replace("vendor", "a%0ab")),
        client.get(URL.replace("vendor", "unknown"), params={"challenge": "x"}),
        post(client, b'{"order": "no id"}'),
        post(client, b"no JSON"),
    ]
    connect(events={**EVENTS, "asset": "unknown"})
    monkeypatch.setattr(receipts, "callback_connections", connections.CallbackConnections())
    answers.append(post(client))
    connect()
    monkeypatch.setattr(receipts, "callback_connections", connections.CallbackConnections())
    answers.append(post(client))
    assert {(answer.status_code, answer.text) for answer in answers} == {(404, '{"detail":"Not Found"}')}
    assert events_of(database) == []


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_challenge_in_the_query_is_answered_as_text(client: TestClient, connect: Any, method: str) -> None:
    connect(events=EVENTS, challenge={"query": "hub.challenge"})
    answer = client.request(method, URL, params={"hub.challenge": "<b>1</b>"})
    assert (answer.status_code, answer.text) == (200, "<b>1</b>")
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_signed_challenge_in_the_body_is_answered_as_json_and_is_no_event(
    client: TestClient, database: Database, connect: Any
) -> None:
    connect(events=EVENTS, challenge={"body": "challenge", "as": "json"})
    body = b'{"challenge": "abc"}'
    assert post(client, body).json() == {"challenge": "abc"}
    assert post(client, body, key="forged").status_code == 404
    assert events_of(database) == []
    post(client)
    assert len(events_of(database)) == 1


def test_an_event_of_something_else_is_no_repetition(client: TestClient, database: Database) -> None:
    with database.session() as session:
        asset = session.get_one(AssetModel, 1)
        asset_manager.register_asset_change(asset=asset, extra={"from_rest_api": True}, session=session)
        asset_manager.register_asset_change(asset=asset, extra={"payload": "text"}, session=session)
        session.commit()
    post(client)
    assert len(events_of(database)) == 3


def test_a_run_gets_all_events_that_have_come_before_it(client: TestClient, database: Database) -> None:
    for number in range(3):
        post(client, b'{"id": %d}' % number)
    with database.session() as session:
        latest = session.scalars(select(AssetEvent.timestamp)).all()
        (queued_at,) = session.scalars(select(AssetDagRunQueue.created_at))
    assert queued_at >= max(latest)
