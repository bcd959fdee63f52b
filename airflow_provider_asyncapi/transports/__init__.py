"""
The drivers: they pump a flow, and do what it asks for with a library.

Both do the same for the same flow; all knowledge of protocols is in :mod:`airflow_provider_asyncapi.core`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final, TypeAlias

from airflow_provider_asyncapi.core.effects import Log, Polled

#: Told of each log line and each poll.
Observer: TypeAlias = Callable[[Log | Polled], None]

USER_AGENT: Final = "airflow-provider-asyncapi"
#: Codings that both libraries undo without further packages.
ACCEPT_ENCODING: Final = "gzip, deflate"
CHUNK: Final = 1024 * 1024


def log_only(event: Log | Polled) -> None:
    """Observe by logging alone."""
    if isinstance(event, Log):
        logging.getLogger(__name__).log(event.level, event.message)
