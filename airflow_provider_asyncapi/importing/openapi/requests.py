"""The request of an operation: parameters and body of a profile, with variables for what the DAG decides."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from airflow_provider_asyncapi.importing.drafts import Draft, list_or_empty, make_name, mapping_or_empty
from airflow_provider_asyncapi.importing.openapi.operations import Document, Operation

#: Names that mean something else in a profile.
_TAKEN = frozenset(
    ("callback_url", "cursor", "idempotency_key", "identifier", "limit", "offset", "page", "result_identifier")
)
_PATH_PARAMETER = re.compile(r"\{([^{}]+)\}")
_MAX_DEPTH = 4
_FORM = "application/x-www-form-urlencoded"


def name_variable(name: str, draft: Draft, meaning: str) -> str:
    """Return the template of a variable for a parameter, and describe it."""
    variable = make_name(name)
    variable = f"{variable}_value" if variable in _TAKEN else variable
    draft.variables.setdefault(variable, meaning)
    return f"{{{variable}}}"


def read_path(operation: Operation, draft: Draft, known: Mapping[str, str] | None = None) -> str:
    """
    Return the path of an operation as an endpoint.

    :param known: the templates of parameters that an earlier response determines.
    """
    given = known or {}
    return _PATH_PARAMETER.sub(
        lambda match: given.get(match[1]) or name_variable(match[1], draft, f"{match[1]} of the path"), operation.path
    )


def read_parameters(
    document: Document, operation: Operation, draft: Draft, known: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Return the query parameters and headers that an operation requires."""
    request: dict[str, dict[str, Any]] = {}
    for parameter in document.parameters(operation):
        place, name = parameter.get("in"), str(parameter.get("name"))
        target = {"query": "query_params", "header": "headers"}.get(str(place))
        if place == "cookie" and parameter.get("required"):
            draft.add_gap(f"{operation.place}.parameters", f"the cookie {name}")
        if target is None or not parameter.get("required"):
            continue
        schema = document.mapping(parameter.get("schema"), operation.place)
        constant = find_constant(schema)
        value = (known or {}).get(name) or constant
        if value is None:
            value = name_variable(name, draft, _describe(name, schema, str(place)))
        request.setdefault(target, {})[name] = value
    return dict(request)


def find_constant(schema: Mapping[str, Any]) -> Any:
    """Return the value that a schema prescribes, or proposes; None if there are several, or none."""
    if "const" in schema:
        return schema["const"]
    values = schema.get("enum")
    if isinstance(values, list) and len(values) == 1:
        return values[0]
    return schema.get("default")


def _describe(name: str, schema: Mapping[str, Any], place: str = "") -> str:
    values = schema.get("enum")
    kind = f"one of {', '.join(map(str, values))}" if isinstance(values, list) else str(schema.get("type", "value"))
    return f"{kind} ({place} {name})" if place else kind


def read_body(document: Document, operation: Operation, draft: Draft) -> dict[str, Any]:
    """Return the body of a request with the properties that its schema requires."""
    place = f"{operation.place}.requestBody"
    body = document.mapping(operation.values.get("requestBody"), place)
    content = mapping_or_empty(body.get("content"))
    if not content:
        return {}
    if any("json" in str(kind) for kind in content):
        schema = document.schema_of(body, place)
        value = _build_value(document, schema, draft, place, 0)
        return {"json": value if isinstance(value, dict) else {}} if value or body.get("required") else {}
    if _FORM in content:
        schema = document.mapping(mapping_or_empty(content[_FORM]).get("schema"), place)
        return {"data": _build_value(document, schema, draft, place, 0)}
    if body.get("required"):
        kinds = ", ".join(map(str, content))
        draft.add_gap(
            place, f"a body of the type {kinds}; set `body`, `files`, `xml` or `data` in the DAG", ("submit", "body")
        )
    return {}


def _build_value(document: Document, schema: Mapping[str, Any], draft: Draft, place: str, depth: int) -> Any:
    """Return an object with the properties that a schema requires."""
    required = [
        name for each in _list_combined_schemas(document, schema, place) for name in list_or_empty(each.get("required"))
    ]
    built = {}
    for name, given in document.properties(schema, place).items():
        if name not in required:
            continue
        inner = document.mapping(given, place)
        constant = find_constant(inner)
        if constant is not None:
            built[name] = constant
        elif document.properties(inner, place) and depth < _MAX_DEPTH:
            built[name] = _build_value(document, inner, draft, place, depth + 1)
        else:
            built[name] = name_variable(name, draft, _describe(name, inner))
    return built


def _list_combined_schemas(document: Document, schema: Mapping[str, Any], place: str) -> list[Mapping[str, Any]]:
    return [schema, *(document.mapping(each, place) for each in list_or_empty(schema.get("allOf")))]
