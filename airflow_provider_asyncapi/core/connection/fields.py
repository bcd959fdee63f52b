"""The fields of a connection: how one is declared, and how its value is read."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from airflow_provider_asyncapi.core.errors import ConfigurationError
from airflow_provider_asyncapi.core.json_values import as_list

#: What the value of an empty field is: the connection form stores null or an empty text.
EMPTY_VALUES: tuple[Any, ...] = (None, "", {}, [])

#: A ``list`` is a JSON list, or text with commas or line breaks between the items; ``json`` is an object, or its text.
FieldType = Literal["text", "list", "json", "number", "flag"]


@dataclass(frozen=True, slots=True)
class ConnectionField:
    """
    One key of a connection's extra, and the field of the connection form that sets it.

    :param name: the key.
    :param label: the label in the form, below the heading of its section.
    :param help: the description below the field.
    :param type: the type of the value.
    :param choices: the values to choose from, if the form offers a choice; a mapping has their meanings.
    :param is_secret: whether the value is masked in logs and messages, and hidden in the form. The name of such a field
        has to hold ``secret``, ``token``, ``password`` or ``api_key``: Airflow's own API and pages mask by names.
    :param default: the initial value in the form.
    :param object_secrets: the secret keys of the JSON object that a text may be given as; none if it has to be text.
    :param section: the section of the form; by default that of the first kind of authentication that reads the field.
    """

    name: str
    label: str
    help: str
    type: FieldType = "text"
    choices: tuple[str, ...] | Mapping[str, str] = ()
    is_secret: bool = False
    default: bool | None = None
    object_secrets: tuple[str, ...] = ()
    section: str = ""


def check_text_fields(values: Mapping[str, Any], names: Iterable[str], objects: Collection[str] = ()) -> None:
    """
    Check that fields hold text, or nothing.

    :param objects: the names of the fields that may also hold a JSON object.
    :raises ConfigurationError: naming the first that doesn't; its value isn't shown, since it may be a secret.
    """
    for name in names:
        value = values.get(name)
        if value is not None and not isinstance(value, str) and not (name in objects and isinstance(value, Mapping)):
            raise ConfigurationError(f"{name} has to be text, not {type(value).__name__}")


def require_fields(values: Mapping[str, Any], kind: str, **meanings: str) -> None:
    """
    Check that the fields which a kind of authentication needs aren't empty.

    :param kind: the kind of authentication.
    :param meanings: the meaning of each field by its name, for messages.
    :raises ConfigurationError: naming the first empty field.
    """
    for name, meaning in meanings.items():
        if not values.get(name):
            raise ConfigurationError(f"auth {kind!r} needs {name} ({meaning}), and it is empty")


def read_choice(values: Mapping[str, Any], name: str, choices: Collection[str]) -> str:
    """
    Return the value of a field that offers a choice; the first choice if the field is empty.

    :raises ConfigurationError: if it is anything else.
    """
    value = values.get(name) or next(iter(choices))
    if value not in choices:
        raise ConfigurationError(f"{name} has to be {' or '.join(map(repr, choices))}, not {value!r}")
    return str(value)


def read_mapping(values: Mapping[str, Any], name: str) -> dict[str, Any]:
    """
    Return the value of a field that holds a JSON object, as an object or as its text; empty if the field is empty.

    :raises ConfigurationError: if it is anything else; the text isn't shown, since it may contain a secret.
    """
    value = values.get(name)
    if value in (None, ""):
        return {}
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except json.JSONDecodeError as error:
            raise ConfigurationError(
                f"{name} isn't JSON: {error.msg} at line {error.lineno}, column {error.colno}"
            ) from None
        except (ValueError, RecursionError):
            raise ConfigurationError(f"{name} is JSON that can't be read: too deep, or too long a number") from None
    if not isinstance(value, Mapping):
        raise ConfigurationError(f"{name} has to be a JSON object, not {type(value).__name__}")
    return dict(value)


def read_list(values: Mapping[str, Any], name: str) -> list[Any]:
    """Return the items of a field that holds a list, or text with commas or line breaks between the items."""
    value = values.get(name)
    if isinstance(value, str):
        return [item.strip() for item in value.replace("\n", ",").split(",") if item.strip()]
    return as_list(value)


def find_secret_values(values: Mapping[str, Any], fields: Iterable[ConnectionField]) -> Iterator[Any]:
    """
    Return what the secret fields hold; of an object in place of a text only its secret keys.

    :param values: the connection.
    :param fields: the declared fields, secret or not.
    """
    for field in fields:
        if field.is_secret and values.get(field.name) not in EMPTY_VALUES:
            value = read_mapping(values, field.name) if field.type == "json" else values[field.name]
            if field.object_secrets and isinstance(value, Mapping):
                value = [value[name] for name in field.object_secrets if name in value]
            yield value
