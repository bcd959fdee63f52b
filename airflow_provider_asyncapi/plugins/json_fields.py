"""
Read fields of XComs in the database.

A task may push any JSON. A value that a database or Python can't read must not make all other rows unreadable.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import String, Text, cast
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement


class TextField(FunctionElement[str]):
    """
    A field of a JSON object, as text; null if it isn't there, or the value can't be read.

    :param value: a column of JSON.
    :param names: the field, or a field of the object in the field; never a user's text, because it becomes part of the
        SQL statement.
    """

    name = "asyncapi_text_field"
    type = String()
    inherit_cache = True

    def __init__(self, value: Any, *names: str) -> None:
        super().__init__(value, value[names if len(names) > 1 else names[0]].as_string())


@compiles(TextField)
def _as_is(element: Any, compiler: Any, **given: Any) -> str:
    _, field = element.clauses
    return str(compiler.process(field, **given))


@compiles(TextField, "sqlite")
def _if_valid(element: Any, compiler: Any, **given: Any) -> str:
    # Airflow stores NaN in these columns, which SQLite takes for malformed JSON.
    value, field = (compiler.process(each, **given) for each in element.clauses)
    return f"CASE WHEN json_valid({value}) THEN {field} END"


class Selected(FunctionElement[str]):
    """A text column that is only selected, not compared or sorted in the database."""

    name = "asyncapi_selected"
    type = String()
    inherit_cache = True


@compiles(Selected)
def _as_text(element: Any, compiler: Any, **given: Any) -> str:
    return str(compiler.process(element.clauses, **given))


@compiles(Selected, "sqlite")
def _as_bytes(element: Any, compiler: Any, **given: Any) -> str:
    # As text, a lone surrogate would fail the whole statement.
    return f"CAST({compiler.process(element.clauses, **given)} AS BLOB)"


def as_json_text(value: Any) -> Any:
    """Return a column of JSON as text, which :func:`load` reads."""
    return cast(value, Text)


def load(text: str | None) -> Any:
    """Return the value of a JSON text; None if there is no text, or it can't be read."""
    try:
        return None if text is None else json.loads(text)
    except (ValueError, RecursionError):
        return None


def as_text(value: Any) -> str | None:
    """Return a value as text that can be sent: JSON may hold a lone surrogate, a response can't."""
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return None if value is None else str(value).encode(errors="replace").decode()


def to_datetime(seconds: float | None) -> datetime | None:
    """Return a time; None if there is none, or the year is before 1 or after 9999."""
    try:
        return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None
