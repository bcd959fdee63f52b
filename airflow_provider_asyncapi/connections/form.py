"""The connection form: each field once, for the provider info (Airflow 3.2 and newer) and for the hook (3.1)."""

from __future__ import annotations

from typing import Any

CONNECTION_TYPE = "asyncapi"
HOOK_NAME = "Asynchronous HTTP API"


def _field(kind: str, label: str, description: str, **schema: Any) -> dict[str, Any]:
    # A type that doesn't take null gets the asterisk of a required field, and no field here is required.
    return {"label": label, "description": description, "schema": {"type": [kind, "null"], **schema}}


def _text(label: str, description: str, *, secret: bool = False) -> dict[str, Any]:
    return _field("string", label, description, **({"format": "password"} if secret else {}))


def _choice(label: str, description: str, values: list[str]) -> dict[str, Any]:
    return _field("string", label, description, enum=values)


def _json(label: str, description: str) -> dict[str, Any]:
    return _field("object", label, description)


def _number(label: str, description: str) -> dict[str, Any]:
    return _field("number", label, description, minimum=0)


#: The keys of the connection's extra, as the form shows them, in its order.
FIELDS: dict[str, dict[str, Any]] = {
    "auth": _choice(
        "Authentication",
        "basic: login and password. bearer: the password is the token. api_key: the password is the key. oauth2: the"
        " login is the client id, the password the client secret. login: a request gives a token. Where empty: basic"
        " if there is a login, else none.",
        ["none", "basic", "bearer", "api_key", "oauth2", "login"],
    ),
    "test_endpoint": _text(
        "Test endpoint",
        "What the Test button asks for with GET, e.g. /me; below the API address, or absolute."
        " The button needs the field Port: without it, Airflow answers Bad Request.",
    ),
    "profile": _text("Profile", "Taken by tasks that name none, e.g. celigo or http_202."),
    "key_name": _text("API key: name", "The header or query parameter that holds it; X-API-Key where empty."),
    "key_in": _choice("API key: place", "Where the API looks for it; header where empty.", ["header", "query"]),
    "oauth2_url": _text("OAuth 2: token URL", "Below the API address, e.g. /oauth/token, or absolute."),
    "oauth2_method": _choice("OAuth 2: method", "Of the token request; POST where empty.", ["POST", "GET"]),
    "scope": _text("OAuth 2: scope", "Separated by spaces."),
    "client_auth": _choice(
        "OAuth 2: client authentication",
        "basic: id and secret in a header. body: in the form (of a GET: in the query). basic where empty.",
        ["basic", "body"],
    ),
    "oauth2_params": _json("OAuth 2: further parameters", 'Sent with the token request, e.g. {"audience": "…"}.'),
    "login_request": _json(
        "Login: request",
        'The request that gives a token, e.g. {"endpoint": "/login", "json": {"user": "{connection.login}",'
        ' "password": "{connection.password}"}}. It may name all of Secrets and Variables too.',
    ),
    "login_selector": _text("Login: token selector", "Where the answer holds the token, e.g. data.token."),
    "login_header": _text("Login: header", "The header that the token is sent in; Authorization where empty."),
    "login_format": _text(
        "Login: format",
        "What that header holds. Where empty: Bearer {token} for Authorization, {token} for other headers.",
    ),
    "login_expiry": _text(
        "Login: expiry selector",
        "Where the answer says when the token expires, e.g. expires_in: seconds, a moment, or an ISO date.",
    ),
    "login_lifetime": _number("Login: lifetime", "Seconds that a token lives, where the answer doesn't say."),
    "refresh_codes": _text("Login: refresh codes", "Status codes that ask for a new token; 401, 403 where empty."),
    "refresh_when": _json(
        "Login, OAuth 2: refresh when",
        "What an answer holds that asks for a new token under another status code,"
        ' e.g. {"selector": "code", "in": 602}.',
    ),
    "login_capture": _json(
        "Login: capture", 'What the refresh request needs of the answer, e.g. {"refresh": "refresh_token"}.'
    ),
    "refresh_request": _json(
        "Login: refresh request",
        'Renews a token, e.g. {"endpoint": "/refresh", "json": {"token": "{refresh}"}}; the login request where empty.',
    ),
    "login_cache": _choice(
        "Login, OAuth 2: who shares a token",
        "host: all tasks of one user on one host, by an encrypted file. process: nothing is written. host where empty.",
        ["host", "process"],
    ),
    "headers": _json(
        "Headers",
        'Sent with each request to this API and to no other host, e.g. {"X-Org": "42"}. Shown to whoever may see'
        " connections; for secrets there is the next field.",
    ),
    "secret_headers": _json("Secret headers", 'Sent likewise, and never shown again, e.g. {"X-Session-Id": "…"}.'),
    "variables": _json(
        "Variables",
        'What requests may name, e.g. {"account": "42"} as {connection.account}. Shown to whoever may see connections.',
    ),
    "secrets": _json(
        "Secrets", 'What requests may name likewise, and never shown again, e.g. {"key": "…"} as {connection.key}.'
    ),
    "trusted_hosts": _text(
        "Trusted hosts",
        "Further hosts that may see credentials and headers, separated by commas: host (usual port), or host:port.",
    ),
    "other_hosts": _choice(
        "Other hosts",
        "Which hosts links and redirects may lead to, without credentials. any where empty. listed: those of the two"
        " lists. none: only the API's own.",
        ["any", "listed", "none"],
    ),
    "allowed_hosts": _text(
        "Allowed hosts",
        "Hosts that requests may go to without credentials, separated by commas: host, host:port, or *.example.com.",
    ),
    "callback": _json(
        "Callbacks",
        'How the API signs its callbacks, e.g. {"signature": {"header": "X-Signature", "encoding": "hex", "prefix":'
        ' "sha256="}} or {"signature": {"scheme": "standard"}}; and where they name their job if one URL is called for'
        ' all: "identifier".',
    ),
    "callback_secret": _text(
        "Callbacks: key", "What they are signed with; several as a JSON list while a key is replaced.", secret=True
    ),
    "verify": _field("boolean", "TLS: verify", "Whether the server's certificate is checked.", default=True),
    "ca_cert": _text("TLS: CA certificates", "Path of a PEM file, on workers and triggerers."),
    "client_cert": _text("TLS: client certificate", "Path of a PEM file, on workers and triggerers."),
    "client_key": _text("TLS: client key", "Path of a PEM file, where the key isn't in the certificate's."),
    "proxy": _text("Proxy", "URL of an HTTP proxy, with user and password if it needs them.", secret=True),
    "connect_timeout": _number("Connect timeout", "Seconds until a connection has to stand; 10 where empty."),
    "read_timeout": _number("Read timeout", "Seconds that the API may stay silent; 60 where empty."),
    "connections_per_host": _number(
        "Connections per host", "At the same time, from one process; if empty, as many as are needed."
    ),
    "requests_per_second": _number("Requests per second", "From one process; no limit where empty."),
}

UI_FIELD_BEHAVIOUR: dict[str, Any] = {
    "hidden-fields": ["schema"],
    "relabeling": {
        "host": "API address",
        "login": "Login, user or client id",
        "password": "Password, token or key",
        "port": "Port (the Test button needs it)",
    },
    "placeholders": {
        "host": "https://api.example.com/v1",
        # Without one, the Test button of Airflow 3.3 sends port 0, which its server takes for another destination.
        "port": "443",
    },
}


def field_behaviour() -> dict[str, Any]:
    """Give labels and placeholders as a hook of Airflow 3.1 does."""
    return {name.replace("-", "_"): value for name, value in UI_FIELD_BEHAVIOUR.items()}


def widgets() -> dict[str, Any]:
    """Give the form's fields as a hook of Airflow 3.1 does: what is neither text nor a switch is text there."""
    from wtforms import BooleanField, PasswordField, StringField
    from wtforms.validators import any_of

    made: dict[str, Any] = {}
    for name, field in FIELDS.items():
        schema = field["schema"]
        widget = StringField
        if "boolean" in schema["type"]:
            widget = BooleanField
        elif schema.get("format") == "password":
            widget = PasswordField
        made[name] = widget(
            field["label"],
            validators=[any_of(schema["enum"])] if "enum" in schema else [],
            description=field["description"],
            default=schema.get("default"),
        )
    return made
