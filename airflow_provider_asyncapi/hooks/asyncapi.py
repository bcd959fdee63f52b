"""The hook: an Airflow connection in, conversations with its API out."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook

from airflow_provider_asyncapi.core.errors import AsyncApiError, ConfigurationError
from airflow_provider_asyncapi.core.templates import strings_in
from airflow_provider_asyncapi.core.values import JsonValue
from airflow_provider_asyncapi.exceptions import to_airflow
from airflow_provider_asyncapi.hooks import connection_form
from airflow_provider_asyncapi.hooks.profiles import load_profile

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Connection

    from airflow_provider_asyncapi.core.effects import Flow, News
    from airflow_provider_asyncapi.core.settings import Api
    from airflow_provider_asyncapi.transports import Observer
    from airflow_provider_asyncapi.transports.requests import RequestsDriver

T = TypeVar("T")

_LEAST_MASKED = 5


class AsyncApiHook(BaseHook):
    """
    Talk to the API of a connection of type ``asyncapi``.

    :param asyncapi_conn_id: the connection.
    """

    conn_name_attr = "asyncapi_conn_id"
    default_conn_name = "asyncapi_default"
    conn_type = connection_form.CONNECTION_TYPE
    hook_name = connection_form.HOOK_NAME

    def __init__(self, asyncapi_conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.asyncapi_conn_id = asyncapi_conn_id

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """Give the form's fields to Airflow 3.1, which doesn't read them from the provider info yet."""
        return connection_form.widgets()

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Give the labels of the form's own fields to Airflow 3.1."""
        return connection_form.field_behaviour()

    @cached_property
    def api(self) -> Api:
        """
        What flows need to know about the API; its secrets are masked in the task's log from here on.

        :raises AirflowFailException: where the connection is missing a field, or a field can't be meant.
        :raises AirflowNotFoundException: if there is no such connection; a retry may find it, for while its API
            server is away, Airflow says the same.
        """
        try:
            return make_api(self.get_connection(self.asyncapi_conn_id))
        except AirflowNotFoundException as error:
            raise AirflowNotFoundException(
                f"asyncapi_conn_id: there is no connection {self.asyncapi_conn_id!r}; `airflow connections list` shows"
                " what there is"
            ) from error
        except AsyncApiError as error:
            raise to_airflow(named(self.asyncapi_conn_id, error)) from error

    def get_conn(self) -> RequestsDriver:
        """Give the driver that runs flows in this process."""
        return self._driver

    @cached_property
    def _driver(self) -> RequestsDriver:
        from airflow_provider_asyncapi.transports.requests import RequestsDriver

        try:
            return RequestsDriver(self.api)
        except AsyncApiError as error:
            raise to_airflow(named(self.asyncapi_conn_id, error)) from error

    def run(self, flow: Flow[T], *, observe: Observer | None = None) -> T:
        """
        Run a flow to its end.

        :param observe: told of each log line and each poll; by default lines are logged.
        :raises AirflowException: what the flow raises, as Airflow understands it (:mod:`..exceptions`).
        """
        try:
            return self._driver.run(flow, observe=observe or self.log_events)
        except AsyncApiError as error:
            raise to_airflow(error) from error

    def log_events(self, event: News) -> None:
        """Write the log lines of a flow."""
        from airflow_provider_asyncapi.core.effects import Log

        if isinstance(event, Log):
            self.log.log(event.level, "%s", event.message)

    def close(self) -> None:
        """Close all connections to the API."""
        if "_driver" in self.__dict__:
            self._driver.close()

    def test_connection(self) -> tuple[bool, str]:
        """
        Log in, and ask for the connection's ``test_endpoint``; what the Test button does.

        :return: whether it works, and what came of it.
        """
        from airflow_provider_asyncapi.core.flows.probe import probe

        try:
            # A token that another process was given says nothing about the credentials.
            self.api = replace(self.api, tokens=None)
            return True, self.run(probe(self.api))
        except Exception as error:  # noqa: BLE001 - the button shows whatever it is
            # The button tests a copy, under an id that nobody has seen.
            return False, str(error).replace(f"connection {self.asyncapi_conn_id!r}: ", "connection: ", 1)
        finally:
            self.close()


def make_api(connection: Connection, extra: Mapping[str, Any] | None = None, *, mask: bool = True) -> Api:
    """
    Read a connection.

    :param connection: of any type; its type isn't looked at.
    :param extra: the connection's extra, where it has been read already.
    :param mask: whether Airflow is told what to mask in logs; that takes a call that can't be made in the triggerer.
    :raises ConfigurationError: where a field is missing or can't be meant.
    """
    from airflow_provider_asyncapi.core.auth import AUTH_FIELDS
    from airflow_provider_asyncapi.core.settings import Api, ConnectionSettings
    from airflow_provider_asyncapi.hooks.tokens import HostTokens

    extra = _extra(connection) if extra is None else dict(extra)
    defaults = load_profile(extra["profile"]).get("connection", {}) if extra.get("profile") else {}
    if extra.get("auth") not in (None, "", defaults.get("auth")):
        # Another kind of authentication than the profile's has no use for what that one needs.
        defaults = {name: value for name, value in defaults.items() if name not in AUTH_FIELDS}
    fields = {
        **defaults,
        # The connection form stores an empty field as null or "": that isn't an answer.
        **{name: value for name, value in extra.items() if value not in (None, "")},
        "host": connection.host,
        "port": connection.port,
        "schema": connection.schema,
        "login": connection.login,
        "password": connection.password,
    }
    settings = ConnectionSettings.parse(fields)
    if mask:
        _mask(fields)
    shares = settings.auth.login is not None and settings.shares_tokens
    tokens = HostTokens(json.dumps(fields, sort_keys=True, default=str).encode()) if shares else None
    return Api.of(settings, clock=time.time, rng=random.random, tokens=tokens)


def named(conn_id: str, error: AsyncApiError) -> AsyncApiError:
    """Give the error with the connection's id in its message."""
    return error.with_message(f"connection {conn_id!r}: {str(error).removeprefix('connection: ')}")


def _extra(connection: Connection) -> dict[str, Any]:
    # Airflow's own `extra_dejson` takes broken JSON for none.
    try:
        extra = json.loads(connection.extra or "{}")
    except (ValueError, RecursionError):
        # Neither the error nor the extra is shown, for it may hold a secret.
        raise ConfigurationError("connection: the extra isn't JSON") from None
    if not isinstance(extra, dict):
        raise ConfigurationError("connection: the extra has to be a JSON object")
    return extra


def _mask(fields: Mapping[str, Any]) -> None:
    """Have Airflow mask, in all logs of this task, what the connection's secret fields hold."""
    from airflow.sdk.log import mask_secret

    from airflow_provider_asyncapi.core.auth import mapping
    from airflow_provider_asyncapi.core.callbacks import callback_secrets

    secrets: list[Any] = [
        fields.get("password"),
        fields.get("proxy"),
        mapping(fields, "secrets"),
        mapping(fields, "secret_headers"),
        callback_secrets(fields.get("callback_secret")),
    ]
    # Airflow warns of shorter ones, and doesn't mask them.
    texts: list[JsonValue] = [text for text in strings_in(secrets) if len(text) >= _LEAST_MASKED]
    if texts:
        mask_secret(texts)
