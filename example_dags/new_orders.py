"""
A shop: start a DAG for new orders of a list, which the triggerer polls.

Each new order causes an asset event. A run that is started by hand finds no events.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, Asset, AssetWatcher, get_current_context, task

from airflow_provider_asyncapi.asset_events import find_new_events
from airflow_provider_asyncapi.triggers.asset_watcher import AsyncApiEventTrigger

orders = Asset(
    "orders_of_list",
    watchers=[
        AssetWatcher(
            name="shop",
            trigger=AsyncApiEventTrigger(
                asyncapi_conn_id="shop",
                endpoint="/shop/orders",
                items="orders",
                item_id="id",
                when={"selector": "state", "in": ["paid"]},
                capture={"order": "id", "amount": "total.amount"},
                poke_interval=5,
            ),
        )
    ],
)

with DAG("new_orders", schedule=[orders], tags=["asyncapi"], doc_md=__doc__):

    @task(inlets=[orders])
    def process() -> list[Any]:
        """Return the values of the events that have started this run."""
        return [event["values"] for event in find_new_events(get_current_context())]

    process()
