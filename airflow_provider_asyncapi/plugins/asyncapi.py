"""The plugin: a page in Airflow's UI, and what answers for it and takes callbacks."""

from __future__ import annotations

import logging
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from airflow.providers.common.compat.sdk import AirflowPlugin, conf

from airflow_provider_asyncapi import __version__

#: The application is mounted here; callbacks come in below it (:data:`~.calls.PATH`).
URL_PREFIX = "/asyncapi"
#: Where the page appears: in the navigation under Browse, and as a tab.
_DESTINATIONS = ("nav", "dag", "task_instance")

log = logging.getLogger(__name__)


class AsyncApiPlugin(AirflowPlugin):
    """
    The page **Async API jobs**, and the address that jobs call back.

    All processes of Airflow load plugins, tasks too. The web application and what it needs are imported when it is
    asked for, which only the API server does.
    """

    name = "asyncapi"

    @cached_property
    def fastapi_apps(self) -> list[dict[str, Any]]:  # type: ignore[override]
        """The application behind the page."""
        from airflow_provider_asyncapi.plugins.app import make_app

        return [{"name": "Async API jobs", "app": make_app(), "url_prefix": URL_PREFIX}]

    @cached_property
    def react_apps(self) -> list[dict[str, Any]]:  # type: ignore[override]
        """The page; Airflow 3.1 lacks what it is made of."""
        from airflow_provider_asyncapi.airflow_private.versions import HAS_PLUGIN_PAGES

        if not HAS_PLUGIN_PAGES:
            log.info("The page Async API jobs needs Airflow 3.2 or newer")
            return []
        base_path = urlsplit(conf.get("api", "base_url", fallback="")).path.rstrip("/")
        return [
            {
                # One name for all: the browser loads the bundle once, and finds it again by the name.
                "name": "Async API jobs",
                "bundle_url": f"{base_path}{URL_PREFIX}/static/jobs.js?version={__version__}",
                "destination": destination,
                "url_route": f"async-api-jobs{'' if destination == 'nav' else f'-{destination}'}",
                **({"category": "browse"} if destination == "nav" else {}),
            }
            for destination in _DESTINATIONS
        ]
