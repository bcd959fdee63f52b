from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.plugins.airflow_database import Database, open_database


@pytest.fixture(scope="module")
def tables() -> Iterator[Database]:
    with open_database() as database:
        yield database


@pytest.fixture
def database(tables: Database) -> Database:
    """An empty database with Airflow's tables."""
    tables.clear()
    return tables
