"""The equivalent of a task, and the notes about what it doesn't carry over."""

from __future__ import annotations

from dataclasses import dataclass, field

from airflow_provider_asyncapi.importing.http_dags.source import Source
from airflow_provider_asyncapi.importing.http_dags.tasks import HttpTask


@dataclass(frozen=True, slots=True)
class Note:
    """
    A note about a part that isn't carried over, or has to be checked.

    :param line: the line in the file.
    :param message: what it is, and what to do.
    """

    line: int
    message: str


@dataclass(slots=True)
class Equivalent:
    """
    The equivalent of one or several tasks.

    :param tasks: the tasks.
    :param kind: the name of the class of the new task.
    :param connection: the source of the id of the connection.
    :param source: the source of the new task.
    :param notes: what isn't carried over.
    """

    tasks: list[HttpTask]
    kind: str = ""
    connection: Source = ""
    source: str = ""
    notes: list[Note] = field(default_factory=list)
