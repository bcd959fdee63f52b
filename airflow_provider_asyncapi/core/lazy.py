"""Modules that are imported at their first use, since few DAGs and few tasks need them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from types import ModuleType
from typing import Any


class LazyModule(ModuleType):
    """
    A stand-in for a module, which is imported when one of its names is used.

    The true import stands beside it, for type checkers and for readers of the import graph::

        if TYPE_CHECKING:
            from lxml import etree
        else:
            etree = LazyModule("lxml.etree")

    :param name: the full name of the module.
    """

    def __getattr__(self, name: str) -> Any:
        """Import the module, and return what it holds by this name; it is held here from now on."""
        value = getattr(import_module(self.__name__), name)
        setattr(self, name, value)
        return value


def load_lazily(namespace: dict[str, Any], modules: Mapping[str, str]) -> Callable[[str], Any]:
    """
    Return the ``__getattr__`` of a module that imports names at their first use (PEP 562).

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


def load_object(path: str) -> Any:
    """
    Return the object of an import path, such as ``package.module:name``.

    The core names a class that does I/O by its path, since the core imports nothing that does I/O.

    :raises ImportError: if the module, or a package that it needs, isn't installed.
    """
    module, _, name = path.partition(":")
    return getattr(import_module(module), name)
