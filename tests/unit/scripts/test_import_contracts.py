"""The direction of imports is checked for imports at the first use of a name, too."""

from __future__ import annotations

import importlib.util
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("importlinter", reason="installed for `make lint` only")
grimp: Any = pytest.importorskip("grimp")

pytestmark = pytest.mark.any_python

ROOT = Path(__file__).parents[3]
PACKAGE = "airflow_provider_asyncapi"


def load() -> Any:
    spec: Any = importlib.util.spec_from_file_location("import_contracts", ROOT / "scripts" / "import_contracts.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


CONTRACTS = load()


def test_both_forms_of_lazy_imports_are_found_and_other_packages_are_not() -> None:
    source = f"""
if TYPE_CHECKING:
    import lxml.etree
else:
    etree = LazyModule("lxml.etree")
    drivers = LazyModule("{PACKAGE}.transports.requests")
__getattr__ = load_lazily(
    globals(),
    {{
        "json": "dumps",
        "{PACKAGE}.tasks.callbacks": "read_callbacks to_response",
    }},
)
"""
    assert list(CONTRACTS.find_lazy_imports(source)) == [
        (11, f"{PACKAGE}.tasks.callbacks"),
        (6, f"{PACKAGE}.transports.requests"),
    ]


def test_lazy_imports_of_the_package_become_part_of_the_graph() -> None:
    graph = grimp.ImportGraph()
    for module in (PACKAGE, f"{PACKAGE}.tasks.lazy"):
        graph.add_module(module)
    CONTRACTS.add_lazy_imports(graph)
    imported = graph.find_modules_directly_imported_by(f"{PACKAGE}.tasks.lazy")
    assert {f"{PACKAGE}.tasks.job_wait", f"{PACKAGE}.triggers.asyncapi"} <= imported


def test_a_layer_that_imports_a_higher_one_lazily_breaks_the_contract() -> None:
    contract = CONTRACTS.LayersWithLazyImports(
        name="upside down",
        session_options={"root_packages": [PACKAGE]},
        contract_options={"containers": [PACKAGE], "layers": ["triggers", "tasks"]},
    )
    graph = grimp.ImportGraph()
    for module in (PACKAGE, f"{PACKAGE}.triggers", f"{PACKAGE}.tasks", f"{PACKAGE}.tasks.lazy"):
        graph.add_module(module)
    assert not contract.check(graph, verbose=False).kept


def test_no_modules_of_the_core_import_each_other_in_a_circle_not_even_for_types_or_later() -> None:
    graph = grimp.build_graph(PACKAGE, cache_dir=None, exclude_type_checking_imports=False)
    CONTRACTS.add_lazy_imports(graph)
    core = sorted(graph.find_descendants(f"{PACKAGE}.core"))
    TopologicalSorter({module: graph.find_modules_directly_imported_by(module) for module in core}).prepare()
