"""
The names that a kind of authentication uses only to read a connection, imported at their first use.

The kinds are imported for the connection form and the provider info, which read no connection. A test compares the two
lists of modules.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_asyncapi.core.lazy import load_lazily

if TYPE_CHECKING:
    from airflow_provider_asyncapi.core.auth.tokens import TokenSource
    from airflow_provider_asyncapi.core.requests.request_template import RequestTemplate
    from airflow_provider_asyncapi.core.selectors.captures import parse_captures
    from airflow_provider_asyncapi.core.selectors.selector import SelectorChain
    from airflow_provider_asyncapi.core.status.rules import Condition

__all__ = ["Condition", "RequestTemplate", "SelectorChain", "TokenSource", "parse_captures"]

__getattr__ = load_lazily(
    globals(),
    {
        "airflow_provider_asyncapi.core.auth.tokens": "TokenSource",
        "airflow_provider_asyncapi.core.requests.request_template": "RequestTemplate",
        "airflow_provider_asyncapi.core.selectors.captures": "parse_captures",
        "airflow_provider_asyncapi.core.selectors.selector": "SelectorChain",
        "airflow_provider_asyncapi.core.status.rules": "Condition",
    },
)
