"""Manifests in the two generations of names, and what is imported from them."""

from __future__ import annotations

import json
from typing import Any

from airflow_provider_asyncapi.core.profiles.lint import find_mistakes
from airflow_provider_asyncapi.importing.airbyte.manifest import import_manifest
from airflow_provider_asyncapi.importing.documents import parse_document
from airflow_provider_asyncapi.importing.drafts import Draft

BEARER = {"type": "BearerAuthenticator", "api_token": "{{ config['api_key'] }}"}
STATUSES = {"running": ["QUEUED", "RUNNING"], "completed": ["DONE"], "failed": ["FAILED"], "timeout": ["EXPIRED"]}
SELECTOR = {"type": "RecordSelector", "extractor": {"type": "DpathExtractor", "field_path": []}}


def path(*keys: str) -> dict[str, Any]:
    return {"type": "DpathExtractor", "field_path": list(keys)}


def requester(endpoint: str, **keys: Any) -> dict[str, Any]:
    return {"type": "HttpRequester", "url_base": "https://api.example.com/v1", "path": endpoint, **keys}


def make_stream(**retriever: Any) -> dict[str, Any]:
    """Return an asynchronous stream with the names of today."""
    defaults = {
        "type": "AsyncRetriever",
        "status_mapping": STATUSES,
        "status_extractor": path("job", "state"),
        "download_target_extractor": path("urls"),
        "record_selector": SELECTOR,
        "creation_requester": requester("jobs", http_method="POST", authenticator=BEARER),
        "polling_requester": requester("jobs/{{ creation_response['job']['id'] }}"),
        "download_requester": {"type": "HttpRequester", "url_base": "{{ download_target }}"},
    }
    return {"type": "DeclarativeStream", "name": "orders", "retriever": {**defaults, **retriever}}


def make_manifest(*streams: Any, **keys: Any) -> dict[str, Any]:
    return {"version": "6.0.0", "type": "DeclarativeSource", "streams": list(streams), **keys}


def import_one(manifest: dict[str, Any], stream: str | None = None) -> Draft:
    """Return the only profile that a manifest becomes; `profiles check` has to accept it."""
    root = parse_document(json.dumps(manifest).encode(), "manifest.json")
    (draft,), _ = import_manifest(root, "manifest.json", stream)
    text = draft.format()
    assert find_mistakes(text) == []
    return draft


def gaps_of(draft: Draft) -> dict[str, str]:
    return {gap.place: gap.message for gap in draft.gaps}
