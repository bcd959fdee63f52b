"""The components of a manifest: references and parameters resolved as Airbyte does, and the place of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from airflow_provider_asyncapi.importing.documents import MAX_VALUES, DocumentError, split_pointer, step_into

_REFERENCE = "$ref"
_PARAMETERS = "$parameters"
#: References that lead to references. Manifests have three or four.
_MAX_REFERENCES = 50
_MAX_DEPTH = 100


@dataclass(frozen=True, slots=True)
class Component:
    """
    A mapping of a manifest.

    References are resolved when they are read, so a manifest whose references contain each other costs nothing.

    :param root: the whole manifest.
    :param values: its keys; values may be references.
    :param place: where it is, such as ``streams[3].retriever``.
    :param parameters: the ``$parameters`` of it and of the components around it. They are also the values of the keys
        that a component lacks.
    """

    root: Mapping[str, Any] = field(repr=False)
    values: Mapping[str, Any]
    place: str
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def read(
        cls, root: Mapping[str, Any], value: Any, place: str, parameters: Mapping[str, Any] | None = None
    ) -> Component:
        """
        Return the component at a place.

        :raises DocumentError: if it isn't a mapping.
        """
        values = resolve(root, value, place)
        if not isinstance(values, Mapping):
            raise DocumentError(f"{place}: has to be a mapping, not {values!r}")
        own = resolve(root, values.get(_PARAMETERS, {}), f"{place}.{_PARAMETERS}")
        return cls(root, values, place, {**(parameters or {}), **(own if isinstance(own, Mapping) else {})})

    @property
    def type(self) -> str:
        """The type of the component; empty if its place decides it."""
        return str(self.values.get("type", ""))

    def get(self, name: str, default: Any = None) -> Any:
        """Return the value of a key; its mappings and lists may still contain references."""
        value = resolve(self.root, self.values.get(name), self.place_of(name))
        if value in (None, "", [], {}) and name in self.parameters:
            value = resolve(self.root, self.parameters[name], self.place_of(name))
        return default if value is None else value

    def get_whole(self, name: str) -> Any:
        """Return the value of a key without references."""
        return expand(self.root, self.get(name), self.place_of(name))

    def child(self, *names: str) -> Component | None:
        """Return the first component that one of these keys holds; None if none of them is there."""
        for name in names:
            if self.get(name) is not None:
                return self.read(self.root, self.get(name), self.place_of(name), self.parameters)
        return None

    def items(self, name: str) -> list[Any]:
        """
        Return the items of a list; none if there is no such key.

        :raises DocumentError: if it isn't a list.
        """
        value = self.get(name, [])
        if not isinstance(value, list):
            raise DocumentError(f"{self.place_of(name)}: has to be a list, not {value!r}")
        return value

    def children(self, name: str) -> list[Component]:
        """Return the components in a list, or the one that stands in its place."""
        value = self.get(name, [])
        items = value if isinstance(value, list) else [value]
        return [
            self.read(self.root, item, f"{self.place_of(name)}[{index}]", self.parameters)
            for index, item in enumerate(items)
        ]

    def place_of(self, name: str) -> str:
        """Return the place of a key."""
        return f"{self.place}.{name}" if self.place else name

    def with_value(self, path: list[str], value: Any) -> Component:
        """Return the component with another value at a path of keys."""
        return replace(self, values=_set_in(self.root, self.values, path, value, self.place))


def resolve(root: Mapping[str, Any], value: Any, place: str) -> Any:
    """
    Return what a value stands for if it is a reference, else itself.

    A text that begins with ``#/`` is a reference. The keys beside ``$ref`` replace keys of the component that it names.

    :raises DocumentError: if a reference leads to nothing, or back to itself.
    """
    overlays: list[Mapping[str, Any]] = []
    for _ in range(_MAX_REFERENCES):
        if isinstance(value, str) and value.startswith("#/"):
            value = _look_up(root, value, place)
        elif isinstance(value, Mapping) and isinstance(value.get(_REFERENCE), str):
            overlays.append({key: each for key, each in value.items() if key != _REFERENCE})
            value = _look_up(root, value[_REFERENCE], place)
        else:
            break
    else:
        raise DocumentError(f"{place}: its references lead back to themselves")
    for overlay in reversed(overlays):
        value = {**value, **overlay} if isinstance(value, Mapping) else value
    return value


def _look_up(root: Mapping[str, Any], reference: str, place: str, depth: int = 0) -> Any:
    if not reference.startswith("#/"):
        raise DocumentError(f"{place}: the reference {reference!r} leads to another document")
    if depth > _MAX_REFERENCES:
        raise DocumentError(f"{place}: its references lead back to themselves")
    value: Any = root
    for token in split_pointer(reference):
        # A reference may lead through another one.
        value = step_into(_resolve_within(root, value, place, depth + 1), token, reference, place)
    return value


def _resolve_within(root: Mapping[str, Any], value: Any, place: str, depth: int) -> Any:
    if isinstance(value, str) and value.startswith("#/"):
        return _resolve_within(root, _look_up(root, value, place, depth), place, depth + 1)
    if isinstance(value, Mapping) and isinstance(value.get(_REFERENCE), str):
        base = _resolve_within(root, _look_up(root, value[_REFERENCE], place, depth), place, depth + 1)
        return {**base, **value} if isinstance(base, Mapping) else base
    return value


def expand(root: Mapping[str, Any], value: Any, place: str) -> Any:
    """
    Return a value with what its references name in their place.

    :raises DocumentError: if it contains itself, or becomes too large.
    """
    budget = iter(range(MAX_VALUES))
    return _expand(root, value, place, budget, 0)


def _expand(root: Mapping[str, Any], value: Any, place: str, budget: Iterator[int], depth: int) -> Any:
    if next(budget, None) is None or depth > _MAX_DEPTH:
        raise DocumentError(f"{place}: its references contain each other")
    value = resolve(root, value, place)
    if isinstance(value, Mapping):
        return {key: _expand(root, each, place, budget, depth + 1) for key, each in value.items()}
    if isinstance(value, list):
        return [_expand(root, each, place, budget, depth + 1) for each in value]
    return value


def _set_in(root: Mapping[str, Any], value: Any, path: list[str], new: Any, place: str) -> Any:
    if not path:
        return new
    value = resolve(root, value, place)
    inside = value if isinstance(value, Mapping) else {}
    return {**inside, path[0]: _set_in(root, inside.get(path[0]), path[1:], new, f"{place}.{path[0]}")}
