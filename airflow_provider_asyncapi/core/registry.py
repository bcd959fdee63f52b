"""
Registries: the kinds of one thing, such as result formats, by name; each kind describes itself.

Other packages add kinds by entry points. The group is that of the registry, such as
``airflow_provider_asyncapi.result_formats``, and the name is that of the kind. The object is what the registry holds:
an instance, or a class for ways of paging and authentication. Entry points are looked up when a name isn't known, so
DAGs that use the kinds shipped here pay nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from airflow_provider_asyncapi.core.errors import ConfigurationError
from airflow_provider_asyncapi.core.lazy import LazyModule

if TYPE_CHECKING:
    from importlib import metadata
else:
    metadata = LazyModule("importlib.metadata")


class Kind(Protocol):
    """
    An entry of a registry.

    :ivar name: the name by which a parameter chooses it.
    :ivar summary: its line in the reference, in Markdown.
    """

    @property
    def name(self) -> str: ...  # noqa: D102 - see the class

    @property
    def summary(self) -> str: ...  # noqa: D102 - see the class


K = TypeVar("K", bound=Kind)

#: The first part of the names of all groups.
ENTRY_POINTS = "airflow_provider_asyncapi"


class Registry(dict[str, K]):
    """
    The kinds that a parameter can choose from, in the order of the reference.

    :ivar parameter: the name of the parameter, for messages.
    :ivar group: the group of the entry points by which other packages add kinds.
    :ivar problems: kinds of other packages that can't be used, by name, and why.

    :param group: the last part of the group's name.
    :param kinds: the kinds that are shipped.
    """

    def __init__(self, parameter: str, group: str, kinds: Iterable[K] = ()) -> None:
        super().__init__()
        self.parameter = parameter
        self.group = f"{ENTRY_POINTS}.{group}"
        self.problems: dict[str, str] = {}
        for kind in kinds:
            self.register(kind)

    def register(self, kind: K) -> K:
        """
        Add a kind.

        :raises ValueError: if its name is taken.
        """
        if kind.name in self:
            raise ValueError(f"{self.parameter}: there is a {kind.name!r} already")
        self[kind.name] = kind
        return kind

    def unregister(self, name: str) -> None:
        """Remove a kind, or what is known about a kind that can't be used; do nothing if there is neither."""
        self.pop(name, None)
        self.problems.pop(name, None)

    def load_installed(self) -> None:
        """Add the kinds of other packages; those that can't be used are in :attr:`problems` instead."""
        for entry_point in find_entry_points(self.group):
            name = entry_point.name
            try:
                kind = load_entry_point(entry_point)
                if self.get(name) is not kind:
                    self._check_installed(name, kind)
                    self.register(kind)
            except Exception as error:  # noqa: BLE001 - another package's module may raise anything
                self.problems[name] = f"the entry point {name} = {entry_point.value!r} can't be used: {error!r}"
            else:
                self.problems.pop(name, None)

    def _check_installed(self, name: str, kind: Any) -> None:
        """
        Check the declaration of another package's kind; a registry may check more.

        :param name: the name of the entry point.
        :raises ValueError: if the kind has another name.
        """
        if getattr(kind, "name", None) != name:
            raise ValueError(f"the name of {kind!r} isn't {name!r}")

    def parse(self, given: Any) -> K:
        """
        Return the kind of a name.

        :raises ConfigurationError: if there is none, naming the parameter and all names, or why the kind of another
            package can't be used.
        """
        if isinstance(given, str) and given not in self:
            self.load_installed()
        if not isinstance(given, str) or given not in self:
            reason = f"{given!r} isn't one of {', '.join(self)}"
            if isinstance(given, str):
                reason = self.problems.get(given, reason)
            raise ConfigurationError(f"{self.parameter}: {reason}")
        return self[given]


@lru_cache(maxsize=32)
def find_entry_points(group: str) -> tuple[metadata.EntryPoint, ...]:
    """Return the entry points of a group; to find them, Python reads the metadata of all installed packages."""
    return tuple(metadata.entry_points(group=group))


# An error isn't remembered: a module that imports Airflow can't be imported yet while Airflow reads its configuration,
# and with it the provider info.
@lru_cache(maxsize=64)
def load_entry_point(entry_point: metadata.EntryPoint) -> Any:
    """Return the object of an entry point."""
    return entry_point.load()
