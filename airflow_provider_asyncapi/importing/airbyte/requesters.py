"""Requesters of a manifest: method, address, headers, parameters and body of a request."""

from __future__ import annotations

from typing import Any

from airflow_provider_asyncapi.core.profiles.lint import KeyPath
from airflow_provider_asyncapi.importing.airbyte.components import Component
from airflow_provider_asyncapi.importing.airbyte.rendering import GapError, Renderer
from airflow_provider_asyncapi.importing.drafts import join_url, relative_to

#: The key of a request for each type of ``request_body``.
_BODIES = {
    "RequestBodyGraphQL": "json",
    "RequestBodyJsonObject": "json",
    "RequestBodyPlainText": "data",
    "RequestBodyUrlEncodedForm": "data",
}
#: Keys of requesters that say nothing about the request itself, or are read elsewhere.
_OTHER_KEYS = ("fetch_properties_from_endpoint", "query_properties")


def read_url(requester: Component, renderer: Renderer, path: KeyPath) -> str:
    """
    Return the URL of a requester as a template.

    :param path: the request in the profile, for the names of variables.
    """
    base = renderer.text(requester, "url_base", path) or renderer.text(requester, "url", path)
    return join_url(base, renderer.text(requester, "path", path))


def read_request(requester: Component, renderer: Renderer, path: KeyPath, *, default_method: str) -> dict[str, Any]:
    """
    Return the keys of a request; what can't be translated becomes a gap.

    :param path: the request in the profile.
    :param default_method: the method that the request has without ``method``; empty for GET, or POST with a body.
    """
    draft = renderer.draft
    request: dict[str, Any] = {}
    if requester.type not in ("", "HttpRequester"):
        kind = requester.get("class_name") or requester.type
        draft.add_gap(
            requester.place, f"{kind}: a component in code; describe the request by hand", (*path, "endpoint")
        )
        return request
    try:
        request["endpoint"] = relative_to(read_url(requester, renderer, path), renderer.host)
    except GapError as error:
        draft.add_gap(requester.place, f"its address is {error}", (*path, "endpoint"))
    for key in _OTHER_KEYS:
        if requester.get(key) is not None:
            draft.add_gap(requester.place_of(key), "properties that another request lists")
    for key, target in (("request_parameters", "query_params"), ("request_headers", "headers")):
        value = requester.get_whole(key)
        try:
            rendered = renderer.render(value, requester.parameters, (*path, target), (str, list)) if value else None
        except GapError as error:
            draft.add_gap(requester.place_of(key), f"is {error}", (*path, target))
            continue
        if isinstance(rendered, dict):
            request[target] = rendered
        elif rendered:
            draft.add_gap(requester.place_of(key), f"has to be a mapping, not {rendered!r}", (*path, target))
    request |= _read_body(requester, renderer, path)
    method = str(requester.get("http_method", "GET")).upper()
    implied = default_method or ("POST" if {"json", "data"} & request.keys() else "GET")
    if method != implied:
        request["method"] = method
    return _drop_content_type({key: value for key, value in request.items() if value not in ({}, "")})


def _read_body(requester: Component, renderer: Renderer, path: KeyPath) -> dict[str, Any]:
    body = requester.child("request_body") if isinstance(requester.get("request_body"), dict) else None
    if body is not None and body.type in _BODIES:
        target, value = _BODIES[body.type], body.get_whole("value")
        if body.type == "RequestBodyGraphQL" and isinstance(value, dict):
            value = {key: each for key, each in value.items() if each is not None}
    elif requester.get("request_body_json"):
        target, value = "json", requester.get_whole("request_body_json")
    elif requester.get("request_body_data"):
        target, value = "data", requester.get_whole("request_body_data")
    elif body is not None or requester.get("request_body"):
        renderer.draft.add_gap(requester.place_of("request_body"), "a body of an unknown type", (*path, "json"))
        return {}
    else:
        return {}
    types: tuple[type, ...] = () if target == "json" else (str, list)
    try:
        return {target: renderer.render(value, requester.parameters, (*path, target), types)}
    except GapError as error:
        renderer.draft.add_gap(requester.place_of("request_body"), f"is {error}", (*path, target))
        return {}


def _drop_content_type(request: dict[str, Any]) -> dict[str, Any]:
    """Return the request without the header that a JSON body has anyway."""
    if "json" in request and "headers" in request:
        headers = {
            name: value
            for name, value in request["headers"].items()
            if (name.lower(), value) != ("content-type", "application/json")
        }
        request = {**request, "headers": headers}
        if not headers:
            del request["headers"]
    return request
