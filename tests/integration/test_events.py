"""DAGs that events start, on a real scheduler, triggerer and API server."""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
import requests

from demo.airflow import RUN_OVER, LocalAirflow
from tests.unit.fake_airflow import ApiServer, reply

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

KEY = "webhook-key"
CALLBACK = {
    "signature": {"header": "X-Signature"},
    "events": {"asset": "called_orders", "id": "id", "capture": {"order": "id"}},
    "challenge": {"query": "challenge"},
}


@pytest.fixture(scope="module")
def shop(airflow: LocalAirflow) -> Iterator[ApiServer]:
    with ApiServer() as api:
        api.respond_to("GET /orders", orders(1))
        extra = {"callback": CALLBACK, "callback_secret": KEY}
        airflow.client.add_connection("event_shop", {"conn_type": "asyncapi", "host": api.url, "extra": extra})
        yield api


def orders(*ids: int) -> Any:
    return reply({"orders": [{"id": each, "state": "paid"} for each in ids]})


def pause(airflow: LocalAirflow, dag_id: str) -> None:
    airflow.client.call("PATCH", f"/api/v2/dags/{dag_id}", {"is_paused": True})


def wait_for(airflow: LocalAirflow, is_done: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + 120
    while not is_done():
        airflow.check()
        assert time.monotonic() < deadline, f"{what} never came to be"
        time.sleep(0.3)


def orders_of(airflow: LocalAirflow, dag_id: str) -> list[int]:
    """Return the orders of all runs that are over, in order."""
    runs = [run for (dag, run), state in airflow.client.run_states().items() if dag == dag_id and state in RUN_OVER]
    return sorted(order for run in runs for order in airflow.client.xcom(dag_id, run, "find_orders") or [])


def is_started(airflow: LocalAirflow, order: int) -> bool:
    """Return whether an order has started a run."""
    return order in orders_of(airflow, "started_by_list")


def test_each_new_item_of_a_list_starts_a_dag_once(airflow: LocalAirflow, shop: ApiServer) -> None:
    airflow.client.unpause("started_by_list")
    wait_for(airflow, lambda: shop.count("GET /orders") > 1, "a second poll")
    for last in (2, 4):
        shop.respond_to("GET /orders", orders(*range(1, last + 1)))
        wait_for(airflow, partial(is_started, airflow, last), f"a run for order {last}")
    assert orders_of(airflow, "started_by_list") == [2, 3, 4]
    pause(airflow, "started_by_list")


def test_a_signed_webhook_starts_a_dag_once(airflow: LocalAirflow, shop: ApiServer) -> None:
    airflow.client.unpause("started_by_webhook")
    url = f"{airflow.client.url}/asyncapi/callbacks/connections/event_shop/events"
    assert requests.get(url, params={"challenge": "abc"}, timeout=30).text == "abc"

    def call(body: bytes, key: str = KEY) -> int:
        digest = hmac.digest(key.encode(), body, "sha256").hex()
        headers = {"X-Signature": digest, "Content-Type": "application/json"}
        return requests.post(url, data=body, headers=headers, timeout=30).status_code

    assert call(b'{"id": 1}', key="forged") == 404
    assert [call(b'{"id": 2}') for _ in range(3)] == [200] * 3
    wait_for(airflow, lambda: orders_of(airflow, "started_by_webhook"), "a run for the webhook")
    assert orders_of(airflow, "started_by_webhook") == [2]
