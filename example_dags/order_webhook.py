"""
A shop: start a DAG when the shop calls a webhook, which another DAG registers.

The connection names the asset of the webhook, and how its calls are signed.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, Asset, get_current_context, task

from airflow_provider_asyncapi.asset_events import find_new_events
from airflow_provider_asyncapi.hooks.asyncapi import AsyncApiHook

orders = Asset("orders_by_webhook")

with DAG("register_webhook", schedule=None, tags=["asyncapi"], doc_md=__doc__):

    @task
    def register() -> str:
        """Register the webhook, and return its identifier."""
        with AsyncApiHook("shop") as hook:
            return str(hook.request("POST", "/shop/webhooks", json={"url": hook.webhook_url}).json()["id"])

    @task
    def unregister(webhook: Any) -> None:
        """Unregister the webhook."""
        with AsyncApiHook("shop") as hook:
            hook.request("DELETE", "/shop/webhooks/{webhook}", variables={"webhook": webhook})

    unregister(register())

with DAG("orders_by_webhook", schedule=[orders], tags=["asyncapi"], doc_md=__doc__):

    @task(inlets=[orders])
    def process() -> list[Any]:
        """Return the values of the events that have started this run."""
        return [event["values"] for event in find_new_events(get_current_context())]

    process()
