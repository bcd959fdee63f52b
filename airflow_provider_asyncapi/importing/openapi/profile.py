"""Import an operation that starts a job as a profile."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_asyncapi.importing.documents import split_pointer
from airflow_provider_asyncapi.importing.drafts import Draft, list_or_empty, make_name, mapping_or_empty
from airflow_provider_asyncapi.importing.expressions import select_expression
from airflow_provider_asyncapi.importing.openapi.operations import (
    STATUS_HEADERS,
    Document,
    Operation,
    choose_operation,
    final_state_of,
    is_long_running,
)
from airflow_provider_asyncapi.importing.openapi.requests import read_body, read_parameters, read_path
from airflow_provider_asyncapi.importing.openapi.security import read_security
from airflow_provider_asyncapi.importing.selectors import build_selector
from airflow_provider_asyncapi.importing.statuses import STATUS_FIELDS, guess_meanings

_AZURE, _HTTP_202 = "azure/operations", "http_202"
_LAST_PARAMETER = re.compile(r"\{([^{}]+)\}$")
_ID_FIELDS = (
    "id",
    "jobid",
    "job_id",
    "taskid",
    "task_id",
    "operationid",
    "operation_id",
    "requestid",
    "request_id",
    "uuid",
)
#: The last part of the path of a result.
_RESULT_WORDS = ("result", "results", "output", "outputs", "rows", "records", "content", "download", "file", "data")


def import_operation(root: Mapping[str, Any], name: str, chosen: str) -> Draft:
    """
    Return the profile of an operation.

    :param root: the document.
    :param name: the name of its file, for messages and comments.
    :param chosen: the identifier of the operation, or its method and path.
    :raises DocumentError: if the document isn't OpenAPI 3, or has no such operation.
    """
    document = Document(root, name)
    operation = choose_operation(document, chosen)
    draft = Draft(make_name(operation.name), f"{name}, operation {operation.name}")
    about = draft.tables["about"]
    about["title"] = str(operation.values.get("summary") or operation.name)
    if url := mapping_or_empty(operation.values.get("externalDocs")).get("url"):
        about["documentation"] = url
    draft.connection["host"] = read_server(document, operation)
    read_security(document, operation, draft)
    _read_submit(document, operation, draft)
    has_callback = _read_callbacks(document, operation, draft)
    status = _find_status(document, operation)
    if is_long_running(operation) or (status is None and _has_status_header(document, operation)):
        _extend(operation, draft)
    elif status is not None:
        _read_status(document, status, draft)
    elif not has_callback:
        message = "the document names no request for the status; describe it by hand"
        draft.add_gap(operation.place, message, ("status", "endpoint"))
    draft.connection.setdefault("extra", {})["profile"] = draft.name
    return draft


def read_server(document: Document, operation: Operation) -> str:
    """Return the address of an operation, with `<names>` in place of what a user has to fill in."""
    for values in (operation.values, operation.item, document.root):
        for server in list_or_empty(values.get("servers")):
            variables = mapping_or_empty(mapping_or_empty(server).get("variables"))
            url = str(mapping_or_empty(server).get("url", ""))
            for name, variable in variables.items():
                url = url.replace(f"{{{name}}}", str(mapping_or_empty(variable).get("default", f"<{name}>")))
            return url.rstrip("/") if "://" in url else f"<address>{url.rstrip('/')}"
    return "<address>"


def _read_submit(document: Document, operation: Operation, draft: Draft) -> None:
    submit = draft.tables["submit"]
    submit["endpoint"] = read_path(operation, draft)
    if operation.method != "POST":
        submit["method"] = operation.method
    submit |= read_parameters(document, operation, draft)
    submit |= read_body(document, operation, draft)


def _read_callbacks(document: Document, operation: Operation, draft: Draft) -> bool:
    """Set where the request names the address of a callback; return whether there is one."""
    place = f"{operation.place}.callbacks"
    for name, callback in mapping_or_empty(operation.values.get("callbacks")).items():
        for expression in document.mapping(callback, f"{place}.{name}"):
            submit = draft.tables["submit"]
            if match := re.search(r"\{?\$request\.body#/([\w/~-]+)", str(expression)):
                target = submit.setdefault("json", {})
                *parents, last = match[1].split("/")
                for key in parents:
                    target = target.setdefault(key, {})
                draft.variables.pop(make_name(last), None)
                target[last] = "{callback_url}"
            elif match := re.search(r"\$request\.(query|header)\.([\w-]+)", str(expression)):
                submit.setdefault("query_params" if match[1] == "query" else "headers", {})[match[2]] = "{callback_url}"
            else:
                draft.add_gap(
                    f"{place}.{name}", f"the address {expression} is no part of the request", ("submit", "callback")
                )
                continue
            submit["callback"] = True
            draft.tables["status"]["callback"] = "hint"
            return True
    return False


def _has_status_header(document: Document, operation: Operation) -> bool:
    return any(
        code == "202" or name.lower() in STATUS_HEADERS
        for code, response in document.responses(operation)
        for name in (mapping_or_empty(response.get("headers")) or [""])
    )


def _extend(operation: Operation, draft: Draft) -> None:
    """Extend the profile of the protocol, and say where the result is if the document does."""
    table = draft.tables["connection"]
    is_azure = is_long_running(operation)
    if is_azure and table.get("auth") in ("oauth2", "oauth2_refresh", None):
        # The profile of the protocol has the authentication of Azure.
        table.clear()
        draft.drop_gaps(("connection", "auth"))
        draft.connection |= {"login": "<client_id>", "password": "<client_secret>"}
        draft.connection["extra"] = {"oauth2_url": "https://login.microsoftonline.com/<tenant>/oauth2/v2.0/token"}
    elif is_azure:
        # A profile can't undo keys of the one that it extends, and these belong to another kind of authentication.
        table |= {"client_auth": "", "scope": ""}
    draft.extends = _AZURE if is_azure else _HTTP_202
    fetch = draft.tables["fetch"]
    match final_state_of(operation):
        case "location":
            draft.tables["submit"]["capture"] = {"location": "header:Location"}
            fetch["endpoint"] = "{location}"
        case "azure-async-operation" | "operation-location":
            fetch["endpoint"] = "{identifier}"
        case "original-uri":
            fetch["endpoint"] = draft.tables["submit"]["endpoint"]
            if params := draft.tables["submit"].get("query_params"):
                fetch["query_params"] = dict(params)


@dataclass(frozen=True, slots=True)
class StatusOperation:
    """
    The operation that returns the status of a job.

    :param operation: the operation.
    :param identifier: the selector of the identifier in the response to the submit.
    :param known: the parameters of the operation that name the job, and their templates.
    :param reason: what in the document says so.
    """

    operation: Operation
    identifier: str
    known: Mapping[str, str]
    reason: str


def _find_status(document: Document, operation: Operation) -> StatusOperation | None:
    return _find_by_links(document, operation) or _find_by_path(document, operation)


def _find_by_links(document: Document, operation: Operation) -> StatusOperation | None:
    for code, response in document.responses(operation):
        for name, each in mapping_or_empty(response.get("links")).items():
            link = document.mapping(each, f"{operation.place}.responses.{code}.links.{name}")
            target = _find_target(document, link)
            selectors = {
                str(parameter).rpartition(".")[2]: select_expression(str(expression))
                for parameter, expression in mapping_or_empty(link.get("parameters")).items()
            }
            found = [(parameter, selector) for parameter, selector in selectors.items() if selector]
            if target is not None and target.method == "GET" and len(found) == 1:
                parameter, selector = found[0]
                return StatusOperation(target, selector, {parameter: "{identifier}"}, f"the link {name}")
    return None


def _find_target(document: Document, link: Mapping[str, Any]) -> Operation | None:
    """Return the operation that a link leads to, by its identifier or by a reference into this document."""
    keys = split_pointer(str(link.get("operationRef", "")))
    for operation in document.operations():
        if link.get("operationId") is not None and operation.values.get("operationId") == link["operationId"]:
            return operation
        if keys == ["paths", operation.path, operation.method.lower()]:
            return operation
    return None


def _find_by_path(document: Document, operation: Operation) -> StatusOperation | None:
    """Return the GET of one item below the path of the operation, if its identifier is in the response."""
    base = operation.path.rstrip("/")
    for other in document.operations():
        rest = other.path.removeprefix(base)
        match = _LAST_PARAMETER.search(rest.removesuffix("/status"))
        if other.method != "GET" or not other.path.startswith(base) or match is None or rest.count("{") != 1:
            continue
        for _, response in document.responses(operation):
            properties = document.properties(document.schema_of(response, operation.place), operation.place)
            names = {name.lower(): name for name in properties}
            wanted = [match[1].lower(), *_ID_FIELDS]
            if (found := next((names[each] for each in wanted if each in names), None)) is not None:
                selector = build_selector([found])
                return StatusOperation(other, selector, {match[1]: "{identifier}"}, f"the path {other.path}")
    return None


def _read_status(document: Document, found: StatusOperation, draft: Draft) -> None:
    operation = found.operation
    draft.tables["submit"]["identifier"] = found.identifier
    draft.comments["submit", "identifier"] = f"assumed, by {found.reason}"
    status = draft.tables["status"]
    status["endpoint"] = read_path(operation, draft, found.known)
    status |= read_parameters(document, operation, draft, found.known)
    read_statuses(document, operation, draft)
    _read_fetch(document, operation, found.known, draft)


def read_statuses(document: Document, operation: Operation, draft: Draft) -> None:
    """Set the field of the status, and the statuses by what their names say."""
    status = draft.tables["status"]
    for _, response in document.responses(operation):
        properties = document.properties(document.schema_of(response, operation.place), operation.place)
        names = {name.lower(): name for name in properties}
        field = next((names[each] for each in STATUS_FIELDS if each in names), None)
        if field is None:
            continue
        status["completion_key"] = build_selector([field])
        values = document.mapping(properties[field], operation.place).get("enum")
        meanings = guess_meanings([str(value) for value in list_or_empty(values)])
        if meanings is None:
            listed = (
                f"the document lists {', '.join(map(str, list_or_empty(values)))}"
                if values
                else "the document lists none"
            )
            draft.add_gap(operation.place, f"the statuses that mean success; {listed}", ("status", "completion_value"))
            return
        status |= meanings.as_parameters()
        draft.comments["status", "completion_value"] = "assumed by their names: which statuses mean what"
        return
    draft.add_gap(operation.place, "the field that holds the status", ("status", "completion_key"))


def _read_fetch(document: Document, status: Operation, known: Mapping[str, str], draft: Draft) -> None:
    base = status.path.removesuffix("/status").rstrip("/")
    for other in document.operations():
        rest = other.path.removeprefix(base)
        if other.method == "GET" and other.path.startswith(base) and rest.strip("/").lower() in _RESULT_WORDS:
            fetch = draft.tables["fetch"]
            fetch["endpoint"] = read_path(other, draft, known)
            fetch |= read_parameters(document, other, draft, known)
            return
    draft.add_gap(status.place, "the request for the result", ("fetch", "endpoint"))
