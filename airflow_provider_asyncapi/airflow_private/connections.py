"""Look up connections outside of tasks."""

from __future__ import annotations

import os

from airflow.models.connection import Connection

#: By this, Airflow's own command line lets the Task SDK look into the metadata database (`airflow connections test`).
_PROCESS_CONTEXT = "_AIRFLOW_PROCESS_CONTEXT"


def look_up_connection(conn_id: str) -> Connection:
    """
    Return a connection for a command: from the secrets backends, the environment, or the metadata database.

    :raises AirflowNotFoundException: if there is none.
    """
    # The hook of an object store looks up the connection of a destination with the Task SDK.
    os.environ.setdefault(_PROCESS_CONTEXT, "server")
    # The Task SDK of Airflow 3.1 asks the supervisor of a task, which a command doesn't have.
    return Connection.get_connection_from_secrets(conn_id)
