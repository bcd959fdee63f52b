"""DAGs that start when an API lists something new, and when it calls a webhook; see `test_events.py`."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, Asset, AssetWatcher, get_current_context, task

from airflow_provider_asyncapi.asset_events import find_new_events
from airflow_provider_asyncapi.triggers.asset_watcher import AsyncApiEventTrigger

new_orders = AsyncApiEventTrigger(
    asyncapi_conn_id="event_shop",
    endpoint="/orders",
    items="orders",
    item_id="id",
    when={"selector": "state", "in": ["paid"]},
    capture={"order": "id"},
    poke_interval=1,
)
listed = Asset("listed_orders", watchers=[AssetWatcher(name="event_shop", trigger=new_orders)])
called = Asset("called_orders")


@task
def find_orders() -> list[Any]:
    """Return the values of the events that have started the run."""
    return [event["values"]["order"] for event in find_new_events(get_current_context())]


for name, asset in (("started_by_list", listed), ("started_by_webhook", called)):
    with DAG(name, schedule=[asset]):
        find_orders.override(inlets=[asset])()
