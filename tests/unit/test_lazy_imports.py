"""The names that are imported at their first use are listed alike for type checkers and for the interpreter."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
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


#: Prints the modules of authentication and callbacks after a connection was read that the form has stored: it has all
#: fields, most of them without a value.
READING = """
import json, sys
from airflow_provider_asyncapi.core.auth.registry import collect_extra_keys
from airflow_provider_asyncapi.core.connection.settings import ConnectionSettings
fields = {**dict.fromkeys(collect_extra_keys()), "auth": "bearer", "host": "a", "password": "p", "verify": True}
ConnectionSettings.parse(fields)
subjects = ("airflow_provider_asyncapi.core.auth.", "airflow_provider_asyncapi.core.callbacks.")
names = [name for name in sys.modules if name.startswith(subjects)]
print(json.dumps([name.removeprefix("airflow_provider_asyncapi.core.") for name in names]))
"""


def test_of_the_kinds_of_authentication_a_task_imports_that_of_its_connection() -> None:
    done = subprocess.run([sys.executable, "-c", READING], stdout=subprocess.PIPE, check=True)
    own = {"auth.base", "auth.bearer", "auth.lazy", "auth.none", "auth.registry"}
    assert set(json.loads(done.stdout)) == own | {"callbacks.settings"}
