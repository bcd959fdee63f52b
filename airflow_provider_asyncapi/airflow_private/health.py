"""The state of an Airflow installation: its processes, and the connections in its database."""

from __future__ import annotations

from airflow.api.common.airflow_health import get_airflow_health
from sqlalchemy import select

from airflow_provider_asyncapi.airflow_private.database import Connection, create_session


def read_health() -> dict[str, str | None]:
    """
    Return the status of the database and of each kind of process, by name.

    ``healthy`` means that one of the processes has sent a heartbeat lately; None means that there has never been one.
    """
    return {name: state.get("status") for name, state in get_airflow_health().items()}


def list_connection_ids(conn_type: str) -> list[str]:
    """Return the ids of the connections of a type that are in the database."""
    with create_session() as session:
        found = session.scalars(
            select(Connection.conn_id).where(Connection.conn_type == conn_type).order_by(Connection.conn_id)
        )
        return [conn_id for conn_id in found if conn_id]
