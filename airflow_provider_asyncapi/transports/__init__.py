"""
The drivers, which run flows and perform their effects with an HTTP library.

Both behave alike for the same flow. All knowledge of protocols is in :mod:`airflow_provider_asyncapi.core`, and the
code that both drivers share is in the other modules here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, TypeAlias

from airflow_provider_asyncapi.core.effects import Log, Notification

#: Handles the notifications of a flow: log messages, polls, submissions to save, and fetches of callbacks.
Observer: TypeAlias = Callable[[Notification], Any]


def log_only(event: Notification) -> None:
    """Log messages, and ignore all other notifications."""
    if isinstance(event, Log):
        logging.getLogger(__name__).log(event.level, "%s", event.message)
