"""
The drivers: they pump a flow, and do what it asks for with a library.

Both do the same for the same flow; all knowledge of protocols is in :mod:`airflow_provider_asyncapi.core`, and what the
two have in common is in the modules beside them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, TypeAlias

from airflow_provider_asyncapi.core.effects import Log, Notification

#: Told of each log line, each poll, and what has to be kept; asked for callbacks.
Observer: TypeAlias = Callable[[Notification], Any]


def log_only(event: Notification) -> None:
    """Observe by logging alone."""
    if isinstance(event, Log):
        logging.getLogger(__name__).log(event.level, "%s", event.message)
