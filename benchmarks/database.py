"""Airflow's database, asked and filled directly."""

from __future__ import annotations

import time
from typing import Any

import psycopg2
from psycopg2.extras import execute_values

from tests.cluster.services import Services


class Database:
    """Airflow's database, asked directly."""

    def __init__(self, services: Services) -> None:
        self._connection = psycopg2.connect(
            host="127.0.0.1", port=services.postgres_port, user="airflow", dbname="postgres"
        )
        self._connection.autocommit = True
        self.cursor = self._connection.cursor()

    def query(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Run a query, and return its rows."""
        self.cursor.execute(sql, values)
        rows: list[tuple[Any, ...]] = self.cursor.fetchall()
        return rows

    def states(self, run_id: str, task_id: str) -> dict[int, str]:
        """Return the states of a task's instances, by map index."""
        sql = "SELECT map_index, state FROM task_instance WHERE run_id = %s AND task_id = %s"
        return dict(self.query(sql, run_id, task_id))

    def wait_until_deferred(self, run_id: str, task_id: str, count: int) -> None:
        """Wait until this number of instances of a task is deferred."""
        while list(self.states(run_id, task_id).values()).count("deferred") < count:
            time.sleep(0.5)

    def multiply(self, run_id: str, table_: str, new: dict[str, str], where: str, rows: list[tuple[Any, ...]]) -> None:
        """
        Copy a row many times.

        :param run_id: of which run.
        :param new: column → its value, in SQL; ``c0`` and so on are the values of a row of ``rows``.
        :param where: which row.
        """
        sql = "SELECT column_name FROM information_schema.columns WHERE table_name = %s AND NOT is_identity = 'YES'"
        # The task state store numbers its rows itself.
        own = [name for (name,) in self.query(sql, table_) if name not in new and name != "id"]
        into = ", ".join([*new, *own])
        values = ", ".join([*new.values(), *(f"old.{name}" for name in own)])
        names = ", ".join(f"c{number}" for number in range(len(rows[0])))
        source = f"(VALUES %s) AS new({names}), {table_} AS old"
        sql = f"INSERT INTO {table_} ({into}) SELECT {values} FROM {source} WHERE old.run_id = '{run_id}' AND {where}"
        execute_values(self.cursor, sql, rows, page_size=1000)
