"""The web application that Airflow's API server runs for this provider."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.staticfiles import StaticFiles

from airflow_provider_asyncapi import __version__
from airflow_provider_asyncapi.plugins import actions, callbacks, details, job_slots, jobs, jobs_file, overview

if TYPE_CHECKING:
    from starlette.responses import Response


class _CurrentFiles(StaticFiles):
    """
    Files that a browser stores, but asks for each time whether they have changed.

    The modules of the page import each other: after an upgrade they must all be of the same version.
    """

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        """Return the response with a file, or the one that it hasn't changed."""
        response = super().file_response(*args, **kwargs)
        response.headers["Cache-Control"] = "no-cache"
        return response


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
    for part in (jobs, jobs_file, details, overview, actions, callbacks, job_slots):
        app.include_router(part.router)
    app.add_exception_handler(RequestValidationError, _describe_invalid_request)
    app.mount("/static", _CurrentFiles(directory=Path(__file__).parent / "static"), name="static")
    return app


async def _describe_invalid_request(_: Request, error: Exception) -> JSONResponse:
    """Respond with what is wrong and where, as FastAPI does, but without the request itself, which may be large."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 - for the type checker
    problems = [{name: each[name] for name in ("type", "loc", "msg")} for each in error.errors()]
    return JSONResponse({"detail": problems}, 422)
