"""The connection form: each field once, for the provider info (Airflow 3.2 and newer) and for the hook (3.1)."""

from __future__ import annotations

from typing import Any

CONNECTION_TYPE = "asyncapi"
HOOK_NAME = "Asynchronous HTTP API"


def _text(label: str, description: str, *, secret: bool = False, default: str | None = None) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": ["string", "null"]}
    if secret:
        schema["format"] = "password"
    if default is not None:
        schema["default"] = default
    return {"label": label, "description": description, "schema": schema}


def _choice(label: str, description: str, values: list[str]) -> dict[str, Any]:
    return {"label": label, "description": description, "schema": {"type": ["string", "null"], "enum": values}}


def _json(label: str, description: str) -> dict[str, Any]:
    return {"label": label, "description": description, "schema": {"type": ["object", "null"]}}


def _number(label: str, description: str) -> dict[str, Any]:
    return {"label": label, "description": description, "schema": {"type": ["number", "null"], "minimum": 0}}


#: The keys of the connection's extra, as the form shows them.
FIELDS: dict[str, dict[str, Any]] = {
    "auth": _choice(
        "Authentication",
        "none; basic (login, password); bearer (password: the token); api_key (password: the key); oauth2 (login: client"
        " id, password: client secret); login (a request that gives a token).",
        ["none", "basic", "bearer", "api_key", "oauth2", "login"],
    ),
    "profile": _text("Profile", "The profile that operators use where they name none, e.g. celigo."),
    "headers": _json("Headers", "Sent with each request to this API, and to no other host. Kept secret."),
    "variables": _json(
        "Variables", "Own secrets and settings; a request names them {connection.<name>}. Kept secret."
    ),
    "test_endpoint": _text("Test endpoint", "What the Test button asks for with GET, e.g. /v1/me."),
    "api_key_name": _text("API key: name", "The header or query parameter; X-API-Key where empty."),
    "api_key_in": _choice("API key: place", "header where empty.", ["header", "query"]),
    "token_url": _text("OAuth 2: token URL", "Absolute, or below the host."),
    "scope": _text("OAuth 2: scope", "Separated by spaces."),
    "token_params": _json("OAuth 2: further parameters", 'Sent with the token request, e.g. {"audience": "…"}.'),
    "client_auth": _choice(
        "OAuth 2: client authentication", "basic where empty; body puts id and secret into the form.", ["basic", "body"]
    ),
    "login_request": _json(
        "Login: request",
        'E.g. {"method": "POST", "endpoint": "/login", "json": {"user": "{connection.login}", "password":'
        ' "{connection.password}"}}.',
    ),
    "token": _text("Login: token selector", "Where the answer holds the token, e.g. data.token."),
    "token_header": _text("Login: header", "The header that the token is sent in; Authorization where empty."),
    "token_format": _text(
        "Login: format", "What the header holds; Bearer {token} for Authorization, {token} for other headers."
    ),
    "token_expiry": _text(
        "Login: expiry selector", "Where the answer says when the token expires: seconds, a moment, or an ISO date."
    ),
    "token_lifetime": _number("Login: lifetime", "Seconds that a token lives where the answer doesn't say."),
    "login_capture": _json(
        "Login: capture", 'What the refresh request needs of the answer, e.g. {"refresh": "refresh_token"}.'
    ),
    "refresh_request": _json("Login: refresh request", "Renews a token; the login request where empty."),
    "refresh_codes": {
        "label": "Login: refresh codes",
        "description": "Status codes that mean that the token is too old; [401, 403] where empty.",
        "schema": {"type": ["array", "null"]},
    },
    "verify": {
        "label": "TLS: verify",
        "description": "Whether the server's certificate is checked.",
        "schema": {"type": "boolean", "default": True},
    },
    "ca_cert": _text("TLS: CA certificates", "Path of a PEM file, on workers and triggerers."),
    "client_cert": _text("TLS: client certificate", "Path of a PEM file, on workers and triggerers."),
    "client_key": _text("TLS: client key", "Path of a PEM file, where the key isn't in the certificate's."),
    "proxy": _text("Proxy", "URL of an HTTP proxy, with user and password if it needs them.", secret=True),
    "connect_timeout": _number("Connect timeout", "Seconds until a connection has to stand; 10 where empty."),
    "read_timeout": _number("Read timeout", "Seconds that the API may stay silent; 60 where empty."),
    "connections_per_host": _number("Connections per host", "At the same time, from one process; 20 where empty."),
    "requests_per_second": _number("Requests per second", "From one process; no limit where empty."),
    "trusted_hosts": _text(
        "Trusted hosts", "Further hosts that may see the credentials, separated by commas (host or host:port)."
    ),
}

UI_FIELD_BEHAVIOUR: dict[str, Any] = {
    "hidden-fields": ["schema"],
    "relabeling": {"host": "API address", "login": "Login, user or client id", "password": "Password, token or key"},
    "placeholders": {"host": "https://api.example.com/v1"},
}


def field_behaviour() -> dict[str, Any]:
    """Give labels and placeholders as a hook of Airflow 3.1 does."""
    return {name.replace("-", "_"): value for name, value in UI_FIELD_BEHAVIOUR.items()}


def widgets() -> dict[str, Any]:
    """Give the form's fields as a hook of Airflow 3.1 does."""
    from wtforms import BooleanField, PasswordField, StringField

    made: dict[str, Any] = {}
    for name, field in FIELDS.items():
        schema = field["schema"]
        widget = StringField
        if schema.get("type") == "boolean":
            widget = BooleanField
        elif schema.get("format") == "password":
            widget = PasswordField
        made[name] = widget(
            field["label"], description=field["description"], default=schema.get("default")
        )
    return made
