"""A hook that prints what it does."""

from __future__ import annotations

import time
from functools import cached_property

from airflow_provider_asyncapi.cli.narration import NarratedClient, Narrator
from airflow_provider_asyncapi.core.auth.tokens import Token
from airflow_provider_asyncapi.core.connection.api import Api
from airflow_provider_asyncapi.core.effects import GetToken, Notification
from airflow_provider_asyncapi.hooks.asyncapi import AsyncApiHook
from airflow_provider_asyncapi.transports import Observer
from airflow_provider_asyncapi.transports.cancellation import Cancellation
from airflow_provider_asyncapi.transports.requests import RequestsDriver
from airflow_provider_asyncapi.transports.requests_client import RequestsClient
from airflow_provider_asyncapi.transports.tls import prepare_tls_context


class _NarratedDriver(RequestsDriver):
    """The driver, which reports all exchanges to a narrator, and marks the token requests."""

    def __init__(self, api: Api, client: RequestsClient, narrator: Narrator) -> None:
        super().__init__(api, client=NarratedClient(client, narrator), sleep=narrator.sleep)
        self._narrator = narrator

    def _get_token(self, effect: GetToken, observe: Observer, cancellation: Cancellation) -> Token:
        with self._narrator.mark_token_requests():
            return super()._get_token(effect, observe, cancellation)


class NarratedHook(AsyncApiHook):
    """
    The hook, which reports all that it does to a narrator.

    :param api: the API of the connection.
    """

    def __init__(self, conn_id: str, api: Api, narrator: Narrator) -> None:
        super().__init__(conn_id)
        self.api = api
        self._narrator = narrator

    @cached_property
    def _driver(self) -> RequestsDriver:
        client = RequestsClient(self.api.settings, prepare_tls_context(self.api.settings), time.monotonic)
        return _NarratedDriver(self.api, client, self._narrator)

    def log_events(self, event: Notification) -> None:
        """Print the warnings and polls of a flow instead of logging them."""
        self._narrator.notify(event)
