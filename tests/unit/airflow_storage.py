"""Carry values as Airflow does: through msgpack, its serializer, the database's JSON and its API's JSON."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from importlib import import_module
from typing import Any

import msgspec
import pydantic_core

try:
    _serde: Any = import_module("airflow.sdk.serde")
except ImportError:  # before Airflow 3.2
    _serde = import_module("airflow.serialization.serde")

_ESCAPE = re.compile(r"\\(?:u(?P<unit>[0-9a-fA-F]{4})|.)", re.DOTALL)


class RefusedError(Exception):
    """Postgres would not store it."""


def store_in_postgres(value: Any) -> Any:
    """
    Return a value as Postgres gives it back that Airflow has stored in a column of type JSONB.

    `tests/cluster/test_storage.py` holds this beside a real Postgres.
    """

    def refuse(constant: str) -> Any:
        raise RefusedError(f"token {constant} is invalid")

    def keep(number: str) -> int | float:
        # A number is kept exactly, and written with all its digits: 1e+20 is an integer from then on.
        return int(Decimal(number)) if "e+" in number else float(number)

    text = json.dumps(value)
    json.loads(text, parse_constant=refuse)
    units = [int(found["unit"], 16) if found["unit"] else None for found in _ESCAPE.finditer(text)]
    if 0 in units:
        raise RefusedError("\\u0000 cannot be converted to text")
    # A pair of surrogates is one character for Python, which writes it as two escapes.
    try:
        value_again = json.loads(text, parse_float=keep)
        json.dumps(value_again, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise RefusedError("Unicode high surrogate must not follow, or low surrogate must follow") from None
    return value_again


def send(value: Any) -> Any:
    """Return a value as a process gets it from its supervisor, or the other way round."""
    return msgspec.msgpack.decode(msgspec.msgpack.encode(value))


def call_api(value: Any) -> Any:
    """Return a value as it comes through the API between supervisor and API server."""
    return pydantic_core.from_json(json.dumps(value, allow_nan=False).encode())


def store_xcom(value: Any) -> Any:
    """Return a value as the task that pulls the XCom gets it."""
    stored = store_in_postgres(call_api(send(_serde.serialize(value))))
    return _serde.deserialize(send(call_api(stored)))


def store_event(payload: Any, kwargs: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the arguments that a task resumes with after a trigger's event."""
    stored = store_in_postgres(_serde.serialize({**(kwargs or {}), "event": send(payload)}))
    resumed: dict[str, Any] = _serde.deserialize(send(call_api(stored)))
    return resumed


def store_trigger(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of a trigger as the triggerer gets them from the task that deferred."""
    text = json.dumps(_serde.serialize(call_api(send(_serde.serialize(kwargs)))))
    made: dict[str, Any] = _serde.deserialize(send(_serde.deserialize(json.loads(text))))
    return made


def load_kwargs(stored: Any) -> dict[str, Any]:
    """Return the arguments that Airflow has stored for a task that resumes."""
    loaded: dict[str, Any] = _serde.deserialize(stored)
    return loaded
