"""A DAG that starts for new orders of a list; see `test_watchers.py`."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, Asset, AssetWatcher, get_current_context, task

from airflow_provider_asyncapi.asset_events import find_new_events
from airflow_provider_asyncapi.triggers.asset_watcher import AsyncApiEventTrigger

new_orders = AsyncApiEventTrigger(
    asyncapi_conn_id="orders",
    endpoint="/orders",
    items="orders",
    item_id="id",
    capture={"order": "id"},
    start_from="all",
    poke_interval=1,
)
orders = Asset("orders", watchers=[AssetWatcher(name="orders", trigger=new_orders)])

with DAG("new_orders", schedule=[orders], max_active_runs=1):

    @task(inlets=[orders], retries=3, retry_delay=1)
    def process() -> list[Any]:
        """Return the orders of the events that have started the run."""
        return [event["values"]["order"] for event in find_new_events(get_current_context())]

    process()
