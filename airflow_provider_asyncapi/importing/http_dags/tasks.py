"""Find the tasks of the http provider in a DAG file, and loops that poll."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from airflow_provider_asyncapi.core.errors import ConfigurationError
from airflow_provider_asyncapi.importing.http_dags.default_args import ArgumentReader, Scope

OPERATORS = ("HttpOperator", "SimpleHttpOperator", "ExtendedHttpOperator")
SENSORS = ("HttpSensor", "HttpSensorAsync")
#: The largest file that is read, in bytes.
MAX_BYTES = 1024 * 1024
#: ``{{ ti.xcom_pull(task_ids='submit')['id'] }}``, with the keys behind it.
_PULL = re.compile(
    r"\{\{[^{}]*?\bxcom_pull\(\s*(?:task_ids\s*=\s*)?\[?\s*['\"](?P<task>[\w.-]+)['\"][^(){}]*\)"
    r"(?P<keys>(?:\s*\[[^\[\]]*\]|\.\w+)*)[^{}]*\}\}"
)
_KEY = re.compile(r"\[\s*['\"]([^'\"]+)['\"]\s*\]|\.(\w+)")
_CLIENTS = re.compile(r"requests|httpx|session|client|hook|http|urllib", re.IGNORECASE)
_METHODS = frozenset({"get", "post", "request", "run", "urlopen"})
#: Arguments that the new task doesn't take from `default_args`: they have other names there, or are in a mapping.
_FOR_BOTH = frozenset({"http_conn_id", "endpoint", "method", "headers", "extra_options", "response_check"})
_FOR_OPERATORS = _FOR_BOTH | {
    "data",
    "request_kwargs",
    "response_filter",
    "auth_type",
    "pagination_function",
    "retry_args",
}
_FOR_SENSORS = _FOR_BOTH | {
    "request_params",
    "response_error_codes_allowlist",
    "poke_interval",
    "timeout",
    "exponential_backoff",
}


@dataclass(frozen=True, slots=True)
class HttpTask:
    """
    A task of the http provider.

    :param kind: the name of its class.
    :param variable: the name that the task is assigned to; None if there is none.
    :param line: its line.
    :param arguments: its arguments, with those of ``default_args`` that the new task doesn't take from there.
    :param is_mapped: whether it is a mapped task.
    :param unread_arguments: the source of the dictionaries that are unpacked into arguments, such as ``**common``, if
        one of them can't be read without executing the file.
    :param has_unread_defaults: whether ``default_args`` can't be read without executing the file.
    """

    kind: str
    variable: str | None
    line: int
    arguments: Mapping[str, ast.expr]
    is_mapped: bool = False
    unread_arguments: str | None = None
    has_unread_defaults: bool = False

    @property
    def is_sensor(self) -> bool:
        """Whether it is a sensor."""
        return self.kind in SENSORS

    @property
    def task_id(self) -> str:
        """The id of the task; its variable if the id isn't a literal."""
        node = self.arguments.get("task_id")
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            return node.value
        return self.variable or "task"

    def find_references(self, argument: str = "endpoint") -> list[Reference]:
        """Return what an argument takes from the XComs of other tasks."""
        node = self.arguments.get(argument)
        if node is None:
            return []
        found = [
            Reference(
                match[0], match["task"], tuple(quoted or plain for quoted, plain in _KEY.findall(match["keys"] or ""))
            )
            for each in ast.walk(node)
            if isinstance(each, ast.Constant) and isinstance(each.value, str)
            for match in _PULL.finditer(each.value)
        ]
        outputs = [
            Reference(None, each.value.id, ())
            for each in ast.walk(node)
            if isinstance(each, ast.Attribute) and each.attr == "output" and isinstance(each.value, ast.Name)
        ]
        return [*found, *outputs]


@dataclass(frozen=True, slots=True)
class Reference:
    """
    A use of another task's XCom.

    :param text: the Jinja expression; None for ``task.output``.
    :param task: the task's id, or its variable.
    :param keys: the keys that are taken of the value.
    """

    text: str | None
    task: str
    keys: tuple[str, ...]


@dataclass(slots=True)
class DagFile:
    """
    The parts of a DAG file that are carried over or pointed out.

    :param tasks: the tasks of the http provider, in the order of their lines.
    :param functions: all functions, by name.
    :param loops: lines of loops that send requests and sleep, with the names of their functions.
    """

    tasks: list[HttpTask] = field(default_factory=list)
    functions: dict[str, ast.FunctionDef] = field(default_factory=dict)
    loops: list[tuple[int, str]] = field(default_factory=list)


def read_dag_file(content: bytes, name: str) -> DagFile:
    """
    Return what is found in a DAG file, which isn't executed.

    :param name: its name, for messages.
    :raises ConfigurationError: if it isn't Python.
    """
    if len(content) > MAX_BYTES:
        raise ConfigurationError(f"{name}: has more than {MAX_BYTES} bytes")
    try:
        tree = ast.parse(content)
    except SyntaxError as error:
        place = f"{name}:{error.lineno}" if error.lineno else name
        raise ConfigurationError(f"{place}: isn't Python: {error.msg}") from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise ConfigurationError(f"{name}: isn't Python that can be read: {error}") from None
    found = DagFile()
    names = dict(_find_names(tree))
    variables = {
        id(node.value): target.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    reader = ArgumentReader(tree)
    for node, scope in reader.iterate_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            if isinstance(node, ast.FunctionDef):
                found.functions.setdefault(node.name, node)
            found.loops += [(loop.lineno, node.name) for loop in _find_loops(node)]
        elif isinstance(node, ast.Call) and (task := _read_task(node, names, variables, reader, scope)):
            found.tasks.append(task)
    found.tasks.sort(key=lambda task: task.line)
    found.loops = sorted({line: (line, function) for line, function in reversed(found.loops)}.values())
    return found


def _find_names(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Yield the names under which the classes are imported."""
    for name in (*OPERATORS, *SENSORS):
        yield name, name
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            for each in node.names:
                if each.name in {*OPERATORS, *SENSORS}:
                    yield each.asname or each.name, each.name


def _read_task(
    node: ast.Call, names: Mapping[str, str], variables: Mapping[int, str], reader: ArgumentReader, scope: Scope
) -> HttpTask | None:
    function, is_mapped = node.func, False
    if isinstance(function, ast.Attribute) and function.attr == "partial":
        function, is_mapped = function.value, True
    name = function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")
    if name not in names:
        return None
    kind = names[name]
    given = reader.read_keywords(node)
    defaults = reader.read_default_args(given, scope)
    taken = _FOR_SENSORS if kind in SENSORS else _FOR_OPERATORS
    inherited = {name: value for name, value in defaults.known.items() if name in taken}
    unpacked = ", ".join(f"**{ast.unparse(each.value)}" for each in node.keywords if each.arg is None)
    return HttpTask(
        kind,
        variables.get(id(node)),
        node.lineno,
        {**inherited, **given.known},
        is_mapped,
        unread_arguments=None if given.is_complete else unpacked,
        has_unread_defaults=not defaults.is_complete,
    )


def _find_loops(function: ast.AST) -> Iterator[ast.While | ast.For]:
    for node in ast.walk(function):
        if not isinstance(node, ast.While | ast.For):
            continue
        calls = [each.func for each in ast.walk(node) if isinstance(each, ast.Call)]
        sleeps = any(ast.unparse(each).endswith("sleep") for each in calls)
        asks = any(
            isinstance(each, ast.Attribute) and each.attr in _METHODS and _CLIENTS.search(ast.unparse(each.value))
            for each in calls
        )
        if sleeps and asks:
            yield node
