"""The web application that Airflow's API server runs for this provider."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles

from airflow_provider_asyncapi import __version__
from airflow_provider_asyncapi.plugins import callbacks, job_slots, jobs


def make_app() -> FastAPI:
    """Return the application with its routes."""
    app = FastAPI(
        title="Async API jobs",
        description="The remote jobs that tasks of airflow-provider-asyncapi wait for, and their callbacks.",
        version=__version__,
        # These pages load scripts from other hosts; the OpenAPI description is at openapi.json.
        docs_url=None,
        redoc_url=None,
    )
    app.include_router(jobs.router)
    app.include_router(callbacks.router)
    app.include_router(job_slots.router)
    app.mount("/static", StaticFiles(directory=Path(__file__).parent / "static"), name="static")
    return app
