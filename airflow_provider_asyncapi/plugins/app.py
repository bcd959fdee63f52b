"""The web application that Airflow's API server runs for this provider."""

from __future__ import annotations

from fastapi import FastAPI

from airflow_provider_asyncapi import __version__
from airflow_provider_asyncapi.plugins import callbacks


def make_app() -> FastAPI:
    """Put the application together."""
    app = FastAPI(title="Async API jobs", version=__version__, docs_url=None, redoc_url=None)
    app.include_router(callbacks.router)
    return app
