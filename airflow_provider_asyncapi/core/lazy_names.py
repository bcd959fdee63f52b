"""Names of a module that are imported from other modules at their first use (PEP 562)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def load_lazily(namespace: dict[str, Any], modules: Mapping[str, str]) -> Callable[[str], Any]:
    """
    Return the ``__getattr__`` of a module that imports names at their first use.

    :param namespace: ``globals()`` of the module.
    :param modules: full names of modules, mapped to the names that they define, separated by spaces.
    """
    homes = {name: module for module, names in modules.items() for name in names.split()}

    def load(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {namespace['__name__']!r} has no attribute {name!r}")
        # The module holds the name from now on, so this function isn't called for it again.
        value = namespace[name] = getattr(import_module(homes[name]), name)
        return value

    return load
