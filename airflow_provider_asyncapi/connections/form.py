"""The connection form, for the provider info (Airflow 3.2 and newer) and for the hook (3.1)."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_asyncapi.connections import lazy

if TYPE_CHECKING:
    from airflow_provider_asyncapi.core.connection.fields import ConnectionField

log = logging.getLogger(__name__)

CONNECTION_TYPE = "asyncapi"
HOOK_NAME = "Asynchronous HTTP API"
#: The group of the entry points by which other packages add kinds of authentication, and with them fields.
OTHER_KINDS = "airflow_provider_asyncapi.auth"
#: The fields with no kind but the shipped ones; ``python -m scripts.reference`` writes it.
SHIPPED_FIELDS = Path(__file__).with_name("form_fields.json")
_SHIPPED_PROFILES = Path(__file__).parents[1] / "profiles"
#: Type of a field → its type in JSON Schema.
_SCHEMA_TYPES = {"text": "string", "list": "string", "json": "object", "number": "number", "flag": "boolean"}


def make_form_fields() -> dict[str, dict[str, Any]]:
    """
    Return the keys of the connection's extra as Airflow's provider info describes the fields of a form.

    Each process of Airflow asks for them when it starts, and to import all kinds of authentication takes ten times the
    CPU of reading the file. So the kinds are only imported if another package adds one.
    """
    if lazy.find_entry_points(OTHER_KINDS):
        return derive_form_fields()
    fields: dict[str, dict[str, Any]] = json.loads(SHIPPED_FIELDS.read_text(encoding="utf-8"))
    return fields


def derive_form_fields() -> dict[str, dict[str, Any]]:
    """
    Return the fields that the kinds of authentication declare, with those of other packages.

    A kind that can't be used is left out, and there is a warning in the log. Airflow shows the fields by sections, of
    which one is open at a time.
    """
    lazy.AUTH_KINDS.load_installed()
    for name, problem in lazy.AUTH_KINDS.problems.items():
        log.warning("auth %r: %s", name, problem)
    fields: dict[str, dict[str, Any]] = {
        field.name: {"label": field.label, "description": field.help, "schema": _make_schema(field, heading)}
        for heading, section in lazy.arrange_form().items()
        for field in section
    }
    fields["profile"]["schema"]["examples"] = _list_shipped_profiles()
    return fields


def _list_shipped_profiles() -> list[str]:
    """
    Return the names of the shipped profiles, which the form suggests; it takes other names too.

    To find those of the user, Airflow would have to read its configuration, and it does that with the provider info.
    """
    files = _SHIPPED_PROFILES.rglob("*.toml")
    return sorted(file.relative_to(_SHIPPED_PROFILES).with_suffix("").as_posix() for file in files)


def _make_schema(field: ConnectionField, heading: str) -> dict[str, Any]:
    # Airflow marks a field as required if its type doesn't allow null. No field here is required.
    schema: dict[str, Any] = {"type": [_SCHEMA_TYPES[field.type], "null"], "section": heading}
    if field.choices:
        schema["enum"] = list(field.choices)
    if isinstance(field.choices, Mapping):
        schema["values_display"] = {name: f"{name}: {meaning}" for name, meaning in field.choices.items()}
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

    The API server makes a form of what its own stand-ins for the classes of WTForms hold: they know neither sections
    nor numbers nor JSON, so the schema is put into them.
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
        if (param := getattr(made[name], "param", None)) is not None:
            param.schema.update(schema)
    return made
