"""Unit tests don't wait for time to pass, and replace nothing private of what they test."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
#: Helpers that wait in place of all others.
WAITING = {"eventually.py", "virtual_time.py"}
#: How many sleeps are left in a file.
SLEEPS: dict[str, int] = {
    "connections/test_tokens.py": 1,
    "fake_airflow.py": 1,
    "results/test_object_stores.py": 1,
    "sensors/modes.py": 1,
    "transports/test_batch_poller.py": 2,
    "transports/test_exchange_deadline.py": 2,
}
#: Python's own cache of codecs, which has no other way to be kept as it was.
PRIVATE = {("core/http/test_charsets.py", "_cache")}


def calls_in(source: str) -> Iterator[ast.Call]:
    return (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call))


def is_sleep(call: ast.Call) -> bool:
    """Return whether a call passes real time; `asyncio.sleep(0)` only lets others run."""
    if not (isinstance(call.func, ast.Attribute) and ast.unparse(call.func) in ("time.sleep", "asyncio.sleep")):
        return False
    return not (isinstance(call.args[0], ast.Constant) and call.args[0].value == 0)


def private_name(call: ast.Call) -> str | None:
    """Return the private function or variable that a call replaces; constants may be made small."""
    if not (
        isinstance(call.func, ast.Attribute)
        and ast.unparse(call.func).endswith((".setattr", "patch.object", "mock.patch"))
    ):
        return None
    names = [
        each.value.rpartition(".")[2]
        for each in call.args[:2]
        if isinstance(each, ast.Constant) and isinstance(each.value, str)
    ]
    return next(
        (name for name in names if name.startswith("_") and not name.startswith("__") and not name.isupper()), None
    )


def found(look: Callable[[ast.Call], object]) -> dict[str, list[object]]:
    """Return what is found in each file."""
    files = {path.relative_to(HERE).as_posix(): path for path in HERE.rglob("*.py")}
    seen = {name: [what for call in calls_in(path.read_text()) if (what := look(call))] for name, path in files.items()}
    return {name: names for name, names in seen.items() if names and name not in WAITING}


def test_no_unit_test_waits_for_time_to_pass() -> None:
    assert {name: len(sleeps) for name, sleeps in found(is_sleep).items()} == SLEEPS


def test_no_unit_test_replaces_what_is_private() -> None:
    assert {(name, what) for name, names in found(private_name).items() for what in names} == PRIVATE


@pytest.mark.parametrize(
    ("source", "sleeps", "private"),
    [
        ("time.sleep(x)", True, None),
        ("asyncio.sleep(0)", False, None),
        ("asyncio.sleep(0.1)", True, None),
        ('monkeypatch.setattr(module, "_work", f)', False, "_work"),
        ('patch.setattr("package.module.Class._work", f)', False, "_work"),
        ('mock.patch.object(module, "_work")', False, "_work"),
        ('mock.patch("module._work")', False, "_work"),
        ('monkeypatch.setattr(module, "_LIMIT", 1)', False, None),
        ('monkeypatch.setattr(module, "work", "_x")', False, None),
    ],
)
def test_the_rules_are_recognized(source: str, sleeps: bool, private: str | None) -> None:
    (call,) = calls_in(source)
    assert (is_sleep(call), private_name(call)) == (sleeps, private)
