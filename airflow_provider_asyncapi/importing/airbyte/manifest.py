"""Import the asynchronous streams of a manifest as profiles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from airflow_provider_asyncapi.core.http.redaction import is_sensitive_name
from airflow_provider_asyncapi.core.templates import CONNECTION, find_variables, walk_strings
from airflow_provider_asyncapi.importing.airbyte.authenticators import read_authenticator
from airflow_provider_asyncapi.importing.airbyte.components import Component
from airflow_provider_asyncapi.importing.airbyte.downloads import name_record_steps, read_download, read_field_path
from airflow_provider_asyncapi.importing.airbyte.error_handlers import read_error_handler
from airflow_provider_asyncapi.importing.airbyte.paginators import read_paginator
from airflow_provider_asyncapi.importing.airbyte.rendering import TARGET, GapError, Renderer
from airflow_provider_asyncapi.importing.airbyte.requesters import read_request
from airflow_provider_asyncapi.importing.airbyte.streams import choose_streams, find_streams
from airflow_provider_asyncapi.importing.documents import DocumentError
from airflow_provider_asyncapi.importing.drafts import Draft, Gap, make_name

#: The keys of a profile for the statuses of Airbyte.
_STATUSES = {
    "completion_value": ("completed",),
    "failure_value": ("failed", "timeout"),
    "running_value": ("running",),
    "no_data_value": ("skipped",),
}
#: Airbyte submits a job that has failed three times in all.
_RESUBMITS = 2


def import_manifest(root: Mapping[str, Any], name: str, stream: str | None = None) -> tuple[list[Draft], list[Gap]]:
    """
    Return a profile for each asynchronous stream, and what of the streams of the manifest can't be known.

    :param root: the manifest.
    :param name: the name of its file, for messages and comments.
    :param stream: the name of one stream; None for all.
    :raises DocumentError: if the document isn't a manifest, or has no such stream.
    """
    streams, gaps = find_streams(root, name)
    if not streams and gaps:
        raise DocumentError(f"{name}: {gaps[0]}")
    chosen = choose_streams(streams, stream, name)
    drafts = [_import_stream(each, component, name) for each, component in chosen.items()]
    for index, draft in enumerate(drafts):
        if draft.name in [other.name for other in drafts[:index]]:
            draft.rename(f"{draft.name}_{index + 1}")
    return drafts, gaps


def _import_stream(name: str, stream: Component, file: str) -> Draft:
    draft = Draft(make_name(name), f"{file}, stream {name}")
    retriever = _require(stream, "retriever")
    renderer = Renderer(draft, frozenset(_find_secrets(stream.root)), _read_time_format(stream))
    spec = Component.read(stream.root, stream.root.get("spec", {}), "spec")
    about = {"title": name, "documentation": spec.get("documentation_url")}
    draft.tables["about"] |= {key: value for key, value in about.items() if value}
    creation = _require(retriever, "creation_requester")
    try:
        read_authenticator(creation.child("authenticator"), renderer)
    except GapError as error:
        draft.add_gap(creation.place_of("authenticator"), str(error), ("connection", "auth"))
    _set_host(creation, renderer)
    draft.tables["submit"] |= read_request(creation, renderer, ("submit",), default_method="POST")
    read_error_handler(creation, renderer, "submit")
    for read in (_read_status, _read_fetch, _read_ending):
        try:
            read(retriever, renderer)
        except GapError as error:
            draft.add_gap(retriever.place, str(error))
    name_record_steps(stream, retriever, renderer)
    if "identifier" not in draft.tables["submit"]:
        draft.add_gap(
            retriever.place, "no request names a value of the response to the submit", ("submit", "identifier")
        )
    _complete_connection(draft, renderer)
    return draft


def _require(parent: Component, name: str) -> Component:
    component = parent.child(name)
    if component is None:
        raise DocumentError(f"{parent.place}: has no {name}")
    return component


def _find_secrets(root: Mapping[str, Any]) -> Iterator[str]:
    """Yield the names of the configuration that are marked as secrets, including the names in its groups."""
    waiting: list[Any] = [root.get("spec", {})]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting.extend(value)
        elif isinstance(value, Mapping):
            waiting.extend(value.values())
            properties = value.get("properties")
            for name, each in properties.items() if isinstance(properties, Mapping) else ():
                if isinstance(each, Mapping) and each.get("airbyte_secret"):
                    yield name


def _read_time_format(stream: Component) -> str:
    cursor = stream.child("incremental_sync")
    return "" if cursor is None else str(cursor.get("datetime_format", ""))


def _set_host(creation: Component, renderer: Renderer) -> None:
    try:
        base = renderer.text(creation, "url_base")
        if not base:
            # An address without a base: its host is that of the connection.
            url = renderer.text(creation, "url")
            scheme, _, rest = url.partition("://")
            base = f"{scheme}://{rest.partition('/')[0]}" if rest else ""
    except GapError as error:
        renderer.draft.add_gap(creation.place_of("url_base"), str(error))
        base = ""
    renderer.host = base.rstrip("/")
    renderer.draft.connection["host"] = renderer.host.replace(f"{{{CONNECTION}", "<").replace("}", ">")


def _read_status(retriever: Component, renderer: Renderer) -> None:
    draft = renderer.draft
    polling = _require(retriever, "polling_requester")
    request = read_request(polling, renderer, ("status",), default_method="")
    read_error_handler(polling, renderer, "status")
    extractor = retriever.child("status_extractor")
    if extractor is not None and (selector := read_field_path(extractor, renderer, ("status", "completion_key"))):
        request["completion_key"] = selector
    mapping = retriever.child("status_mapping")
    if mapping is not None:
        for key, names in _STATUSES.items():
            values = [value for name in names for value in mapping.items(name)]
            if values:
                request[key] = values[0] if len(values) == 1 else values
    status = draft.tables["status"] = {**request, **draft.tables["status"]}
    minutes = renderer.render(retriever.get("polling_job_timeout"), retriever.parameters, ("status", "timeout"))
    if isinstance(minutes, (int, float)):
        status["timeout"] = minutes * 60
    elif minutes is not None:
        message = f"{retriever.get('polling_job_timeout')} minutes; set the timeout of the task"
        draft.add_gap(retriever.place_of("polling_job_timeout"), message, ("status", "timeout"))
    seconds = retriever.get("failed_retry_wait_time_in_seconds")
    if isinstance(seconds, int):
        status |= {"resubmit": _RESUBMITS, "resubmit_delay": seconds}


def _read_fetch(retriever: Component, renderer: Renderer) -> None:
    draft = renderer.draft
    fetch = draft.tables["fetch"]
    targets = retriever.child("download_target_extractor", "urls_extractor")
    hop = retriever.child("download_target_requester", "url_requester")
    target = None if targets is None else read_field_path(targets, renderer, ("status", "capture"))
    if hop is not None:
        locate = read_request(hop, renderer, ("fetch", "locate"), default_method="")
        fetch["locate"] = {**locate, **({"capture": {TARGET: target}} if target else {})}
    elif target:
        draft.tables["status"].setdefault("capture", {})[TARGET] = target
    download = _require(retriever, "download_requester")
    fetch = draft.tables["fetch"] = {**read_request(download, renderer, ("fetch",), default_method=""), **fetch}
    read_error_handler(download, renderer, "fetch")
    read_download(retriever, renderer)
    read_paginator(retriever.child("download_paginator"), renderer)
    if download.child("authenticator") is not None and str(fetch.get("endpoint", "")).startswith(f"{{{TARGET}}}"):
        message = "the addresses of results get the credentials only on the connection's host; see trusted_hosts"
        draft.add_gap(download.place_of("authenticator"), message)


def _read_ending(retriever: Component, renderer: Renderer) -> None:
    """Set the requests that cancel a job, and that remove it."""
    tables = renderer.draft.tables
    if (abort := retriever.child("abort_requester")) is not None:
        request = read_request(abort, renderer, ("cancel",), default_method="POST")
        tables["cancel"] |= request
    if (delete := retriever.child("delete_requester")) is not None:
        # Without a method, a request that removes a job is a DELETE.
        request = read_request(delete, renderer, ("fetch", "cleanup"), default_method="DELETE")
        tables["fetch"]["cleanup"] = request
        tables["status"]["cleanup"] = request


def _complete_connection(draft: Draft, renderer: Renderer) -> None:
    """Add what the requests name to the connection, and forget descriptions of variables that none names."""
    used = {name for text in walk_strings(draft.tables) for name in find_variables(text)}
    names = sorted(name.removeprefix(CONNECTION) for name in used if name.startswith(CONNECTION))
    extra = draft.connection.setdefault("extra", {})
    for name in names:
        if name not in ("login", "password"):
            is_secret = name in renderer.secret_names or is_sensitive_name(name)
            group = "secrets" if is_secret else "variables"
            extra.setdefault(group, {}).setdefault(name, f"<{name}>")
    hosts = [
        text.partition("://")[2].partition("/")[0]
        for text in walk_strings({table: content.get("endpoint") for table, content in draft.tables.items()})
        if "://" in text
    ]
    own = renderer.host.partition("://")[2].partition("/")[0]
    hosts = [host for host in dict.fromkeys(hosts) if host != own]
    if hosts and draft.tables["connection"].get("auth", "none") != "none":
        draft.tables["connection"]["trusted_hosts"] = ", ".join(hosts)
    extra["profile"] = draft.name
    draft.variables = {name: meaning for name, meaning in draft.variables.items() if name in used}
