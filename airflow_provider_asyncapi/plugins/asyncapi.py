"""The plugin."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from airflow.providers.common.compat.sdk import AirflowPlugin

URL_PREFIX = "/asyncapi"


class AsyncApiPlugin(AirflowPlugin):
    """Callbacks."""

    name = "asyncapi"

    @cached_property
    def fastapi_apps(self) -> list[dict[str, Any]]:  # type: ignore[override]
        """The application behind the page."""
        from airflow_provider_asyncapi.plugins.app import make_app

        return [{"name": "Async API jobs", "app": make_app(), "url_prefix": URL_PREFIX}]
