"""
The part of Azure's provider that lends credentials, for `test_secrets.py`.

The provider isn't installed for integration tests; `tests/clouds` uses the real one.
"""

from __future__ import annotations

import json
import time
from typing import NamedTuple
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from airflow.providers.common.compat.sdk import BaseHook, Connection
from azure.core.exceptions import ClientAuthenticationError


class AccessToken(NamedTuple):
    token: str
    expires_on: int


class Credential:
    def __init__(self, connection: Connection) -> None:
        self._url, self._secret = f"{connection.host}/token", connection.password

    def get_token(self, *scopes: str) -> AccessToken:
        body = json.dumps({"client_secret": self._secret, "scope": " ".join(scopes)}).encode()
        try:
            with urlopen(Request(self._url, body, {"Content-Type": "application/json"})) as response:
                answer = json.load(response)
        except HTTPError as error:
            raise ClientAuthenticationError(error.read().decode()) from None
        return AccessToken(answer["access_token"], int(time.time()) + answer["expires_in"])


class AzureBaseHook(BaseHook):
    def __init__(self, conn_id: str) -> None:
        self._conn_id = conn_id

    def get_credential(self) -> Credential:
        return Credential(self.get_connection(self._conn_id))
