"""
Turn a workflow of an Arazzo document (1.0 and 1.1) into a draft of a profile.

A workflow says which requests follow each other and what they pass on, and seldom what a status means.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_asyncapi.importing.documents import DocumentError, describe_kind, look_up, split_pointer
from airflow_provider_asyncapi.importing.drafts import Draft, list_or_empty, make_name, mapping_or_empty
from airflow_provider_asyncapi.importing.expressions import select_expression
from airflow_provider_asyncapi.importing.openapi.operations import Document, Operation, choose_operation
from airflow_provider_asyncapi.importing.openapi.profile import read_server, read_statuses
from airflow_provider_asyncapi.importing.openapi.security import read_security

_EMBEDDED = re.compile(r"\{(\$[^{}]+)\}")
_INPUT = re.compile(r"\$inputs\.([\w.-]+)")
_OUTPUT = re.compile(r"\$steps\.([\w-]+)\.outputs\.([\w-]+)")
_SOURCE = re.compile(r"\{?\$sourceDescriptions\.([\w-]+)(?:\.url)?\}?[.#]?(.*)")
#: `$response.body#/status == "done"`, and the same in the query of a JSONPath: `$[?(@.status == 'done')]`.
_EQUALS = re.compile(r"(\$\S+)\s*==\s*(?:'([^']*)'|\"([^\"]*)\"|([\w.-]+))")
_QUERY = re.compile(r"\$\[\?\s*\(?\s*@\.([\w.]+)\s*==\s*(?:'([^']*)'|\"([^\"]*)\")\s*\)?\s*\]")
_ROLES = ("submit", "status", "fetch")
#: Bodies aren't a place of parameters, but documents use them as one.
_PLACES = {"query": "query_params", "header": "headers", "body": "json"}


@dataclass(frozen=True, slots=True)
class Step:
    """
    A step of a workflow.

    :param name: its identifier.
    :param values: its object.
    :param operation: the operation that it calls; None if its document isn't known.
    :param document: the document of the operation.
    """

    name: str
    values: Mapping[str, Any] = field(repr=False)
    operation: Operation | None
    document: Document | None

    @property
    def reads(self) -> bool:
        """Whether it only reads; what isn't known is taken for a request that starts something."""
        return self.operation is not None and self.operation.method == "GET"

    @property
    def repeats(self) -> bool:
        """Whether it is repeated until it succeeds."""
        actions = [*(list_or_empty(self.values.get("onFailure"))), *(list_or_empty(self.values.get("onSuccess")))]
        return any(mapping_or_empty(action).get("type") == "retry" for action in actions)


def list_workflows(root: Mapping[str, Any], name: str) -> dict[str, Mapping[str, Any]]:
    """
    Return the workflows of a document by their identifiers.

    :param name: the name of the file, for messages.
    :raises DocumentError: if it isn't an Arazzo document.
    """
    workflows = root.get("workflows")
    if not str(root.get("arazzo", "")).startswith("1.") or not isinstance(workflows, list):
        raise DocumentError(f"{name}: isn't an Arazzo 1 document with workflows; it is {describe_kind(root)}")
    return {
        str(mapping_or_empty(each).get("workflowId", index)): mapping_or_empty(each)
        for index, each in enumerate(workflows)
    }


def list_sources(root: Mapping[str, Any]) -> dict[str, str]:
    """Return the names and addresses of the OpenAPI documents of an Arazzo document."""
    return {
        str(each.get("name")): str(each.get("url", ""))
        for each in map(mapping_or_empty, list_or_empty(root.get("sourceDescriptions")))
        if each.get("type", "openapi") == "openapi"
    }


def import_workflow(
    root: Mapping[str, Any],
    name: str,
    chosen: str,
    *,
    sources: Mapping[str, Document],
    success: Sequence[str] = (),
    failure: Sequence[str] = (),
) -> Draft:
    """
    Return the draft of a profile.

    :param root: the document.
    :param name: the name of its file, for messages and comments.
    :param chosen: the identifier of the workflow.
    :param sources: the OpenAPI documents that are known, by their names in the document.
    :param success: the statuses that mean success, which documents seldom say.
    :param failure: the statuses that mean failure.
    :raises DocumentError: if the document isn't Arazzo 1, or has no such workflow.
    """
    workflows = list_workflows(root, name)
    if chosen not in workflows:
        nearest = difflib.get_close_matches(chosen, workflows, 1) or list(workflows)
        raise DocumentError(f"{name}: has no workflow {chosen!r}; there is {', '.join(nearest)}")
    workflow = workflows[chosen]
    draft = Draft(make_name(chosen), f"{name}, workflow {chosen}")
    draft.tables["about"]["title"] = str(workflow.get("summary") or chosen)
    steps = [_read_step(root, mapping_or_empty(each), sources) for each in list_or_empty(workflow.get("steps"))]
    _Importer(root, draft, _choose_steps(steps, draft)).run(success, failure)
    return draft


def _read_step(root: Mapping[str, Any], values: Mapping[str, Any], sources: Mapping[str, Document]) -> Step:
    name = str(values.get("stepId", ""))
    called = str(values.get("operationId") or values.get("operationPath") or "")
    match = _SOURCE.fullmatch(called)
    known = list(list_sources(root))
    source = match[1] if match else known[0] if len(known) == 1 else ""
    document = sources.get(source)
    # What is received is a webhook, and no operation.
    if document is None or not called or values.get("action") == "receive":
        return Step(name, values, None, None)
    wanted = match[2] if match else called
    keys = split_pointer(wanted.removeprefix("#")) if wanted.startswith(("/", "#")) else []
    match keys:
        case ["paths", path, method]:
            wanted = f"{method.upper()} {path}"
    return Step(name, values, choose_operation(document, wanted), document)


def _choose_steps(steps: Sequence[Step], draft: Draft) -> dict[str, Step]:
    """Return the steps that submit, poll and fetch; the others become gaps."""
    chosen: dict[str, Step] = {}
    waiting = list(_ROLES)
    for step in steps:
        is_start = "submit" in waiting and not step.reads
        is_next = "submit" not in waiting and (step.reads or step.repeats or step.operation is None)
        if waiting and (is_start or is_next):
            chosen[waiting.pop(0)] = step
        else:
            draft.add_gap(f"step {step.name}", "a further request; see `prepare`, `start` and `locate`")
    for role in waiting:
        if role != "fetch":
            draft.add_gap("", f"no step is the request of [{role}]", (role, "endpoint"))
    return chosen


class _Importer:
    """Fills a draft from the steps of a workflow."""

    def __init__(self, root: Mapping[str, Any], draft: Draft, steps: Mapping[str, Step]) -> None:
        self._root, self._draft, self._steps = root, draft, steps
        self._roles = {step.name: role for role, step in steps.items()}

    def run(self, success: Sequence[str], failure: Sequence[str]) -> None:
        """Set all tables."""
        draft = self._draft
        draft.connection["host"] = "<address>"
        for role, step in self._steps.items():
            if role == "submit" and step.operation is not None and step.document is not None:
                draft.connection["host"] = read_server(step.document, step.operation)
                read_security(step.document, step.operation, draft)
            self._read_request(role, step)
        if "status" in self._steps:
            self._read_wait(self._steps["status"], success, failure)
        if "submit" in self._steps and "identifier" not in draft.tables["submit"]:
            message = "no later step takes a value of its response"
            draft.add_gap(f"step {self._steps['submit'].name}", message, ("submit", "identifier"))
        draft.connection.setdefault("extra", {})["profile"] = draft.name

    def _read_request(self, role: str, step: Step) -> None:
        table = self._draft.tables[role]
        place = f"step {step.name}"
        if step.values.get("action") == "receive":
            self._draft.tables["submit"]["callback"] = True
            table["callback"] = True
            self._draft.add_gap(place, "where the submit names {callback_url}", ("submit", "callback"))
            return
        path = None if step.operation is None else step.operation.path
        for parameter in self._list_parameters(step):
            value, name = self._render(parameter.get("value"), place), str(parameter.get("name"))
            if parameter.get("in") == "path":
                path = path.replace(f"{{{name}}}", str(value)) if path else path
            elif (target := _PLACES.get(str(parameter.get("in")))) is not None:
                table.setdefault(target, {})[name] = value
        if path is None or step.operation is None:
            called = step.values.get("operationId") or step.values.get("operationPath") or step.values.get("workflowId")
            message = f"the document of {called} isn't known; set it with --source"
            self._draft.add_gap(place, message, (role, "endpoint"))
        else:
            table["endpoint"] = path
            if step.operation.method != ("POST" if role == "submit" else "GET"):
                table["method"] = step.operation.method
        body = mapping_or_empty(step.values.get("requestBody"))
        if body.get("payload") is not None:
            key = "json" if "json" in str(body.get("contentType", "application/json")) else "data"
            payload = _parse_json(body["payload"]) if key == "json" else body["payload"]
            table[key] = self._render(payload, place)

    def _list_parameters(self, step: Step) -> Iterator[Mapping[str, Any]]:
        for each in list_or_empty(step.values.get("parameters")):
            parameter = mapping_or_empty(each)
            reference = str(parameter.get("reference", ""))
            if reference.startswith("$components."):
                pointer = "#/components/" + reference.removeprefix("$components.").replace(".", "/")
                parameter = {**mapping_or_empty(look_up(self._root, pointer, f"step {step.name}")), **parameter}
            yield parameter

    def _render(self, value: Any, place: str) -> Any:
        """Return a value with variables in place of expressions."""
        if isinstance(value, Mapping):
            return {str(key): self._render(each, place) for key, each in value.items()}
        if isinstance(value, list):
            return [self._render(each, place) for each in value]
        if not isinstance(value, str):
            return value
        if value.startswith("$"):
            return self._name(value, place)
        return _EMBEDDED.sub(lambda match: self._name(match[1], place), value)

    def _name(self, expression: str, place: str) -> str:
        """Return the variable for an expression; what isn't known becomes a variable that the DAG sets."""
        if match := _INPUT.fullmatch(expression):
            name = make_name(match[1])
            self._draft.variables.setdefault(name, f"input {match[1]}")
            return f"{{{name}}}"
        if match := _OUTPUT.fullmatch(expression):
            role = self._roles.get(match[1], "")
            outputs = mapping_or_empty(self._steps[role].values.get("outputs")) if role else {}
            selector = select_expression(str(outputs.get(match[2], "")))
            if role in ("submit", "status") and selector is not None:
                return f"{{{self._capture(role, match[2], selector)}}}"
        name = make_name(expression.rpartition(".")[2])
        self._draft.variables.setdefault(name, expression)
        self._draft.add_gap(place, f"the value of {expression}; set the variable {name}")
        return f"{{{name}}}"

    def _capture(self, role: str, output: str, selector: str) -> str:
        table = self._draft.tables[role]
        if role == "submit" and table.setdefault("identifier", selector) == selector:
            return "identifier"
        name = f"{role}_{make_name(output)}"
        table.setdefault("capture", {})[name] = selector
        return name

    def _read_wait(self, step: Step, success: Sequence[str], failure: Sequence[str]) -> None:
        status = self._draft.tables["status"]
        if step.operation is not None and step.document is not None:
            read_statuses(step.document, step.operation, self._draft)
        for key, values in (
            ("completion_value", self._read_criteria(step.values.get("successCriteria"), step)),
            ("failure_value", self._read_failures(step)),
            ("completion_value", list(success)),
            ("failure_value", list(failure)),
        ):
            if values:
                status[key] = values
                self._draft.drop_gaps(("status", key))
        if not {"completion_value", "callback"} & status.keys():
            message = "the statuses that mean success; set them with --success and --failure"
            self._draft.add_gap(f"step {step.name}", message, ("status", "completion_value"))
        for action in map(mapping_or_empty, list_or_empty(step.values.get("onFailure"))):
            if action.get("type") == "retry":
                if isinstance(action.get("retryAfter"), (int, float)):
                    status["poke_interval"] = action["retryAfter"]
                if isinstance(action.get("retryLimit"), int):
                    status["max_iterations"] = action["retryLimit"] + 1
        if isinstance(milliseconds := step.values.get("timeout"), (int, float)):
            status["timeout"] = milliseconds / 1000

    def _read_failures(self, step: Step) -> list[str]:
        return [
            value
            for action in map(mapping_or_empty, list_or_empty(step.values.get("onFailure")))
            if action.get("type") in ("end", "goto")
            for value in self._read_criteria(action.get("criteria"), step)
        ]

    def _read_criteria(self, criteria: Any, step: Step) -> list[str]:
        """Return the values with which criteria compare a value of the body, and set the selector of that value."""
        found = []
        for criterion in map(mapping_or_empty, list_or_empty(criteria)):
            condition = str(criterion.get("condition", ""))
            if condition.replace(" ", "").startswith("$statusCode"):
                continue
            comparison = _read_comparison(condition)
            if comparison is None:
                self._draft.add_gap(f"step {step.name}", f"the condition {condition}; see `rules`")
                continue
            self._draft.tables["status"]["completion_key"] = comparison[0]
            found.append(comparison[1])
            self._draft.drop_gaps(("status", "completion_key"))
        return found


def _parse_json(payload: Any) -> Any:
    """Return the value of a payload that is written as a JSON text."""
    if not isinstance(payload, str) or payload.startswith("$"):
        return payload
    try:
        return json.loads(payload)
    except (ValueError, RecursionError):
        return payload


def _read_comparison(condition: str) -> tuple[str, str] | None:
    """Return the selector and the value of a comparison with a value of a body; None for any other condition."""
    if match := _QUERY.fullmatch(condition.strip()):
        return match[1], match[2] or match[3] or ""
    match = _EQUALS.fullmatch(condition.strip())
    selector = None if match is None else select_expression(match[1].replace("$message.payload", "$response.body"))
    if match is None or selector is None:
        return None
    return selector, match[2] or match[3] or match[4] or ""
