"""The Airflow connections of the example DAGs, each to one system of the demo server."""

from __future__ import annotations

from typing import Any


def connections(server_url: str) -> dict[str, dict[str, Any]]:
    """
    Return Airflow's connection JSON by connection id.

    :param server_url: base URL of a running :class:`demo.server.DemoServer`, without a slash at its end
    """
    systems: dict[str, dict[str, Any]] = {
        "celigo": {"password": "celigo-token", "extra": {"auth": "bearer", "test_endpoint": "/v1/flows/orders"}},
        "cloud_elements": {
            "extra": {
                "auth": "none",
                "secret_headers": {"Authorization": "User user-secret, Element element-secret"},
                "callback": {
                    "signature": {
                        "header": "Elements-Webhook-Signature",
                        "encoding": "base64",
                        "prefix": "sha256=",
                    },
                    "identifier": "eventId",
                },
                "callback_secret": "MySecretEventSignatureKey",
            }
        },
        "panoply": {
            "extra": {
                "auth": "login",
                "login_request": {
                    "endpoint": "/flex/auth/token",
                    "json": {"client": "demo", "secret": "{connection.secret}"},
                },
                "secrets": {"secret": "demo-secret"},
                "login_selector": "access_token",
                "login_expiry": "expires_in",
                "login_header": "X-Access-Token",
                "login_capture": {"refresh": "refresh_token"},
                "refresh_request": {"endpoint": "/flex/auth/refresh", "json": {"refresh_token": "{refresh}"}},
            }
        },
        "phixflow": {"password": "phix-token", "extra": {"auth": "bearer"}},
        "shop": {
            "extra": {
                "callback": {
                    "signature": {"header": "X-Shop-Signature", "encoding": "base64", "prefix": "sha256="},
                    "events": {
                        "asset": "orders_by_webhook",
                        "id": "event.id",
                        "when": {"selector": "event.type", "in": ["order.paid"]},
                        "capture": {"order": "event.order.id"},
                    },
                },
                "callback_secret": "shop-webhook-key",
            }
        },
        "standard": {"extra": {"profile": "http_202"}},
        "studio": {},
        # Of its own: a pause that an API asks for with 429 is kept by all tasks of the connection.
        "studio_busy": {},
        "warehouse": {},
        # The profile knows how to log in; the connection says as whom.
        "vayana": {
            "login": "demo@example.com",
            "password": "vayana-secret",
            "extra": {"profile": "vayana", "headers": {"X-FLYNN-N-ORG-ID": "org-1"}},
        },
    }
    # The Test button of Airflow 3.3 works for connections with a port only.
    host, port = server_url.rsplit(":", 1)
    shared = {"conn_type": "asyncapi", "host": host, "port": int(port)}
    return {conn_id: {**shared, **rest} for conn_id, rest in systems.items()}
