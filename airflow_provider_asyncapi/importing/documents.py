"""Read documents of other tools, YAML or JSON, with bounds that no useful document reaches."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import unquote

import yaml

from airflow_provider_asyncapi.core.errors import AsyncApiError

#: The largest public descriptions, of whole clouds, have some 10 MB.
MAX_BYTES = 16 * 1024 * 1024
#: Mappings and lists in each other. Python's own parsers fail at some hundreds.
_MAX_DEPTH = 100
#: Values, if each alias and each reference is replaced by what it names.
MAX_VALUES = 1_000_000


class DocumentError(AsyncApiError):
    """
    A document can't be imported.

    The message contains the file, the place in it, and what was expected.
    """


#: The parser in C, if PyYAML has it, is ten times as fast.
_BaseLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_BaseLoader):  # type: ignore[misc]  # PyYAML has no types
    """Reads YAML as JSON's types: a time stays the text that it is, and all keys are texts."""

    yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[str, Any]:
        self.flatten_mapping(node)
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "a key has to be a text", key.start_mark)
        return {key.value: self.construct_object(value, deep=deep) for key, value in node.value}


def parse_document(content: bytes, name: str) -> dict[str, Any]:
    """
    Return the mapping that a YAML or JSON document contains.

    Nothing in it is executed: tags of YAML that name Python's types are refused.

    :param content: the bytes of the file.
    :param name: the name of the file, for messages.
    :raises DocumentError: if it is neither YAML nor JSON, isn't a mapping, or exceeds a limit; with the line.
    """
    if len(content) > MAX_BYTES:
        raise DocumentError(f"{name}: has more than {MAX_BYTES // 1024**2} MiB, so it isn't read")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DocumentError(f"{name}:{line}: isn't UTF-8") from None
    root = _parse_json(text, name) if text.lstrip().startswith("{") else _parse_yaml(text, name)
    if not isinstance(root, dict):
        raise DocumentError(f"{name}: has to be a mapping, not {type(root).__name__}")
    return root


def _parse_json(text: str, name: str) -> Any:
    try:
        return json.loads(text)
    except RecursionError:
        raise DocumentError(f"{name}: its values are nested too deeply") from None
    except ValueError:
        # A flow mapping of YAML begins with the same brace.
        return _parse_yaml(text, name)


def _parse_yaml(text: str, name: str) -> Any:
    try:
        _check_size(text, name)
        loader = _Loader(text)
        try:
            return loader.get_single_data()
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        line = "" if error.problem_mark is None else f":{error.problem_mark.line + 1}"
        raise DocumentError(f"{name}{line}: isn't YAML or JSON: {error.problem or error.context}") from None
    except (yaml.YAMLError, ValueError) as error:
        raise DocumentError(f"{name}: isn't YAML or JSON: {getattr(error, 'reason', error)}") from None


def _check_size(text: str, name: str) -> None:
    """
    Check that the values aren't nested too deeply, and aren't too many if each alias is replaced by its value.

    A few lines of aliases of aliases stand for billions of values.
    """
    #: The anchor and the number of values before each mapping and list that isn't closed yet.
    opened: list[tuple[str | None, int]] = []
    sizes: dict[str, int] = {}
    total = 0
    for event in yaml.parse(text, Loader=_BaseLoader):
        line = event.start_mark.line + 1
        if isinstance(event, yaml.AliasEvent):
            if any(anchor == event.anchor for anchor, _ in opened):
                raise DocumentError(f"{name}:{line}: the alias *{event.anchor} contains itself")
            total += sizes.get(event.anchor, 1)
        elif isinstance(event, yaml.CollectionStartEvent):
            total += 1
            opened.append((event.anchor, total))
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = opened.pop()
            if anchor is not None:
                sizes[anchor] = total - before + 1
        elif isinstance(event, yaml.ScalarEvent):
            total += 1
        if len(opened) > _MAX_DEPTH:
            raise DocumentError(f"{name}:{line}: more than {_MAX_DEPTH} mappings and lists are nested")
        if total > MAX_VALUES:
            raise DocumentError(f"{name}:{line}: has more than {MAX_VALUES:,} values, those of aliases included")


def look_up(root: Mapping[str, Any], reference: str, place: str) -> Any:
    """
    Return what a reference within a document names (RFC 6901, in a fragment).

    :param reference: such as ``#/components/schemas/Job``.
    :param place: the place of the reference, for messages.
    :raises DocumentError: if it leads to another document, or to nothing.
    """
    if not reference.startswith("#"):
        raise DocumentError(
            f"{place}: the reference {reference!r} leads to another document; bundle both into one first"
        )
    value: Any = root
    for token in split_pointer(reference):
        value = step_into(value, token, reference, place)
    return value


def split_pointer(reference: str) -> list[str]:
    """Return the keys and indexes of a reference such as ``#/paths/~1jobs/get``."""
    tokens = unquote(reference.removeprefix("#")).removeprefix("/").split("/")
    return [token.replace("~1", "/").replace("~0", "~") for token in tokens if token]


def step_into(value: Any, token: str, reference: str, place: str) -> Any:
    """
    Return the value of a key or an index.

    :raises DocumentError: if there is none.
    """
    if isinstance(value, Mapping) and token in value:
        return value[token]
    if isinstance(value, list) and token.isdecimal() and int(token) < len(value):
        return value[int(token)]
    raise DocumentError(f"{place}: the reference {reference!r} leads to nothing: there is no {token!r}")


def describe_kind(root: Mapping[str, Any]) -> str:
    """Return what a document is, for the message that it isn't what was expected."""
    if "arazzo" in root:
        return "an Arazzo document; use `import arazzo`"
    if "openapi" in root:
        return "an OpenAPI document; use `import openapi`"
    if "swagger" in root:
        return "a Swagger 2 document; convert it to OpenAPI 3 first"
    if root.get("type") == "DeclarativeSource":
        return "an Airbyte manifest; use `import airbyte`"
    keys = ", ".join(map(str, list(root)[:5]))
    return f"a mapping of {keys}" if keys else "empty"
