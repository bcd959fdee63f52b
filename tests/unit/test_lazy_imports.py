"""The names that are imported at their first use are listed alike for type checkers and for the interpreter."""

from __future__ import annotations

import ast
from importlib import import_module
from pathlib import Path

import pytest

from airflow_provider_asyncapi.connections import lazy as of_connections
from airflow_provider_asyncapi.core import plans
from airflow_provider_asyncapi.core.auth import lazy as of_auth
from airflow_provider_asyncapi.hooks import lazy as of_hooks
from airflow_provider_asyncapi.tasks import lazy as of_tasks
from airflow_provider_asyncapi.triggers import lazy as of_triggers

pytestmark = pytest.mark.any_python


def imported_for_types(path: str) -> dict[str, str]:
    (block,) = (node for node in ast.parse(Path(path).read_text()).body if isinstance(node, ast.If))
    imports = [each for each in block.body if isinstance(each, ast.ImportFrom)]
    return {alias.name: str(each.module) for each in imports for alias in each.names}


@pytest.mark.parametrize("module", [of_auth, of_connections, of_hooks, of_tasks, of_triggers, plans])
def test_each_name_comes_from_the_module_that_type_checkers_know(module: object) -> None:
    listed = imported_for_types(str(module.__file__))  # type: ignore[attr-defined]  # a module
    assert sorted(listed) == sorted(module.__all__)  # type: ignore[attr-defined]  # a module
    for name, home in listed.items():
        assert getattr(module, name) is getattr(import_module(home), name), name
