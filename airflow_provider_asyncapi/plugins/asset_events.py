"""Store the asset events of webhooks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import select, update

from airflow_provider_asyncapi.airflow_private.database import (
    AssetDagRunQueue,
    AssetEvent,
    AssetModel,
    asset_manager,
    create_session,
)
from airflow_provider_asyncapi.asset_events import find_items
from airflow_provider_asyncapi.core.errors import InvalidCallbackError

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

#: Time after an event in which its repetitions are recognized, and the number of events that are compared.
_DEDUPLICATION_PERIOD, _MAX_EVENTS = timedelta(days=7), 1000


def store_asset_event(asset_name: str, item: dict[str, Any]) -> bool:
    """
    Store an event of an asset, which starts the DAGs that it schedules; return whether it is new.

    An item whose ``id`` is in another event of the asset is a repetition. The events are compared before the row of the
    asset is locked, and those that were stored meanwhile after it: of two equal calls at the same time, one causes an
    event, and no call waits while another one compares a thousand events.

    :raises InvalidCallbackError: if there is no such asset.
    """
    with create_session() as session:
        asset_id = session.scalar(select(AssetModel.id).where(AssetModel.name == asset_name))
        if asset_id is None:
            raise InvalidCallbackError(f"no DAG has an asset with the name {asset_name!r}")
        is_known, newest = _find_item(session, asset_id, item)
    # In a transaction of its own: one that has read the events sees no later ones on MySQL.
    return not is_known and _store_if_new(asset_name, item, newest)


def _store_if_new(asset_name: str, item: dict[str, Any], compared: int) -> bool:
    """
    Store an event unless a repetition of it was stored meanwhile; return whether it is new.

    :param compared: the id of the newest event that was compared. Ids of webhooks' events grow, since the lock is held
        until an event is stored.
    """
    with create_session() as session:
        asset = session.scalar(select(AssetModel).where(AssetModel.name == asset_name).with_for_update())
        if asset is None:
            raise InvalidCallbackError(f"the asset with the name {asset_name!r} was removed")
        is_known, _ = _find_item(session, asset.id, item, after=compared)
        if is_known:
            return False
        extra = {"from_webhook": True, "payload": {"items": [item]}}
        asset_manager.register_asset_change(asset=asset, extra=extra, session=session)
        # A run gets the events up to this time. Airflow leaves it at the first of several events, so that the others
        # would wait for the run after the next event; its public interface can't change that. Only the rows of DAGs
        # that wait for this asset are touched, in the transaction that stores the event.
        queued = update(AssetDagRunQueue).where(AssetDagRunQueue.asset_id == asset.id)
        session.execute(queued.values(created_at=datetime.now(UTC)))
    return True


def _find_item(session: Session, asset_id: int, item: dict[str, Any], *, after: int = 0) -> tuple[bool, int]:
    """
    Look for an item among the latest events of an asset.

    :param after: the id of the event before the first that is compared.
    :return: whether an event has an item with its ``id``, and the id of the newest event.
    """
    since = datetime.now(UTC) - _DEDUPLICATION_PERIOD
    latest = select(AssetEvent.id, AssetEvent.extra).where(
        AssetEvent.asset_id == asset_id, AssetEvent.timestamp >= since, AssetEvent.id > after
    )
    newest = after
    for event_id, extra in session.execute(latest.order_by(AssetEvent.timestamp.desc()).limit(_MAX_EVENTS)):
        newest = max(newest, event_id)
        if any(kept["id"] == item["id"] for kept in find_items(extra)):
            return True, newest
    return False, newest
