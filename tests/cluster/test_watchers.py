"""
Asset events of a list that grows while triggerers are killed.

Its watcher goes on polling in a triggerer: the tests that count what the triggerers hold come before.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.cluster.cluster import Cluster, wait_until
from tests.loopback import Asked, Behaviour, Server, reply

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

#: Orders that are added before each kill.
STEP = 3
KILLS = 2


class Orders:
    """Be an API with a list of orders."""

    def __init__(self) -> None:
        self.count = 0
        self.polls = 0
        self.server = Server(self._list)

    def _list(self, asked: Asked) -> Behaviour:
        self.polls += 1
        listed = {"orders": [{"id": number} for number in range(self.count)]}
        return reply(listed, content_type="application/json")


@pytest.fixture
def orders(cluster: Cluster) -> Iterator[Orders]:
    api = Orders()
    cluster.client.add_connection("orders", {"conn_type": "asyncapi", "host": api.server.url})
    yield api
    api.server.close()


def ids_of_items(cluster: Cluster) -> list[str]:
    rows = cluster.query(
        "SELECT asset_event.extra FROM asset_event JOIN asset ON asset.id = asset_id WHERE asset.name = 'orders'"
    )
    extras = [json.loads(extra) if isinstance(extra, str) else extra for (extra,) in rows]
    return [item["id"] for extra in extras for item in extra["payload"]["items"]]


def orders_of_runs(cluster: Cluster) -> Counter[int]:
    """Count how often the runs of the DAG have seen each order."""
    sql = "SELECT value FROM xcom WHERE dag_id = 'new_orders' AND key = 'return_value'"
    values = [json.loads(value) if isinstance(value, str) else value for (value,) in cluster.query(sql)]
    return Counter(order for found in values for order in found)


def test_each_item_is_seen_once_although_the_triggerer_is_killed(cluster: Cluster, orders: Orders) -> None:
    cluster.wait_for_triggerers()
    cluster.client.unpause("new_orders")
    port = int(orders.server.url.rpartition(":")[2])
    tails = cluster.processes.tails
    for kill in range(1, KILLS + 1):
        orders.count = kill * STEP
        wait_until(lambda: len(set(ids_of_items(cluster))) == orders.count, tails)
        # The state isn't stored yet: it is, some seconds after the events.
        killed = cluster.holder(port)
        cluster.processes.kill(killed)
        cluster.start_component(killed)
        cluster.wait_for_triggerers()
    # The triggerer that took over polls again some seconds after events; by then Airflow has stored them.
    polls = orders.polls
    wait_until(lambda: orders.polls > polls + 2, tails)
    assert len(ids_of_items(cluster)) > KILLS * STEP, "no kill came before the state was stored, so nothing came again"
    expected = Counter(range(KILLS * STEP))
    wait_until(lambda: set(orders_of_runs(cluster)) == set(expected), tails)
    sql = "SELECT count(*) FROM dag_run WHERE dag_id = 'new_orders' AND state NOT IN ('success', 'failed')"
    wait_until(lambda: cluster.query("SELECT count(*) FROM asset_dag_run_queue") == [(0,)], tails)
    wait_until(lambda: cluster.query(sql) == [(0,)], tails)
    assert orders_of_runs(cluster) == expected
