"""Read the arguments that aren't in the call of an operator: those in ``default_args`` and in dictionaries."""

from __future__ import annotations

import ast
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

#: What has ``default_args``: a DAG, or a group of tasks.
_DAGS = frozenset({"DAG", "dag"})
_GROUPS = frozenset({"TaskGroup", "task_group"})
_UPDATES = frozenset({"update", "setdefault", "pop", "popitem", "clear"})
#: Dictionaries that are made of others, which are made of others.
_MAX_DEPTH = 16


@dataclass(slots=True)
class Arguments:
    """
    Arguments by name.

    :param known: the arguments that can be read without executing the file.
    :param is_complete: whether there are no others.
    """

    known: dict[str, ast.expr] = field(default_factory=dict)
    is_complete: bool = True

    def update(self, other: Arguments) -> None:
        """Add arguments that replace the present ones; those that can't be read may replace any of them."""
        if not other.is_complete:
            self.known.clear()
        self.known |= other.known
        self.is_complete &= other.is_complete


#: The calls that make the DAG and the groups around a statement, the outermost first.
Scope: TypeAlias = tuple[ast.Call, ...]


class ArgumentReader:
    """
    Reads the arguments of calls in a file.

    :param tree: the file.
    """

    def __init__(self, tree: ast.Module) -> None:
        self._values: dict[str, ast.expr] = {}
        times: Counter[str] = Counter()
        for node in ast.walk(tree):
            times.update(_find_changed_names(node))
            match node:
                case ast.Assign(targets=[ast.Name(id=name)], value=value):
                    self._values[name] = value
                case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                    self._values[name] = value
        # Of several values, only the execution of the file tells which one counts.
        self._values = {name: value for name, value in self._values.items() if times[name] == 1}
        self._dags = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and _get_name(node) in _DAGS]

    def iterate_nodes(self, tree: ast.Module) -> Iterator[tuple[ast.AST, Scope]]:
        """Yield all nodes with the DAG and the groups in whose blocks or functions they are."""
        waiting: deque[tuple[ast.AST, Scope]] = deque([(tree, ())])
        while waiting:
            node, scope = waiting.popleft()
            yield node, scope
            makers: Iterable[ast.expr] = ()
            if isinstance(node, ast.With | ast.AsyncWith):
                makers = (item.context_expr for item in node.items)
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                makers = node.decorator_list
            calls = (self._resolve(maker) for maker in makers)
            inner = tuple(call for call in calls if isinstance(call, ast.Call) and _get_name(call) in _DAGS | _GROUPS)
            waiting.extend((child, (*scope, *inner)) for child in ast.iter_child_nodes(node))

    def read_keywords(self, call: ast.Call) -> Arguments:
        """Return the keyword arguments of a call, with those of unpacked dictionaries."""
        found = Arguments()
        for each in call.keywords:
            # A name that is given twice is an error, so an unread dictionary replaces nothing.
            read = Arguments({each.arg: each.value}) if each.arg is not None else self._read_dictionary(each.value)
            found.known |= read.known
            found.is_complete &= read.is_complete
        return found

    def read_default_args(self, arguments: Arguments, scope: Scope) -> Arguments:
        """
        Return the ``default_args`` that apply to a task.

        :param arguments: its own arguments.
        :param scope: the DAG and the groups around it. Outside of a DAG, the DAGs of the file count if all have the
            same ``default_args``, because the task may be in a function that one of them calls.
        """
        dag = self._resolve(arguments.known.get("dag"))
        if isinstance(dag, ast.Call) and _get_name(dag) in _DAGS:
            scope = (dag, *scope)
        found = Arguments()
        if not any(_get_name(call) in _DAGS for call in scope):
            found = self._read_common_default_args()
        for call in scope:
            found.update(self._read_own_default_args(self.read_keywords(call)))
        found.update(self._read_own_default_args(arguments))
        return found

    def _read_common_default_args(self) -> Arguments:
        read = [self._read_own_default_args(self.read_keywords(call)) for call in self._dags]
        kinds = {tuple((name, ast.dump(node)) for name, node in sorted(each.known.items())) for each in read}
        if len(kinds) > 1 or not all(each.is_complete for each in read):
            return Arguments(is_complete=False)
        return read[0] if read else Arguments()

    def _read_own_default_args(self, arguments: Arguments) -> Arguments:
        node = arguments.known.get("default_args")
        return Arguments(is_complete=arguments.is_complete) if node is None else self._read_dictionary(node)

    def _read_dictionary(self, node: ast.expr, depth: int = 0) -> Arguments:
        items = _list_items(self._resolve(node)) if depth < _MAX_DEPTH else None
        if items is None:
            return Arguments(is_complete=False)
        found = Arguments()
        for name, value in items:
            found.update(self._read_dictionary(value, depth + 1) if name is None else Arguments({name: value}))
        return found

    def _resolve(self, node: ast.expr | None) -> ast.expr | None:
        """Return the value of a name that has one value in the whole file, and any other expression as it is."""
        return self._values.get(node.id, node) if isinstance(node, ast.Name) else node


def _list_items(node: ast.expr | None) -> list[tuple[str | None, ast.expr]] | None:
    """
    Return the names and values of an expression that makes a dictionary; None if it is another expression.

    A value without a name is a dictionary whose items are inserted.
    """
    match node:
        case ast.Constant(value=None):
            return []
        case ast.Dict(keys=keys, values=values) if all(key is None or isinstance(key, ast.Constant) for key in keys):
            names = [str(key.value) if isinstance(key, ast.Constant) else None for key in keys]
            return list(zip(names, values, strict=True))
        case ast.Call(func=ast.Name(id="dict"), args=args, keywords=keywords):
            return [*((None, each) for each in args), *((each.arg, each.value) for each in keywords)]
        case ast.Call(func=ast.Attribute(value=inner, attr="copy"), args=[]):
            return [(None, inner)]
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return [(None, left), (None, right)]
    return None


def _find_changed_names(node: ast.AST) -> Iterator[str]:
    """Yield the names whose values a node sets or changes."""
    match node:
        case ast.Name(id=name, ctx=ast.Store() | ast.Del()) | ast.arg(arg=name):
            yield name
        case ast.alias(name=name, asname=other):
            yield other or name
        case ast.Subscript(value=ast.Name(id=name), ctx=ast.Store() | ast.Del()):
            yield name
        case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=attribute)) if attribute in _UPDATES:
            yield name


def _get_name(call: ast.Call) -> str:
    """Return the last part of the name of what is called."""
    return call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")
