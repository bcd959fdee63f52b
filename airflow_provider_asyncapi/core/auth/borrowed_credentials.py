"""Credentials that one Airflow connection borrows from another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

#: Kinds of credentials: an access token, or the keys of AWS.
TOKEN: Final = "token"  # noqa: S105 - no password
AWS_KEYS: Final = "AWS keys"
#: The names of the keys of AWS in the variables of a token, whose value is the access key ID.
SECRET_KEY: Final = "secret_key"  # noqa: S105 - no password
SESSION_TOKEN: Final = "session_token"  # noqa: S105 - no password


@dataclass(frozen=True, slots=True)
class BorrowedCredentials:
    """
    The credentials of another connection.

    :param conn_id: the connection.
    :param what: :data:`TOKEN` or :data:`AWS_KEYS`.
    :param scopes: the scopes of the token; empty for the scopes of the other connection.
    :param region: the region of AWS; empty for a token.
    """

    conn_id: str
    what: str
    scopes: tuple[str, ...] = ()
    region: str = ""
