"""The address of Airflow's API server: for the APIs that call it, and for the tasks and triggers that do."""

from __future__ import annotations

from airflow.providers.common.compat.sdk import conf

from airflow_provider_asyncapi.core.callbacks.calls import WEBHOOK_PATH
from airflow_provider_asyncapi.core.errors import ConfigurationError


def find_base_url(option: str, needed_by: str) -> str:
    """
    Return the address of Airflow's API server, without a slash at its end; by default ``[api] base_url``.

    :param option: the option in the section ``[asyncapi]`` that may hold another address.
    :param needed_by: the parameter that needs it, for the message.
    :raises ConfigurationError: if no setting has it.
    """
    base: str = conf.get("asyncapi", option, fallback="") or conf.get("api", "base_url", fallback="")
    if not base.startswith(("http://", "https://")):
        raise ConfigurationError(
            f"{needed_by}: needs the address of Airflow's API server; set [asyncapi] {option} (or [api] base_url) to an"
            f" http or https address, not {base!r}"
        )
    return base.rstrip("/")


def make_webhook_url(conn_id: str) -> str:
    """
    Return the URL of a connection's webhook.

    :raises ConfigurationError: if no setting has the address of Airflow's API server.
    """
    return find_base_url("callback_base_url", "callback") + WEBHOOK_PATH.format(conn_id=conn_id)
