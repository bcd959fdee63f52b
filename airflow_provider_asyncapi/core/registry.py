"""
Registries: the kinds of one thing, such as result formats, by name; each kind describes itself.

Other packages add kinds by entry points. The group is that of the registry, such as
``airflow_provider_asyncapi.result_formats``, and the name is that of the kind. The object is what the registry holds:
an instance, or a class for ways of paging and authentication. Entry points are looked up when a name isn't known, so
DAGs that use the kinds shipped here pay nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

from airflow_provider_asyncapi.core.entry_points import find_entry_points, load_entry_point
from airflow_provider_asyncapi.core.errors import ConfigurationError
from airflow_provider_asyncapi.core.lazy import load_object


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


class Registry(Mapping[str, K]):
    """
    The kinds that a parameter can choose from, in the order of the reference.

    A kind with an import path is imported when it is looked up. To iterate over names imports nothing; to iterate over
    kinds imports all.

    :ivar parameter: the name of the parameter, for messages.
    :ivar group: the group of the entry points by which other packages add kinds.
    :ivar problems: kinds of other packages that can't be used, by name, and why.

    :param group: the last part of the group's name.
    :param kinds: the kinds that are shipped.
    :param paths: the import paths of further shipped kinds by their names, such as ``package.module:Kind``.
    """

    def __init__(
        self, parameter: str, group: str, kinds: Iterable[K] = (), paths: Mapping[str, str] | None = None
    ) -> None:
        self.parameter = parameter
        self.group = f"{ENTRY_POINTS}.{group}"
        self.problems: dict[str, str] = {}
        self._kinds: dict[str, K | str] = dict(paths or {})
        for kind in kinds:
            self.register(kind)

    def __getitem__(self, name: str) -> K:
        """Return the kind of a name; it is imported now if it has an import path."""
        kind = self._kinds[name]
        if isinstance(kind, str):
            kind = self._kinds[name] = load_object(kind)
        return kind

    def __contains__(self, name: object) -> bool:
        """Return whether there is a kind of this name."""
        return name in self._kinds

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names."""
        return iter(self._kinds)

    def __len__(self) -> int:
        """Return the number of kinds."""
        return len(self._kinds)

    def register(self, kind: K) -> K:
        """
        Add a kind.

        :raises ValueError: if its name is taken.
        """
        if kind.name in self:
            raise ValueError(f"{self.parameter}: there is a {kind.name!r} already")
        self._kinds[kind.name] = kind
        return kind

    def unregister(self, name: str) -> None:
        """Remove a kind, or what is known about a kind that can't be used; do nothing if there is neither."""
        self._kinds.pop(name, None)
        self.problems.pop(name, None)

    def load_installed(self) -> None:
        """Add the kinds of other packages; unusable kinds are in :attr:`problems` instead."""
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

    @contextmanager
    def explain_missing_package(self, kind: K) -> Iterator[None]:
        """
        Name the package to install if the code of a kind imports one that isn't installed.

        :param kind: the kind; its attribute ``package`` is the package, as pip names it.
        :raises ConfigurationError: if a package isn't installed.
        """
        try:
            yield
        except ImportError as error:
            package = getattr(kind, "package", "") or error.name
            raise ConfigurationError(f"{self.parameter}: {kind.name!r} needs {error.name}: install {package}") from None
