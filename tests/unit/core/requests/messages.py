"""Requests and redirects that tests send."""

from __future__ import annotations

from typing import Any

from airflow_provider_asyncapi.core.http.messages import Request
from tests.unit.core.flow_runner import BASE, make_response


def get(path: str = "/jobs", **headers: str) -> Request:
    return Request("GET", BASE + path, tuple((name.replace("_", "-"), value) for name, value in headers.items()))


def redirect(location: str, status: int = 302) -> Any:
    return make_response(None, status, location=location)
