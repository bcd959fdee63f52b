"""Paginators of a manifest: the ways of paging of a fetch."""

from __future__ import annotations

import re
from typing import Any

from airflow_provider_asyncapi.core.profiles.lint import KeyPath
from airflow_provider_asyncapi.importing.airbyte.components import Component
from airflow_provider_asyncapi.importing.airbyte.expressions import Comparison, Path, read_template
from airflow_provider_asyncapi.importing.airbyte.rendering import Renderer
from airflow_provider_asyncapi.importing.drafts import make_name, set_value
from airflow_provider_asyncapi.importing.selectors import build_selector

_NEXT: KeyPath = ("fetch", "next_page")
_CURSOR: KeyPath = ("fetch", "cursor")
#: The keys of a request for the places in which a paginator may put a token.
_PLACES = {"request_parameter": "query_params", "header": "headers", "body_json": "json", "body_data": "data"}


def read_paginator(paginator: Component | None, renderer: Renderer) -> None:
    """Set the way of paging of the fetch; what has no counterpart becomes a gap."""
    if paginator is None or paginator.type == "NoPagination":
        return
    draft = renderer.draft
    strategy = paginator.child("pagination_strategy")
    kind = paginator.type if strategy is None else strategy.type
    if strategy is None or kind not in ("CursorPagination", "OffsetIncrement", "PageIncrement"):
        described = (strategy or paginator).get("class_name") or kind
        draft.add_gap(paginator.place, f"{described}: no way of paging does the same", _NEXT)
        return
    fetch = draft.tables["fetch"]
    fetch["output_type"] = "pages"
    size = renderer.render(strategy.get("page_size"), strategy.parameters, ("fetch", "page_size"))
    if kind == "OffsetIncrement":
        fetch["page_size"] = size
        _put_option(paginator, "page_token_option", "{offset}", renderer)
        _put_option(paginator, "page_size_option", "{limit}", renderer)
        return
    if kind == "PageIncrement":
        fetch["first_page"] = strategy.get("start_from_page", 0)
        _put_option(paginator, "page_token_option", "{page}", renderer)
    else:
        _read_cursor(paginator, strategy, renderer)
    if size is not None:
        _put_option(paginator, "page_size_option", size, renderer)


def _read_cursor(paginator: Component, strategy: Component, renderer: Renderer) -> None:
    draft = renderer.draft
    value = renderer.read(strategy, "cursor_value")
    option = paginator.child("page_token_option")
    is_link = option is None or option.type == "RequestPath"
    key = "next_page" if is_link else "cursor"
    selector = _select(value) if isinstance(value, Path) else None
    if selector is None:
        draft.add_gap(
            strategy.place_of("cursor_value"), f"write a selector for {strategy.get('cursor_value')}", ("fetch", key)
        )
        return
    selector = _read_stop(strategy, value, selector, renderer)
    draft.tables["fetch"][key] = selector
    if not is_link:
        _put_option(paginator, "page_token_option", "{cursor}", renderer)


def _select(path: object) -> str | None:
    if not isinstance(path, Path) or not path.keys:
        return None
    if path.source == "headers":
        return "header:Link" if path.keys == ("link", "next", "url") else f"header:{path.keys[0]}"
    return build_selector(path.keys) if path.source == "response" else None


def _read_stop(strategy: Component, cursor: object, selector: str, renderer: Renderer) -> str:
    """Return the selector of the cursor, which finds nothing on the last page."""
    condition = read_template(strategy.get("stop_condition"), strategy.parameters)
    if strategy.get("stop_condition") is None:
        return selector
    if isinstance(condition, Comparison) and isinstance(cursor, Path) and _is_same(condition.path, cursor):
        if condition.operator == "exists" and condition.is_negated:
            return selector
        if condition.operator == "eq" and isinstance(condition.value, str) and not condition.is_negated:
            return f"{selector} regex:{_any_text_but(condition.value)}"
    draft = renderer.draft
    message = f"pages end when the cursor is missing; the manifest ends them if {strategy.get('stop_condition')}"
    draft.add_gap(strategy.place_of("stop_condition"), message)
    return selector


def _is_same(first: Path, second: Path) -> bool:
    def keys(path: Path) -> list[str]:
        return [str(key).lower() if path.source == "headers" else str(key) for key in path.keys]

    return first.source == second.source and keys(first) == keys(second)


def _any_text_but(text: str) -> str:
    """Return a regular expression for all texts but one; regular expressions in linear time have no look-ahead."""
    if not text:
        return "^.+$"
    escaped = [re.escape(each) for each in text]
    parts = [f"{''.join(escaped[:i])}[^{escaped[i]}].*" for i in range(len(text))]
    shorter = [f"{''.join(escaped[:i])}" for i in range(1, len(text))]
    return f"^({'|'.join([*parts, *shorter, ''.join(escaped) + '.+'])})$"


def _put_option(paginator: Component, name: str, value: Any, renderer: Renderer) -> None:
    """Add the parameter, header or key that carries a token or a size to the request of the fetch."""
    option = paginator.child(name)
    if option is None or option.type == "RequestPath":
        return
    place = str(option.get("inject_into", "request_parameter"))
    if place == "path":
        renderer.draft.add_gap(option.place, "the token is the path of the next request", _NEXT)
        return
    keys = option.items("field_path") or [option.get("field_name", make_name(name))]
    names = [str(renderer.render(key, option.parameters, ("fetch", name), (str,))) for key in keys]
    set_value(renderer.draft.tables["fetch"], (_PLACES.get(place, "query_params"), *names), value)
