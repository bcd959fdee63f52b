"""The connection form, for the provider info (Airflow 3.2 and newer) and for the hook (3.1)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from airflow_provider_asyncapi.connections import lazy

if TYPE_CHECKING:
    from airflow_provider_asyncapi.core.connection.fields import ConnectionField

log = logging.getLogger(__name__)

CONNECTION_TYPE = "asyncapi"
HOOK_NAME = "Asynchronous HTTP API"
#: Type of a field → its type in JSON Schema.
_SCHEMA_TYPES = {"text": "string", "list": "string", "json": "object", "number": "number", "flag": "boolean"}


def make_form_fields() -> dict[str, dict[str, Any]]:
    """
    Return the keys of the connection's extra as Airflow's provider info describes the fields of a form.

    The fields of all installed kinds of authentication are included. A kind that can't be used is left out, and there
    is a warning in the log.
    """
    lazy.AUTH_KINDS.load_installed()
    for name, problem in lazy.AUTH_KINDS.problems.items():
        log.warning("auth %r: %s", name, problem)
    return {
        name: {"label": field.label, "description": field.help, "schema": _make_schema(field)}
        for name, field in lazy.collect_connection_fields().items()
    }


def _make_schema(field: ConnectionField) -> dict[str, Any]:
    # Airflow marks a field as required if its type doesn't allow null. No field here is required.
    schema: dict[str, Any] = {"type": [_SCHEMA_TYPES[field.type], "null"]}
    if field.choices:
        schema["enum"] = list(field.choices)
    if field.is_secret and field.type != "json":
        schema["format"] = "password"
    if field.type == "number":
        schema["minimum"] = 0
    if field.default is not None:
        schema["default"] = field.default
    return schema


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
        # Without a port, the Test button of Airflow 3.3 sends port 0, which its server takes for another destination.
        "port": "443",
    },
}


def make_field_behaviour() -> dict[str, Any]:
    """Return labels and placeholders in the form that a hook of Airflow 3.1 has them."""
    return {name.replace("-", "_"): value for name, value in UI_FIELD_BEHAVIOUR.items()}


def make_widgets() -> dict[str, Any]:
    """
    Return the form's fields in the form that a hook of Airflow 3.1 has them.

    There, a field that is neither text nor a flag is text.
    """
    from wtforms import BooleanField, PasswordField, StringField  # noqa: PLC0415 - installed with Airflow 3.1 only
    from wtforms.validators import any_of  # noqa: PLC0415 - as above

    made: dict[str, Any] = {}
    for name, field in make_form_fields().items():
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
