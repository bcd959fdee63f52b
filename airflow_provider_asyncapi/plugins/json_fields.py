"""
Fields of XComs as a database reads them.

A task may push any JSON, and what one database, or Python, can't read may not keep people from all other rows.
"""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import String, Text, cast
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement


class TextField(FunctionElement[str]):
    """
    A field of a JSON object, as text; null if it isn't there, or the value can't be read.

    :param value: a column of JSON.
    :param name: of the field; no user's text, for it becomes part of the statement.
    """

    name = "asyncapi_text_field"
    type = String()
    inherit_cache = True

    def __init__(self, value: Any, name: str) -> None:
        super().__init__(value, value[name].as_string())


@compiles(TextField)
def _as_is(element: Any, compiler: Any, **given: Any) -> str:
    _, field = element.clauses
    return str(compiler.process(field, **given))


@compiles(TextField, "sqlite")
def _if_valid(element: Any, compiler: Any, **given: Any) -> str:
    # Airflow stores NaN there, which SQLite takes for malformed.
    value, field = (compiler.process(each, **given) for each in element.clauses)
    return f"CASE WHEN json_valid({value}) THEN {field} END"


class Selected(FunctionElement[str]):
    """A text that is read from the database, and not compared or sorted there."""

    name = "asyncapi_selected"
    type = String()
    inherit_cache = True


@compiles(Selected)
def _as_text(element: Any, compiler: Any, **given: Any) -> str:
    return str(compiler.process(element.clauses, **given))


@compiles(Selected, "sqlite")
def _as_bytes(element: Any, compiler: Any, **given: Any) -> str:
    # As text, half a character would be an error of the whole statement.
    return f"CAST({compiler.process(element.clauses, **given)} AS BLOB)"


def as_json_text(value: Any) -> Any:
    """Return a column of JSON as the text of that, which :func:`load` reads."""
    return cast(value, Text)


def load(text: str | None) -> Any:
    """Read JSON; None if there is none, or it can't be read."""
    try:
        return None if text is None else json.loads(text)
    except (ValueError, RecursionError):
        return None


def as_text(value: Any) -> str | None:
    """Return what a database or JSON gave as text that can be sent: half a character can be in JSON, in no answer."""
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return None if value is None else str(value).encode(errors="replace").decode()
