"""The asynchronous streams of a manifest, including the streams that a template makes."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any

from airflow_provider_asyncapi.importing.airbyte.components import Component, expand
from airflow_provider_asyncapi.importing.airbyte.expressions import Constant, read_template
from airflow_provider_asyncapi.importing.documents import DocumentError, describe_kind
from airflow_provider_asyncapi.importing.drafts import Gap, mapping_or_empty

ASYNC = "AsyncRetriever"
#: More streams than a manifest may make of templates.
_MAX_STREAMS = 1000


def find_streams(root: Mapping[str, Any], name: str) -> tuple[dict[str, Component], list[Gap]]:
    """
    Return the asynchronous streams of a manifest by their names, and what of its streams can't be known.

    :param name: the name of the file, for messages.
    :raises DocumentError: if the document isn't a manifest.
    """
    if not isinstance(root.get("streams", root.get("dynamic_streams")), list):
        raise DocumentError(f"{name}: isn't an Airbyte manifest, which has `streams`; it is {describe_kind(root)}")
    gaps: list[Gap] = []
    manifest = Component.read(root, root, "")
    found: dict[str, Component] = {}
    for stream in _list_streams(manifest, gaps):
        retriever = stream.child("retriever")
        if retriever is not None and retriever.type == ASYNC:
            found[_name_stream(stream)] = stream
        if len(found) > _MAX_STREAMS:
            raise DocumentError(f"{name}: has more than {_MAX_STREAMS} streams")
    return found, gaps


def choose_streams(streams: Mapping[str, Component], chosen: str | None, name: str) -> dict[str, Component]:
    """
    Return the streams to import.

    :param chosen: the name of one of them; None for all.
    :param name: the name of the file, for messages.
    :raises DocumentError: if there is none; the message names the streams of the manifest.
    """
    known = ", ".join(streams)
    if not streams:
        raise DocumentError(f"{name}: has no asynchronous stream, whose retriever is an {ASYNC}")
    if chosen is None:
        return dict(streams)
    if chosen not in streams:
        nearest = difflib.get_close_matches(chosen, streams, 1)
        advice = f"did you mean {nearest[0]}?" if nearest else f"there are {known}"
        raise DocumentError(f"{name}: has no asynchronous stream {chosen!r}; {advice}")
    return {chosen: streams[chosen]}


def _name_stream(stream: Component) -> str:
    value = read_template(stream.get("name", ""), stream.parameters)
    return str(value.value) if isinstance(value, Constant) and value.value else stream.place


def _list_streams(manifest: Component, gaps: list[Gap]) -> Iterator[Component]:
    for stream in manifest.children("streams"):
        yield from _unwrap(stream)
    for dynamic in manifest.children("dynamic_streams"):
        yield from _make_streams(dynamic, gaps)


def _unwrap(stream: Component) -> Iterator[Component]:
    if stream.type == "StateDelegatingStream":
        inner = stream.child("full_refresh_stream", "incremental_stream")
        if inner is not None:
            yield inner
    elif stream.type == "ConditionalStreams":
        for each in stream.children("streams"):
            yield from _unwrap(each)
    else:
        yield stream


def _make_streams(dynamic: Component, gaps: list[Gap]) -> Iterator[Component]:
    """Yield the streams that a template and its list of values make."""
    template, resolver = dynamic.child("stream_template"), dynamic.child("components_resolver")
    if template is None or resolver is None:
        raise DocumentError(f"{dynamic.place}: has to have a stream_template and a components_resolver")
    retriever = template.child("retriever")
    if retriever is None or retriever.type != ASYNC:
        return
    listed = resolver.child("stream_parameters")
    if resolver.type != "ParametrizedComponentsResolver" or listed is None:
        kind = resolver.get("class_name") or resolver.type
        gaps.append(Gap(resolver.place, f"{kind}: the configuration or the API determines these streams"))
        return
    for index, given in enumerate(listed.items("list_of_parameters_for_stream")):
        place = f"{listed.place}.list_of_parameters_for_stream[{index}]"
        values = expand(dynamic.root, given, place)
        stream = template
        for mapping in resolver.children("components_mapping"):
            value = read_template(mapping.get("value"), {}, mapping_or_empty(values))
            path = [str(key) for key in mapping.items("field_path")]
            if isinstance(value, Constant) and path:
                stream = stream.with_value(path, value.value)
            else:
                gaps.append(Gap(mapping.place_of("value"), f"the template {mapping.get('value')}"))
        yield Component.read(dynamic.root, stream.values, template.place, dynamic.parameters)
