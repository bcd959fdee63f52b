"""Registries: the kinds of one thing, such as result formats, by name; each kind describes itself."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol, TypeVar

from airflow_provider_asyncapi.core.errors import ConfigurationError


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


class Registry(dict[str, K]):
    """
    The kinds that a parameter can choose from, in the order of the reference.

    :param parameter: the name of the parameter, for messages.
    :param kinds: the first kinds; :meth:`register` adds others.
    """

    def __init__(self, parameter: str, kinds: Iterable[K] = ()) -> None:
        super().__init__()
        self.parameter = parameter
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

    def parse(self, given: Any) -> K:
        """
        Return the kind of a name.

        :raises ConfigurationError: if there is none, naming the parameter and all names.
        """
        if not isinstance(given, str) or given not in self:
            raise ConfigurationError(f"{self.parameter}: {given!r} isn't one of {', '.join(self)}")
        return self[given]
