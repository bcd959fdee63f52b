"""Nothing is left to be imported by a task of which the worker could have spared it."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import airflow_provider_asyncapi
from airflow_provider_asyncapi.core.auth.registry import AUTH_KINDS
from airflow_provider_asyncapi.core.fetch.outputs.archives import Archive
from airflow_provider_asyncapi.core.fetch.outputs.registry import OUTPUT_TYPES
from airflow_provider_asyncapi.core.fetch.writer_registry import WRITE_AS

pytestmark = pytest.mark.any_python

HERE = Path(airflow_provider_asyncapi.__file__).parent
#: Where the code of tasks begins.
ENTRANCES = {f"airflow_provider_asyncapi.{name}.asyncapi" for name in ("operators", "sensors")}
#: Import the names that they list for type checkers at their first use.
LAZY = {
    f"airflow_provider_asyncapi.{name}"
    for name in ("connections.lazy", "core.auth.lazy", "core.plans", "hooks.lazy", "tasks.lazy", "triggers.lazy")
}
#: What only some tasks need: a test of a connection, Parquet files, optional packages, traces, the message about a
#: missing variable; and what only the triggerer does.
SPARED = {"oauthlib.oauth1.rfc5849.parameters", "oauthlib.oauth1.rfc5849.signature"} | {
    f"airflow_provider_asyncapi.{name}"
    for name in (
        "core.connection.probe",
        "core.events.flow",
        "core.profiles.variables",
        "core.requests.trace_context",
        "monitoring.spans",
        "results.writers.parquet",
        "transports.aiohttp",
        "transports.fast_path.client",
        "transports.fast_path.head",
        "transports.fast_path.pool",
        "transports.batch_poller",
        "triggers.beginning",
        "triggers.callbacks_seen",
        "triggers.cancel_requests",
        "triggers.fetching",
        "triggers.shared_plans",
        "triggers.xcom_publisher",
    )
}


def imported_by(module: str) -> Iterator[str]:
    """Yield the modules that a module imports, at once or later: ours, and all lazy ones; not those for types only."""
    if not module.startswith("airflow_provider_asyncapi"):
        return
    path = HERE.parent / Path(*module.split("."))
    source = path.with_suffix(".py")
    if not source.exists():
        source = path / "__init__.py"
    pending: list[ast.AST] = [ast.parse(source.read_text())]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING" and module not in LAZY:
            pending += node.orelse
            continue
        pending += ast.iter_child_nodes(node)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "LazyModule":
            lazy = ast.literal_eval(node.args[0])
            # Airflow imports its own modules in each process of a task.
            if not lazy.startswith("airflow."):
                yield lazy
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("airflow_provider_asyncapi"):
            yield node.module
            yield from (name for alias in node.names if is_module(name := f"{node.module}.{alias.name}"))


def is_module(name: str) -> bool:
    path = HERE.parent / Path(*name.split("."))
    return path.is_dir() or path.with_suffix(".py").exists()


def reachable(entrances: set[str]) -> set[str]:
    found: set[str] = set()
    pending = set(entrances)
    while pending:
        found |= pending
        pending = {name for module in pending for name in imported_by(module)} - found - SPARED
    return found


def test_all_that_tasks_import_is_there_and_nothing_else():
    listed = "import json, sys, airflow_provider_asyncapi.preload; print(json.dumps(list(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", listed], stdout=subprocess.PIPE, check=True)
    loaded = set(json.loads(done.stdout.splitlines()[-1]))
    assert reachable(ENTRANCES) <= loaded
    assert not SPARED & loaded
    assert {"requests", "cryptography.fernet"} <= loaded
    kinds = {kind.writer for kind in WRITE_AS.values() if not kind.package}
    kinds |= {output.reader for output in OUTPUT_TYPES.values() if isinstance(output, Archive)}
    assert {path.partition(":")[0] for path in kinds} <= loaded
    assert {kind.__module__ for kind in AUTH_KINDS.values()} <= loaded
    assert {"airflow.dag_processing.dagbag", "airflow.models.dagbag"} & loaded


def test_airflow_takes_it_in_its_local_settings(tmp_path):
    """It is imported while Airflow is being set up, so only what is sound by then may be in it."""
    (tmp_path / "airflow_local_settings.py").write_text("import airflow_provider_asyncapi.preload\n")
    module = "airflow_provider_asyncapi.tasks.wait_state"
    script = f"import sys, airflow.settings as own; own.initialize(); print({module!r} in sys.modules)"
    env = {"PYTHONPATH": str(tmp_path), "AIRFLOW_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", script], env=env, stdout=subprocess.PIPE, check=True)
    assert done.stdout.splitlines()[-1] == b"True"
