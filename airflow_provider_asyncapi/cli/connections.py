"""The connection that a command uses."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowException, AirflowNotFoundException
from airflow.providers.common.compat.sdk import Connection as AirflowConnection

from airflow_provider_asyncapi.airflow_private.connections import look_up_connection
from airflow_provider_asyncapi.cli.running import CommandError
from airflow_provider_asyncapi.connections.form import CONNECTION_TYPE
from airflow_provider_asyncapi.connections.reading import name_connection, read_connection
from airflow_provider_asyncapi.core.errors import AsyncApiError

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Connection

    from airflow_provider_asyncapi.core.connection.api import Api

_COLUMNS = frozenset({"conn_type", "host", "port", "schema", "login", "password", "extra", "description", "conn_id"})
#: The id of a connection that is written on the command line.
GIVEN = "(--conn)"


def read_api(arguments: argparse.Namespace, defaults: Mapping[str, Any]) -> tuple[str, Api]:
    """
    Return the id and the API of the connection that the arguments name or contain.

    :param defaults: the table ``connection`` of the profile that is tried.
    :raises CommandError: if there is no such connection, or it is invalid.
    """
    connection = _find_connection(arguments)
    conn_id = connection.conn_id
    try:
        extra = json.loads(connection.extra or "{}")
        if not isinstance(extra, dict):
            raise CommandError(f"connection {conn_id!r}: extra: has to be a JSON object, not {type(extra).__name__}")
    except ValueError:
        # The extra itself may contain a secret.
        raise CommandError(f"connection {conn_id!r}: extra: isn't JSON") from None
    # The profile on the command line replaces the connection's.
    extra.pop("profile", None)
    own = {name: value for name, value in extra.items() if value not in (None, "")}
    try:
        return conn_id, read_connection(connection, {**defaults, **own}, look_up=look_up_connection)
    except AsyncApiError as error:
        raise CommandError(str(name_connection(error, conn_id))) from None


def _find_connection(arguments: argparse.Namespace) -> Connection:
    if arguments.conn is not None:
        return _parse_connection(arguments.conn)
    try:
        return look_up_connection(arguments.conn_id)
    except AirflowNotFoundException:
        raise CommandError(
            f"--conn-id: there is no connection {arguments.conn_id!r}; `airflow connections list` shows what there is,"
            ' and --conn \'{"host": "https://api.example.com"}\' uses one that isn\'t stored'
        ) from None


def _parse_connection(text: str) -> Connection:
    """Return the connection of ``--conn``; messages about it contain no value, which may be a secret."""
    if "{" not in text:
        try:
            return AirflowConnection.from_uri(text, GIVEN)
        except (AirflowException, ValueError):
            raise CommandError(
                "--conn: is neither JSON nor a URI of a connection, such as asyncapi://login:password@host"
            ) from None
    try:
        fields = json.loads(text)
    except ValueError as error:
        raise CommandError(f"--conn: isn't JSON: {error}") from None
    if not isinstance(fields, dict) or (unknown := fields.keys() - _COLUMNS):
        what = f"has unknown keys {', '.join(sorted(unknown))}" if isinstance(fields, dict) else "isn't an object"
        raise CommandError(f"--conn: {what}; known are {', '.join(sorted(_COLUMNS))}")
    extra = fields.get("extra")
    given = {**fields, "conn_type": CONNECTION_TYPE, "conn_id": GIVEN}
    given["extra"] = extra if extra is None or isinstance(extra, str) else json.dumps(extra)
    try:
        given["port"] = None if fields.get("port") is None else int(fields["port"])
    except (TypeError, ValueError):
        raise CommandError("--conn: port: has to be a number") from None
    return AirflowConnection(**given)
