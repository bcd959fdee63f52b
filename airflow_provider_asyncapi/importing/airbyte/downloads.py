"""Decoders, extractors and record selectors of a manifest: the format of a result, and its rows."""

from __future__ import annotations

from typing import Any

from airflow_provider_asyncapi.core.profiles.lint import KeyPath
from airflow_provider_asyncapi.importing.airbyte.components import Component
from airflow_provider_asyncapi.importing.airbyte.rendering import Renderer
from airflow_provider_asyncapi.importing.selectors import build_selector

_PATH: KeyPath = ("fetch", "result_path")
_FORMAT: KeyPath = ("fetch", "result_format")
#: Decoders that wrap another decoder.
_ARCHIVES = {"GzipDecoder": "gzip", "ZipfileDecoder": "zip"}
#: The formats whose rows need no path.
_ROWS = ("csv", "ndjson")


def read_download(retriever: Component, renderer: Renderer) -> None:
    """Set the output type, the format and the path of the rows; what a profile can't do with rows becomes a gap."""
    fetch = renderer.draft.tables["fetch"]
    decoder = retriever.child("download_decoder", "download_format")
    archive = ""
    while decoder is not None and decoder.type in _ARCHIVES:
        archive = _ARCHIVES[decoder.type]
        decoder = decoder.child("decoder")
    result_format = _read_format(decoder, renderer) if decoder is not None else _read_default_format(retriever)
    name = result_format.get("format", "json")
    path = _read_path(retriever, decoder, renderer)
    if archive == "zip":
        fetch["output_type"] = "zip"
        renderer.draft.add_gap(
            retriever.place_of("download_decoder"),
            f"a zip archive is unpacked to files of {name}, whose rows aren't read; the task needs a destination",
        )
        return
    # A file that is compressed with gzip is recognized by itself.
    if result_format:
        fetch["result_format"] = name if set(result_format) <= {"format"} else result_format
    if path:
        fetch["result_path"] = path
    elif name in _ROWS:
        fetch["result_path"] = "$[*]"


def _read_default_format(retriever: Component) -> dict[str, Any]:
    """Return the format of a result without decoder: JSON, or in the older generation of manifests CSV."""
    extractor = retriever.child("download_extractor")
    is_table = extractor.type == "ResponseToFileExtractor" if extractor is not None else retriever.get("urls_extractor")
    return {"format": "csv"} if is_table else {}


def _read_format(decoder: Component, renderer: Renderer) -> dict[str, Any]:
    draft = renderer.draft
    encoding = str(decoder.get("encoding", "utf-8")).lower()
    # A byte order mark is recognized by itself.
    charset = {} if encoding in ("utf-8", "utf8", "utf-8-sig", "utf_8_sig") else {"charset": encoding}
    match decoder.type:
        case "JsonDecoder" | "JsonItemsDecoder" | "":
            return {"format": "json", **charset}
        case "JsonlDecoder":
            return {"format": "ndjson", **charset}
        case "CsvDecoder":
            delimiter = str(decoder.get("delimiter", ","))
            delimiter = {"\\t": "\t"}.get(delimiter, delimiter)
            if empty := decoder.items("set_values_to_none"):
                values = ", ".join(map(repr, empty))
                draft.add_gap(decoder.place_of("set_values_to_none"), f"the values {values} aren't made null")
            return {"format": "csv", **({} if delimiter == "," else {"delimiter": delimiter}), **charset}
        case "XmlDecoder":
            draft.add_gap(decoder.place, "rows of XML need an XPath, such as xpath://row", _PATH)
            return {"format": "xml"}
        case _:
            kind = decoder.get("class_name") or decoder.type
            draft.add_gap(decoder.place, f"{kind}: no result format does the same", _FORMAT)
            return {}


def _read_path(retriever: Component, decoder: Component | None, renderer: Renderer) -> str:
    """Return the selector of the rows; empty if they are the whole result."""
    extractor = retriever.child("download_extractor")
    if decoder is not None and decoder.type == "JsonItemsDecoder":
        return build_selector([*str(decoder.get("items_path", "")).split("."), "*"])
    if decoder is not None and decoder.type == "XmlDecoder":
        return ""
    if extractor is None or extractor.type == "ResponseToFileExtractor":
        return ""
    return read_field_path(extractor, renderer, _PATH)


def read_field_path(extractor: Component, renderer: Renderer, path: KeyPath) -> str:
    """
    Return the selector of an extractor; empty for the whole body.

    :param path: the key of the profile, to mark what can't be translated.
    """
    if extractor.type not in ("", "DpathExtractor"):
        kind = extractor.get("class_name") or extractor.type
        renderer.draft.add_gap(extractor.place, f"{kind}: write a selector for it", path)
        return ""
    keys = [renderer.render(key, extractor.parameters, path, (str, int)) for key in extractor.items("field_path")]
    # In place of keys that lead to rows, Airbyte also accepts one text.
    return build_selector(keys) if keys else ""


def name_record_steps(stream: Component, retriever: Component, renderer: Renderer) -> None:
    """Name what Airbyte does with rows after it has read them, and a profile doesn't."""
    draft = renderer.draft
    selector = retriever.child("record_selector")
    if selector is not None:
        for key in ("record_filter", "schema_normalization"):
            value = selector.get(key)
            if value is None or value == "None":
                continue
            step = selector.child(key) if isinstance(value, dict) else None
            condition = f": {step.get('condition')}" if step is not None and step.get("condition") else ""
            draft.add_gap(selector.place_of(key), _describe(key, step) + condition)
    for owner in (stream, selector):
        if owner is not None and owner.get("transformations"):
            steps = ", ".join(str(each.get("class_name") or each.type) for each in owner.children("transformations"))
            draft.add_gap(owner.place_of("transformations"), f"rows stay as they are, without {steps}")


def _describe(key: str, step: Component | None) -> str:
    if key == "schema_normalization":
        return "values keep the types of the result"
    kind = "" if step is None or step.type in ("", "RecordFilter") else f" by {step.get('class_name') or step.type}"
    return f"no row is left out{kind}"
