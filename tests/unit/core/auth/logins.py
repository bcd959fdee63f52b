"""The login that tests of tokens have in common."""

from __future__ import annotations

from typing import Any

FIELDS: dict[str, Any] = {
    "auth": "login",
    "login": "ann",
    "password": "pw-planted",
    "login_request": {
        "endpoint": "/login",
        "json": {"user": "{connection.login}", "password": "{connection.password}"},
    },
    "login_selector": "data.token",
    "login_expiry": "data.expires",
}
REFRESH: dict[str, Any] = {
    "refresh_request": {"endpoint": "/refresh", "json": {"refresh": "{refresh}"}},
    "login_capture": {"refresh": "data.refresh"},
}
