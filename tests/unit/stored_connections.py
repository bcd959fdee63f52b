"""Connections in Airflow's database, for what runs without the supervisor of a task."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from airflow import settings
from airflow.models import import_all_models
from airflow.models.base import Base
from airflow.models.connection import Connection
from airflow.utils.session import create_session


@contextmanager
def open_connection_store() -> Iterator[Callable[..., None]]:
    """Create the table of connections in Airflow's database, and return what stores one; drop the table in the end."""
    import_all_models()
    table = Connection.__table__
    tables = [*{key.column.table for key in table.foreign_keys}, table]
    Base.metadata.create_all(settings.engine, tables)

    def store(**fields: Any) -> None:
        with create_session() as session:
            session.add(Connection(**fields))

    try:
        yield store
    finally:
        Base.metadata.drop_all(settings.engine, tables)
