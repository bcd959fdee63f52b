"""Write the equivalents of tasks of the http provider."""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_asyncapi.core.outcome import Outcome
from airflow_provider_asyncapi.core.selectors.suggestions import format_path
from airflow_provider_asyncapi.importing.http_dags.callables import WHOLE, FunctionReader, UntranslatableError
from airflow_provider_asyncapi.importing.http_dags.equivalent import Equivalent, Note
from airflow_provider_asyncapi.importing.http_dags.job_groups import group_by_job
from airflow_provider_asyncapi.importing.http_dags.source import (
    IdentifierFiller,
    Source,
    format_source,
    quote,
    to_source,
    unparse,
)
from airflow_provider_asyncapi.importing.http_dags.tasks import DagFile, HttpTask, Reference

_JSON = "application/json"
#: Arguments of the http provider that become something else, or nothing.
_OWN = frozenset(
    {
        "task_id",
        "http_conn_id",
        "endpoint",
        "method",
        "data",
        "request_params",
        "headers",
        "request_kwargs",
        "response_check",
        "response_filter",
        "response_error_codes_allowlist",
        "log_response",
        "extra_options",
        "auth_type",
        "pagination_function",
        "pagination_url",
        "retry_args",
        "deferrable",
        "tcp_keep_alive",
        "tcp_keep_alive_idle",
        "tcp_keep_alive_count",
        "tcp_keep_alive_interval",
        "exponential_backoff",
        "max_wait",
        "mode",
        "poke_interval",
        "timeout",
    }
)
#: What only sensors have of the arguments that are kept.
_OF_SENSORS = frozenset({"soft_fail", "silent_fail", "never_fail"})
_ADVICE = {
    "extra_options": "verify, proxies and cert are settings of the connection, timeout is its read_timeout",
    "auth_type": "the kind of authentication is the connection's: auth",
    "pagination_function": "pages are fetched with next_page, next_cursor or page parameters of the fetch",
    "pagination_url": "pages are fetched with next_page, next_cursor or page parameters of the fetch",
    "retry_args": "transient errors are retried anyway: max_consecutive_errors and retry_delays",
    "exponential_backoff": "backoff is the factor by which the interval grows",
}
#: What is said about a check that knows no failure, by whether its equivalent has a `completion_key`.
_NO_FAILURE = {
    True: "failure_value: add the statuses of a job that has failed; HttpSensor ignores them",
    False: 'rules: add one with the outcome "failure" for a job that has failed; HttpSensor polls it until the timeout',
}


def write_equivalents(file: DagFile) -> list[Equivalent]:
    """Return the equivalents of all tasks; a sensor with its submit and fetch becomes one task."""
    return [_Writer(file.functions, group).write() for group in group_by_job(file.tasks)]


class _Writer:
    """Writes the equivalent of one group."""

    def __init__(self, functions: Mapping[str, ast.FunctionDef], group: Sequence[HttpTask]) -> None:
        self._reader = FunctionReader(functions)
        self._group = list(group)
        self._found = Equivalent(list(group))
        submit = next((task for task in group if not task.is_sensor), None)
        self._names = {name for task in group for name in (task.task_id, task.variable) if name}
        self._submit = submit

    def write(self) -> Equivalent:
        """Return the equivalent."""
        task, *others = self._group
        if task.is_mapped:
            self._note(task.line, "is a mapped task: write partial(…).expand(…) of the new task by hand")
        for each in self._group:
            if each.unread_arguments is not None:
                self._note(
                    each.line, f"{each.unread_arguments}: can't be read without executing the file; add the arguments"
                )
        if others:
            self._write_job()
        elif task.is_sensor:
            self._write_sensor(task)
        else:
            self._write_operator(task)
        self._found.notes.sort(key=lambda note: note.line)
        return self._found

    def _note(self, line: int, message: str) -> None:
        self._found.notes.append(Note(line, message))

    def _write_job(self) -> None:
        submit, sensor, *fetches = self._group
        identifier = self._read_identifier(
            submit, [*sensor.find_references(), *(r for f in fetches for r in f.find_references())]
        )
        request = self._describe_request(submit)
        arguments: dict[str, Any] = {
            "task_id": quote(submit.task_id),
            "asyncapi_conn_id": self._read_connection(submit, sensor, *fetches),
            "submit": {**request, "identifier": identifier, **self._describe_requirement(submit)},
            "status": {
                **self._describe_request(sensor),
                **self._describe_check(sensor),
                **self._describe_schedule(sensor),
            },
        }
        for fetch in fetches:
            arguments["fetch"] = {**self._describe_request(fetch), **self._describe_fetch(fetch)}
        general = self._describe_general(*self._group)
        for name in _OF_SENSORS & general.keys():
            option = general.pop(name)
            if name == "soft_fail":
                arguments["status"][name] = option
            else:
                self._note(
                    sensor.line, f"{name}: AsyncApiJobOperator has no such argument; see soft_fail of its status"
                )
        arguments |= general
        arguments["deferrable"] = "True"
        names = ", ".join(task.task_id for task in self._group)
        self._note(submit.line, f"replaces {names}: change the tasks and templates that name the others")
        self._emit("AsyncApiJobOperator", submit, arguments)

    def _write_sensor(self, task: HttpTask) -> None:
        references = task.find_references()
        job = quote(task.task_id)
        if references:
            job = quote("{{ ti.xcom_pull(task_ids='%s') }}" % references[0].task)  # noqa: UP031 - braces are Jinja's
            self._names |= {each.task for each in references}
        else:
            self._note(task.line, "job: the endpoint contains no identifier, so this is a name only")
        arguments = {
            "task_id": quote(task.task_id),
            "asyncapi_conn_id": self._read_connection(task),
            "job": job,
            **self._describe_request(task),
            **self._describe_check(task),
            **self._describe_schedule(task),
            **self._describe_general(task),
        }
        if "mode" in task.arguments:
            arguments["mode"] = ast.unparse(task.arguments["mode"])
        if "deferrable" in task.arguments:
            arguments["deferrable"] = ast.unparse(task.arguments["deferrable"])
        self._emit("AsyncApiSensor", task, arguments)

    def _write_operator(self, task: HttpTask) -> None:
        self._names = set()
        request = self._describe_request(task)
        arguments: dict[str, Any] = {
            "task_id": quote(task.task_id),
            "asyncapi_conn_id": self._read_connection(task),
        }
        if "method" in request or "json" in request or "data" in request:
            arguments |= {**request, "identifier": self._read_identifier(task, []), **self._describe_requirement(task)}
            kind = "AsyncApiTriggerOperator"
        else:
            arguments |= {"job": quote(task.task_id), **request, **self._describe_fetch(task)}
            kind = "AsyncApiFetchOperator"
            self._note(task.line, "job: the request belongs to no job, so this is a name only")
        self._emit(kind, task, {**arguments, **self._describe_general(task)})

    def _emit(self, kind: str, task: HttpTask, arguments: Mapping[str, Any]) -> None:
        lines = "".join(f"    {name}={format_source(value, 4 + len(name))},\n" for name, value in arguments.items())
        begin = f"{task.variable} = " if task.variable else ""
        self._found.kind, self._found.connection = kind, arguments["asyncapi_conn_id"]
        self._found.source = f"{begin}{kind}(\n{lines})\n"

    def _read_connection(self, task: HttpTask, *others: HttpTask) -> Source:
        """
        Return the id of the connection of a task.

        :param others: the other tasks of its job, which should have the same connection.
        """
        connection = _find_connection(task)
        for other in others:
            used = _find_connection(other)
            if None not in {connection, used} and used != connection:
                self._note(other.line, f"http_conn_id: is {used} here; the new task has {connection} for all requests")
        if connection is None:
            what = "**kwargs" if task.unread_arguments is not None else "default_args"
            self._note(
                task.line,
                f"asyncapi_conn_id: name the connection: the task names none, and {what} can't be read without"
                " executing the file",
            )
        elif "http_conn_id" not in task.arguments:
            self._note(
                task.line, f"asyncapi_conn_id: the task names no connection, so it has the default, {connection}"
            )
        return quote("…") if connection is None else connection

    def _read_identifier(self, submit: HttpTask, references: Sequence[Reference]) -> Source:
        """Return the selector of the identifier: what the filter takes, and the keys that templates take of that."""
        keys = next((each.keys for each in references if each.keys and each.task in self._names), ())
        node = submit.arguments.get("response_filter")
        selector = WHOLE
        if node is not None:
            found = self._try(node, "response_filter", self._reader.read_selector)
            if found is None:
                return quote("…")
            selector = found
        if keys and not selector.startswith(("header:", "response_", "status_")):
            base = "" if selector == WHOLE else selector
            path = format_path(keys)[1:]
            selector = f"{base}{path}".removeprefix(".")
        if selector == WHOLE:
            self._note(submit.line, "identifier: name the selector of the identifier in the response, such as data.id")
            return quote("…")
        return quote(selector)

    def _try(self, node: ast.expr, name: str, read: Any) -> Any:
        try:
            return read(node)
        except UntranslatableError as error:
            line = getattr(error.node, "lineno", node.lineno)
            text = " ".join(str(error).split())[:80]
            self._note(line, f"{name}: can't be expressed with selectors and rules: {text}")
        except RecursionError:
            self._note(node.lineno, f"{name}: can't be expressed with selectors and rules")
        return None

    def _describe_request(self, task: HttpTask) -> dict[str, Any]:
        for name, node in task.arguments.items():
            if name in _ADVICE:
                self._note(node.lineno, f"{name}: isn't carried over; {_ADVICE[name]}")
        method = task.arguments.get("method")
        default = "GET" if task.is_sensor else "POST"
        chosen = method.value if isinstance(method, ast.Constant) else default if method is None else None
        headers = _read_pairs(task.arguments.get("headers"))
        content = self._describe_content(task, headers, is_query=chosen in {"GET", "HEAD", "DELETE"})
        request: dict[str, Any] = {"endpoint": self._describe_endpoint(task)}
        if chosen is None and method is not None:
            request["method"] = unparse(method)
        elif chosen != ("POST" if content.keys() & {"json", "data", "files"} else "GET"):
            request["method"] = quote(str(chosen))
        if headers is not None:
            kept = {
                name: self._fill(value)
                for name, value in headers.items()
                if not ("json" in content and name.lower() == "content-type" and _is_text(value, _JSON))
            }
            request |= {"headers": kept} if kept else {}
        elif "headers" in task.arguments:
            request["headers"] = self._fill(task.arguments["headers"])
        return {**request, **content}

    def _describe_content(
        self, task: HttpTask, headers: Mapping[str, ast.expr] | None, *, is_query: bool
    ) -> dict[str, Any]:
        """Return the query parameters and the body."""
        data = task.arguments.get("request_params" if task.is_sensor else "data")
        content: dict[str, Any] = {}
        if data is not None:
            content = {"query_params": self._fill(data)} if is_query else self._describe_body(data, headers)
        options = _read_pairs(task.arguments.get("request_kwargs")) or {}
        for name, parameter in (("params", "query_params"), ("json", "json"), ("files", "files")):
            if name in options:
                content[parameter] = self._fill(options[name])
        return content

    def _describe_endpoint(self, task: HttpTask) -> Source:
        node = task.arguments.get("endpoint")
        if node is None:
            return quote("/")
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and not node.value.startswith(("/", "http", "{"))
        ):
            node = ast.copy_location(ast.Constant("/" + node.value), node)
        return unparse(IdentifierFiller(self._names).visit(node))

    def _describe_body(self, data: ast.expr, headers: Mapping[str, ast.expr] | None) -> dict[str, Any]:
        if isinstance(data, ast.Call) and ast.unparse(data.func) in {"json.dumps", "dumps"} and data.args:
            return {"json": self._fill(data.args[0])}
        is_json = any(
            name.lower() == "content-type" and _is_text(value, _JSON) for name, value in (headers or {}).items()
        )
        if is_json and isinstance(data, ast.Constant) and isinstance(data.value, str):
            try:
                document = json.loads(data.value)
            except ValueError:
                return {"data": self._fill(data)}
            return {"json": self._fill(ast.parse(repr(document), mode="eval").body)}
        return {"data": self._fill(data)}

    def _describe_check(self, task: HttpTask) -> dict[str, Any]:
        node = task.arguments.get("response_check")
        parameters: dict[str, Any] = {}
        if node is None:
            parameters = {"rules": [{"selector": "status_code", "in": 200, "outcome": "success"}]}
        elif (check := self._try(node, "response_check", self._reader.read_check)) is not None:
            parameters = check.to_parameters()
            if all(rule["outcome"] != Outcome.FAILURE for rule in check.rules):
                self._note(task.line, _NO_FAILURE["completion_key" in parameters])
        else:
            return {"completion_key": quote("…"), "completion_value": quote("…")}
        allowed = task.arguments.get("response_error_codes_allowlist")
        if allowed is not None:
            try:
                codes = [int(each) for each in ast.literal_eval(allowed)]
            except (ValueError, TypeError, SyntaxError):
                self._note(allowed.lineno, "response_error_codes_allowlist: write a rule for these status codes")
            else:
                rule = {"selector": "status_code", "in": codes, "outcome": "running"}
                parameters["rules"] = [rule, *parameters.get("rules", [])]
        return {name: to_source(value) for name, value in parameters.items()}

    def _describe_requirement(self, task: HttpTask) -> dict[str, Any]:
        """Return the rules for responses that the check of an operator refuses."""
        node = task.arguments.get("response_check")
        check = None if node is None else self._try(node, "response_check", self._reader.read_requirement)
        return {} if check is None or not check.rules else {"rules": to_source(check.rules)}

    def _describe_fetch(self, task: HttpTask) -> dict[str, Any]:
        self._note(
            task.line,
            "destination: a result without one is in XCom, which takes 48 KiB at most (max_xcom_bytes); for a download,"
            ' set output_type="file" as well',
        )
        node = task.arguments.get("response_filter")
        selector = None if node is None else self._try(node, "response_filter", self._reader.read_selector)
        if selector == "response_text":
            return {"result_format": quote("text")}
        return {} if selector in {None, WHOLE} else {"result_path": quote(selector)}

    def _describe_schedule(self, task: HttpTask) -> dict[str, Any]:
        return {name: unparse(task.arguments[name]) for name in ("poke_interval", "timeout") if name in task.arguments}

    def _describe_general(self, *tasks: HttpTask) -> dict[str, Any]:
        """Return the arguments that all operators have; of a group, those of the first task that has them."""
        found: dict[str, Any] = {}
        for task in tasks:
            for name, node in task.arguments.items():
                if name in _OWN:
                    continue
                source = unparse(node)
                if found.setdefault(name, source) != source:
                    self._note(node.lineno, f"{name}: differs between the tasks; the new task has that of the first")
        return found

    def _fill(self, node: ast.expr) -> Any:
        """Return the source of a value with variables in place of the other tasks' XComs."""
        if isinstance(node, ast.Dict) and all(isinstance(key, ast.Constant) for key in node.keys):
            return {
                key.value: self._fill(value)
                for key, value in zip(node.keys, node.values, strict=True)
                if isinstance(key, ast.Constant)
            }
        return unparse(IdentifierFiller(self._names).visit(node))


def _find_connection(task: HttpTask) -> Source | None:
    """Return the source of the id of a task's connection; None if only the execution of the file tells it."""
    node = task.arguments.get("http_conn_id")
    if node is not None:
        return unparse(node)
    return None if task.has_unread_defaults or task.unread_arguments is not None else quote("http_default")


def _read_pairs(node: ast.expr | None) -> dict[str, ast.expr] | None:
    """Return the items of a dictionary; None if it isn't a literal."""
    if not isinstance(node, ast.Dict):
        return None
    pairs = zip(node.keys, node.values, strict=True)
    return {str(key.value): value for key, value in pairs if isinstance(key, ast.Constant)}


def _is_text(node: ast.expr, text: str) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith(text)
