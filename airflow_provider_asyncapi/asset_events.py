"""The events that have started a DAG run, each of them once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def find_new_events(context: Mapping[str, Any]) -> list[dict[str, Any]]:
    """
    Return the items of the asset events that have started this DAG run, without repetitions.

    ``AsyncApiEventTrigger`` repeats items, with the same ``id``, if the triggerer was killed just after their event. An
    item is a repetition if an earlier event of the same asset has an item with its ``id``. So the task needs the asset
    among its ``inlets``.

    :param context: the context of the task.
    :return: mappings with the ``id`` and the ``values`` of each item, oldest first.
    """
    found = []
    for asset, triggering in context["triggering_asset_events"].items():
        first: dict[str, Any] = {}
        for event in sorted(context["inlet_events"][asset], key=lambda each: each.timestamp):
            for item in find_items(event.extra):
                first.setdefault(item["id"], event.timestamp)
        for event in triggering:
            for item in find_items(event.extra):
                # Two equal items can be in one run; only one of them was the first.
                if first.get(item["id"]) == event.timestamp:
                    del first[item["id"]]
                    found.append((event.timestamp, item))
    return [item for _, item in sorted(found, key=lambda each: each[0])]


def find_items(extra: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the items of an asset event; none if something else than this provider has caused the event."""
    payload = extra.get("payload")
    items = payload.get("items") if isinstance(payload, dict) else None
    return items if isinstance(items, list) else []
