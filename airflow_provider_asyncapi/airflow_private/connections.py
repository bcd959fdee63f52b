"""Look up connections outside of tasks."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from airflow.providers.common.compat.sdk import BaseHook

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Connection

#: By this, Airflow's own command line lets the Task SDK look into the metadata database (`airflow connections test`).
_PROCESS_CONTEXT = "_AIRFLOW_PROCESS_CONTEXT"


def look_up_connection(conn_id: str) -> Connection:
    """
    Return a connection for a command: from the secrets backends, the environment, or the metadata database.

    :raises AirflowNotFoundException: if there is none.
    """
    os.environ.setdefault(_PROCESS_CONTEXT, "server")
    return BaseHook.get_connection(conn_id)
