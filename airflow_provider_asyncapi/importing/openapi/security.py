"""Security schemes: the kind of authentication, and the fields of the connection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_asyncapi.importing.drafts import Draft, list_or_empty, mapping_or_empty
from airflow_provider_asyncapi.importing.openapi.operations import Document, Operation

#: The kinds of authentication for the schemes of HTTP.
_HTTP_SCHEMES = {"basic": "basic", "bearer": "bearer", "digest": "digest"}
#: The kinds of authentication for the flows of OAuth 2; that of the first flow that is there is taken.
_FLOWS = {
    "clientCredentials": "oauth2",
    "password": "oauth2_password",
    "authorizationCode": "oauth2_refresh",
}


def read_security(document: Document, operation: Operation, draft: Draft) -> None:
    """Set the authentication of a profile and of its connection; what has no counterpart becomes a gap."""
    requirements = operation.values.get("security", document.root.get("security"))
    choices = [mapping_or_empty(each) for each in list_or_empty(requirements)]
    if not choices or {} in choices:
        draft.tables["connection"]["auth"] = "none"
        return
    schemes = mapping_or_empty(mapping_or_empty(document.root.get("components")).get("securitySchemes"))
    problems: list[tuple[str, str]] = []
    for choice in choices:
        problem = ""
        for index, (name, scopes) in enumerate(choice.items()):
            place = f"components.securitySchemes.{name}"
            scheme = document.mapping(schemes.get(name), place)
            problem = (
                _read_scheme(scheme, list_or_empty(scopes), draft) if index == 0 else _add_scheme(scheme, name, draft)
            )
            if problem:
                problems.append((place, problem))
                break
        if not problem:
            return
    draft.add_gap(*problems[0], ("connection", "auth"))


def _read_scheme(scheme: Mapping[str, Any], scopes: list[str], draft: Draft) -> str:
    """Set the authentication of a scheme; return what keeps it from being set."""
    table, connection = draft.tables["connection"], draft.connection
    match scheme.get("type"):
        case "http" if (kind := _HTTP_SCHEMES.get(str(scheme.get("scheme", "")).lower())) is not None:
            table["auth"] = kind
            if kind != "bearer":
                connection["login"] = "<login>"
            connection["password"] = "<token>" if kind == "bearer" else "<password>"
        case "apiKey" if scheme.get("in") in ("header", "query"):
            table |= {"auth": "api_key", "key_name": str(scheme.get("name"))}
            if scheme["in"] == "query":
                table["key_in"] = "query"
            connection["password"] = "<key>"  # noqa: S105 - to be filled in
        case "oauth2":
            return _read_flow(mapping_or_empty(scheme.get("flows")), scopes, draft)
        case kind:
            detail = scheme.get("scheme") or scheme.get("in") or ""
            return f"no kind of authentication does the same as {kind} {detail}".rstrip()
    return ""


def _read_flow(flows: Mapping[str, Any], scopes: list[str], draft: Draft) -> str:
    for name, kind in _FLOWS.items():
        flow = mapping_or_empty(flows.get(name))
        if not flow.get("tokenUrl"):
            continue
        table, connection = draft.tables["connection"], draft.connection
        table |= {"auth": kind, "oauth2_url": flow["tokenUrl"]}
        if scopes:
            table["scope"] = " ".join(map(str, scopes))
        is_password = kind == "oauth2_password"
        connection["login"] = "<user>" if is_password else "<client_id>"
        connection["password"] = "<password>" if is_password else "<client_secret>"
        extra = {"client_id": "<client_id>"} if is_password else {}
        if kind == "oauth2_refresh":
            extra = {"refresh_token": "<refresh_token>"}
        connection.setdefault("extra", {}).update(extra)
        return ""
    return f"OAuth 2 by {', '.join(flows) or 'no flow'}: a task has no browser"


def _add_scheme(scheme: Mapping[str, Any], name: str, draft: Draft) -> str:
    """Add a further scheme, which a request has to meet too: an API key in a header."""
    if scheme.get("type") == "apiKey" and scheme.get("in") == "header":
        extra = draft.connection.setdefault("extra", {})
        extra.setdefault("secret_headers", {})[str(scheme.get("name"))] = f"<{name}>"
        return ""
    return f"a request has to meet {name} too"
