"""The events that have started a DAG run, each of them once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def find_new_events(context: Mapping[str, Any]) -> list[dict[str, Any]]:
    """
    Return the payloads of the asset events that have started this DAG run, without repetitions.

    ``AsyncApiEventTrigger`` repeats an event, with the same ``id``, if the triggerer was killed just after it. An event
    is a repetition if the same asset has an earlier event with its ``id``. So the task needs the asset among its
    ``inlets``.

    :param context: the context of the task.
    :return: mappings with the ``id`` of each event and its ``values``, oldest first.
    """
    found = []
    for asset, triggering in context["triggering_asset_events"].items():
        first: dict[str, Any] = {}
        for event in sorted(context["inlet_events"][asset], key=lambda each: each.timestamp):
            if (payload := _find_payload(event)) is not None:
                first.setdefault(payload["id"], event.timestamp)
        for event in triggering:
            payload = _find_payload(event)
            # Two equal events can be in one run; only one of them was the first.
            if payload is not None and first.get(payload["id"]) == event.timestamp:
                del first[payload["id"]]
                found.append((event.timestamp, payload))
    return [payload for _, payload in sorted(found, key=lambda each: each[0])]


def _find_payload(event: Any) -> dict[str, Any] | None:
    """Return the payload of an event of this provider; None if something else has caused the event."""
    payload = event.extra.get("payload")
    return payload if isinstance(payload, dict) and "id" in payload else None
