"""The operations of an OpenAPI document, and which of them start jobs."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_asyncapi.importing.documents import DocumentError, describe_kind, look_up
from airflow_provider_asyncapi.importing.drafts import list_or_empty, mapping_or_empty

_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
#: Methods that start nothing.
_SAFE = ("GET", "HEAD", "OPTIONS", "TRACE")
_LONG_RUNNING = "x-ms-long-running-operation"
#: Headers with the address of the status, in lower case.
STATUS_HEADERS = ("azure-asyncoperation", "operation-location", "location")
_MAX_REFERENCES = 50


@dataclass(frozen=True, slots=True)
class Operation:
    """
    An operation of a document.

    :param method: its method, in upper case.
    :param path: its path, a template.
    :param values: its object.
    :param item: the object of its path, which has what all operations of the path share.
    """

    method: str
    path: str
    values: Mapping[str, Any] = field(repr=False)
    item: Mapping[str, Any] = field(repr=False)

    @property
    def name(self) -> str:
        """The identifier, or else method and path."""
        return str(self.values.get("operationId") or f"{self.method} {self.path}")

    @property
    def place(self) -> str:
        """The place in the document."""
        return f"paths.{self.path}.{self.method.lower()}"


@dataclass(frozen=True, slots=True)
class Candidate:
    """
    An operation that may start a job.

    :param reasons: what in the document says so, the strongest first.
    """

    operation: Operation
    reasons: tuple[str, ...]


class Document:
    """
    An OpenAPI 3 document.

    :param root: its content.
    :param name: the name of its file, for messages.
    :raises DocumentError: if it isn't an OpenAPI 3 document.
    """

    def __init__(self, root: Mapping[str, Any], name: str) -> None:
        if not str(root.get("openapi", "")).startswith("3."):
            raise DocumentError(f"{name}: isn't an OpenAPI 3 document; it is {describe_kind(root)}")
        if not isinstance(root.get("paths", {}), Mapping):
            raise DocumentError(f"{name}: paths: has to be a mapping")
        self.root, self.name = root, name

    def resolve(self, value: Any, place: str) -> Any:
        """
        Return what a value stands for if it is a reference, else itself.

        :raises DocumentError: if a reference leads to nothing, to another document, or back to itself.
        """
        for _ in range(_MAX_REFERENCES):
            if not isinstance(value, Mapping) or not isinstance(value.get("$ref"), str):
                return value
            value = look_up(self.root, value["$ref"], f"{self.name}: {place}")
        raise DocumentError(f"{self.name}: {place}: its references lead back to themselves")

    def mapping(self, value: Any, place: str) -> Mapping[str, Any]:
        """Return what a value stands for if it is a mapping, or an empty one."""
        return mapping_or_empty(self.resolve(value, place))

    def operations(self) -> Iterator[Operation]:
        """Yield all operations."""
        for path, item in mapping_or_empty(self.root.get("paths")).items():
            resolved = self.mapping(item, f"paths.{path}")
            for method in _METHODS:
                if isinstance(resolved.get(method), Mapping):
                    yield Operation(method.upper(), str(path), resolved[method], resolved)

    def responses(self, operation: Operation) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Yield the status code and the object of each response that is a success."""
        for code, response in mapping_or_empty(operation.values.get("responses")).items():
            if str(code).startswith("2"):
                yield str(code), self.mapping(response, f"{operation.place}.responses.{code}")

    def parameters(self, operation: Operation) -> Iterator[Mapping[str, Any]]:
        """Yield the parameters of an operation; its own replace parameters of its path that have the same name."""
        found: dict[tuple[str, str], Mapping[str, Any]] = {}
        for values in (operation.item, operation.values):
            for index, each in enumerate(list_or_empty(values.get("parameters"))):
                parameter = self.mapping(each, f"{operation.place}.parameters[{index}]")
                found[str(parameter.get("in")), str(parameter.get("name"))] = parameter
        yield from found.values()

    def schema_of(self, response: Mapping[str, Any], place: str) -> Mapping[str, Any]:
        """Return the schema of the JSON body of a response or a request; empty if it has none."""
        for kind, media in mapping_or_empty(response.get("content")).items():
            if "json" in str(kind):
                return self.mapping(mapping_or_empty(media).get("schema"), place)
        return {}

    def properties(self, schema: Mapping[str, Any], place: str, depth: int = 0) -> dict[str, Any]:
        """Return the properties of a schema, including the schemas that it combines."""
        found: dict[str, Any] = dict(mapping_or_empty(schema.get("properties")))
        for key in ("allOf", "oneOf", "anyOf"):
            for each in list_or_empty(schema.get(key)) if depth < _MAX_REFERENCES // 5 else []:
                found = {**self.properties(self.mapping(each, place), place, depth + 1), **found}
        return found


def find_candidates(document: Document) -> list[Candidate]:
    """Return the operations that may start a job, the likeliest first."""
    found = [
        Candidate(operation, tuple(reasons))
        for operation in document.operations()
        if operation.method not in _SAFE and (reasons := _find_reasons(document, operation))
    ]
    # Python's sort keeps the order of the document for equal numbers of reasons.
    return sorted(found, key=lambda each: -_weigh(each.reasons))


def _weigh(reasons: Sequence[str]) -> int:
    return 10 * any(reason.startswith(_LONG_RUNNING) for reason in reasons) + len(reasons)


def _find_reasons(document: Document, operation: Operation) -> list[str]:
    reasons = []
    if operation.values.get(_LONG_RUNNING) is True:
        via = final_state_of(operation)
        reasons.append(f"{_LONG_RUNNING}" + (f", final state via {via}" if via else ""))
    for code, response in document.responses(operation):
        headers = [name for name in mapping_or_empty(response.get("headers")) if name.lower() in STATUS_HEADERS]
        if code == "202":
            reasons.append("202 Accepted")
        reasons += [f"{code} with the header {name}" for name in headers if code == "202" or name.lower() != "location"]
        reasons += [f"{code} with the link {name}" for name in mapping_or_empty(response.get("links"))]
    reasons += [f"the callback {name}" for name in mapping_or_empty(operation.values.get("callbacks"))]
    return reasons


def final_state_of(operation: Operation) -> str:
    """Return where the result of an operation of Azure is; empty if it isn't one, or doesn't say so."""
    return str(mapping_or_empty(operation.values.get(f"{_LONG_RUNNING}-options")).get("final-state-via", ""))


def is_long_running(operation: Operation) -> bool:
    """Return whether the document says that an operation follows Azure's protocol of long-running operations."""
    return operation.values.get(_LONG_RUNNING) is True


def choose_operation(document: Document, chosen: str) -> Operation:
    """
    Return an operation by its identifier, or by method and path.

    :raises DocumentError: if there is none; the message names the nearest.
    """
    known: dict[str, Operation] = {}
    for operation in document.operations():
        known[f"{operation.method} {operation.path}"] = operation
        known[operation.name] = operation
    method, _, path = chosen.partition(" ")
    found = known.get(chosen) or known.get(f"{method.upper()} {path.strip()}")
    if found is not None:
        return found
    nearest = difflib.get_close_matches(chosen, known, 3, 0.4)
    advice = f"; nearest are {', '.join(nearest)}" if nearest else ""
    raise DocumentError(f"{document.name}: has no operation {chosen!r}{advice}")
