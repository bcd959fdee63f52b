"""Store the asset events of webhooks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select, update

from airflow_provider_asyncapi.airflow_private.database import (
    AssetDagRunQueue,
    AssetEvent,
    AssetModel,
    asset_manager,
    create_session,
)
from airflow_provider_asyncapi.asset_events import find_items
from airflow_provider_asyncapi.core.errors import ForgedCallbackError

#: Time after an event in which its repetitions are recognized, and the number of events that are compared.
_DEDUPLICATION_PERIOD, _MAX_EVENTS = timedelta(days=7), 1000


def store_asset_event(asset_name: str, item: dict[str, Any]) -> bool:
    """
    Store an event of an asset, which starts the DAGs that it schedules; return whether it is new.

    An item whose ``id`` is in another event of the asset is a repetition. The row of the asset is locked meanwhile, so
    that two equal calls at the same time cause one event.

    :raises ForgedCallbackError: if there is no such asset.
    """
    with create_session() as session:
        asset_id = session.scalar(select(AssetModel.id).where(AssetModel.name == asset_name).with_for_update())
        if asset_id is None:
            raise ForgedCallbackError(f"no DAG has an asset with the name {asset_name!r}")
        since = datetime.now(UTC) - _DEDUPLICATION_PERIOD
        latest = select(AssetEvent.extra).where(AssetEvent.asset_id == asset_id, AssetEvent.timestamp >= since)
        for extra in session.scalars(latest.order_by(AssetEvent.timestamp.desc()).limit(_MAX_EVENTS)):
            if any(kept["id"] == item["id"] for kept in find_items(extra)):
                return False
        asset = session.get_one(AssetModel, asset_id)
        extra = {"from_webhook": True, "payload": {"items": [item]}}
        asset_manager.register_asset_change(asset=asset, extra=extra, session=session)
        # A run gets the events up to this time. Airflow leaves it at the first of several events, so that the others
        # would wait for the run after the next event.
        queued = update(AssetDagRunQueue).where(AssetDagRunQueue.asset_id == asset_id)
        session.execute(queued.values(created_at=datetime.now(UTC)))
    return True
