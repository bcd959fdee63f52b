"""The plugin: a page in Airflow's UI, and a web application that serves the page and receives callbacks."""

from __future__ import annotations

import logging
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow.providers.common.compat.sdk import AirflowPlugin, conf

from airflow_provider_asyncapi.core.lazy import LazyModule

if TYPE_CHECKING:
    from airflow_provider_asyncapi.airflow_private import versions
    from airflow_provider_asyncapi.plugins import app
else:
    # All processes of Airflow load plugins, tasks included; only the API server uses what is in them.
    app = LazyModule("airflow_provider_asyncapi.plugins.app")
    versions = LazyModule("airflow_provider_asyncapi.airflow_private.versions")

#: Path at which Airflow mounts the application; callbacks have a path below it (:data:`~.calls.PATH`).
URL_PREFIX = "/asyncapi"
#: Places of the page in the UI: an entry under Browse, and tabs.
_DESTINATIONS = ("nav", "dag", "task_instance")

log = logging.getLogger(__name__)


class AsyncApiPlugin(AirflowPlugin):
    """
    The page **Async API jobs**, and the URL for callbacks.

    The web application and its dependencies are imported at the first access, which only happens in the API server.
    """

    name = "asyncapi"

    @cached_property
    def fastapi_apps(self) -> list[dict[str, Any]]:  # type: ignore[override]  # computed at first access
        """The web application."""
        return [{"name": "Async API jobs", "app": app.make_app(), "url_prefix": URL_PREFIX}]

    @cached_property
    def react_apps(self) -> list[dict[str, Any]]:  # type: ignore[override]  # computed at first access
        """The page; it needs UI components that Airflow 3.1 lacks."""
        if not versions.HAS_PLUGIN_PAGES:
            log.info("The page Async API jobs needs Airflow 3.2 or newer")
            return []
        base_path = urlsplit(conf.get("api", "base_url", fallback="")).path.rstrip("/")
        return [
            {
                # The same name for all places: the browser loads the bundle once and finds it by its name.
                "name": "Async API jobs",
                "bundle_url": f"{base_path}{URL_PREFIX}/static/jobs.js",
                "destination": destination,
                "url_route": f"async-api-jobs{'' if destination == 'nav' else f'-{destination}'}",
                **({"category": "browse"} if destination == "nav" else {}),
            }
            for destination in _DESTINATIONS
        ]
