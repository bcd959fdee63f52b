"""How long a deferral lasts at least."""

from __future__ import annotations

from airflow.providers.common.compat.sdk import conf

#: Minimum seconds from the start of a trigger to its event. Until the process that deferred the task has ended, and the
#: executor has noticed (its supervisor checks every ``min_heartbeat_interval``), Airflow may take the end of that
#: process for the end of the task that has just been resumed, and fail it.
SHORTEST_DEFERRAL = conf.getfloat("workers", "min_heartbeat_interval", fallback=5.0) + 1
