"""The items that an event trigger has seen: what it stores, so that each item causes one event."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_asyncapi.core.errors import ResultTooLargeError
from airflow_provider_asyncapi.core.jobs.stored_fields import read_fields
from airflow_provider_asyncapi.core.json_values import JsonValue

#: Version of the stored layout; see :mod:`~.stored_fields`.
VERSION = 1
#: Largest number of items that are remembered; their digests have about 100 kB.
MAX_ITEMS = 5_000
#: Bytes of a digest. Among 5,000 items, two are equal by chance once in 10**12 lists.
_DIGEST_BYTES = 8


@dataclass(frozen=True, slots=True)
class SeenItems:
    """
    The items that have caused an event, or were there before the first poll.

    :param watermark: the highest watermark so far; None without ``watermark``.
    :param revisions: the digest of each identifier, mapped to the number of changes and the digest of the last value,
        separated by a colon; oldest first. With ``watermark``, only the items at the watermark.
    """

    watermark: JsonValue = None
    revisions: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, given: Any) -> SeenItems:
        """
        Parse what :meth:`dump` has returned.

        :raises NewerLayoutError: if a newer version of this provider has stored it.
        :raises ValueError: if it is broken.
        """
        fields = read_fields(given, "the state of an event trigger", version=VERSION, known=("watermark", "revisions"))
        return cls(fields.get("watermark"), dict(fields.get("revisions") or {}))

    def dump(self) -> dict[str, JsonValue]:
        """Return a dict that :meth:`parse` reads."""
        return {"version": VERSION, "watermark": self.watermark, "revisions": dict(self.revisions)}

    def with_items(self, current: Mapping[str, str], watermark: JsonValue = None) -> SeenItems:
        """
        Return the state after a poll.

        An item that is missing from a response is remembered, since it may appear again; the oldest ones are forgotten.

        :param current: the revisions of the items in the response.
        :raises ResultTooLargeError: if the response contains more items than can be remembered.
        """
        if len(current) > MAX_ITEMS:
            raise ResultTooLargeError(
                f"items: there are {len(current)} items, and at most {MAX_ITEMS} are remembered; set watermark, or"
                " request fewer items"
            )
        missing = {name: revision for name, revision in self.revisions.items() if name not in current}
        kept = list(missing.items())[max(0, len(missing) + len(current) - MAX_ITEMS) :]
        return SeenItems(watermark, {**dict(kept), **current})


def make_digest(value: JsonValue) -> str:
    """Return a short text that is equal for equal values."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=_DIGEST_BYTES).hexdigest()
