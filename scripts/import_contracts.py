"""
Contracts of import-linter that also see the imports that are made at the first use of a name.

import-linter reads import statements; those of :mod:`airflow_provider_asyncapi.core.lazy` are calls with the names of
modules, and their statements for type checkers can't be told from those for types alone.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from importlinter.contracts.layers import LayersContract

if TYPE_CHECKING:
    from grimp import ImportGraph
    from importlinter import ContractCheck

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "airflow_provider_asyncapi"


class LayersWithLazyImports(LayersContract):
    """Layers whose modules import those above them neither at once nor later."""

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Add the lazy imports to the graph, and check it."""
        add_lazy_imports(graph)
        return super().check(graph, verbose)


def add_lazy_imports(graph: ImportGraph) -> None:
    """Add the imports that the modules of a graph make at the first use of a name."""
    for importer in sorted(graph.find_descendants(PACKAGE)):
        for line, imported in find_lazy_imports(read_source(importer)):
            graph.add_import(importer=importer, imported=imported, line_number=line, line_contents=f"lazy: {imported}")


def read_source(module: str) -> str:
    """Return the source of a module or of a package's ``__init__``."""
    path = ROOT / Path(*module.split("."))
    return (path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text()


def find_lazy_imports(source: str) -> Iterator[tuple[int, str]]:
    """Yield the line and the name of each module of this package that is imported at the first use of a name."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
            continue
        names: list[ast.expr | None] = []
        if node.func.id == "LazyModule":
            names = [*node.args]
        elif node.func.id == "load_lazily" and isinstance(node.args[1], ast.Dict):
            names = [*node.args[1].keys]
        for name in names:
            if isinstance(name, ast.Constant) and str(name.value).startswith(f"{PACKAGE}."):
                yield name.lineno, str(name.value)
