"""The URLs that an API calls on Airflow's API server."""

from __future__ import annotations

from airflow.providers.common.compat.sdk import conf

from airflow_provider_asyncapi.core.callbacks.calls import WEBHOOK_PATH
from airflow_provider_asyncapi.core.errors import ConfigurationError


def find_base_url() -> str:
    """
    Return the address at which an API can reach Airflow's API server.

    :raises ConfigurationError: if no setting has it.
    """
    base: str = conf.get("asyncapi", "callback_base_url", fallback="") or conf.get("api", "base_url", fallback="")
    if not base.startswith(("http://", "https://")):
        raise ConfigurationError(
            "callback: needs the address at which the API can reach Airflow; set [asyncapi] callback_base_url (or [api]"
            f" base_url) to an http or https address, not {base!r}"
        )
    return base.rstrip("/")


def make_webhook_url(conn_id: str) -> str:
    """
    Return the URL of a connection's webhook.

    :raises ConfigurationError: if no setting has the address of Airflow's API server.
    """
    return find_base_url() + WEBHOOK_PATH.format(conn_id=conn_id)
