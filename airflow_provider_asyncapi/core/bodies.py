"""Request bodies: what the author wrote, as bytes and a content type."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode
from xml.sax.saxutils import escape

from airflow_provider_asyncapi.core import templates
from airflow_provider_asyncapi.core.errors import ConfigurationError
from airflow_provider_asyncapi.core.templates import Variables
from airflow_provider_asyncapi.core.values import as_list, as_text

#: The parameters that make a body, as a request may have them.
BODY_PARAMETERS = ("json", "xml", "data", "files")

_XML_QUOTES = {'"': "&quot;", "'": "&apos;"}


@dataclass(frozen=True, slots=True)
class Body:
    """
    The body of a request with its variables still in it.

    :param kind: one of :data:`BODY_PARAMETERS`; ``files`` may come with ``data`` for the other form fields.
    :param content: what the author wrote.
    :param fields: the form fields beside the files.
    """

    kind: str
    content: Any
    fields: Mapping[str, Any] | None = None

    @classmethod
    def parse(cls, given: Mapping[str, Any], where: str) -> Body | None:
        """
        Read the body parameters of a request.

        :raises ConfigurationError: on two bodies, or one of the wrong type.
        """
        kinds = [name for name in BODY_PARAMETERS if given.get(name) is not None]
        if not kinds:
            return None
        if kinds == ["data", "files"]:
            if not isinstance(given["data"], Mapping):
                raise ConfigurationError(f"{where}: data beside files has to be a mapping of form fields")
            return cls("files", _checked_files(given["files"], where), given["data"])
        if len(kinds) > 1:
            raise ConfigurationError(f"{where}: one body only, but {' and '.join(kinds)} are given")
        (kind,) = kinds
        content = given[kind]
        if kind == "xml" and not isinstance(content, str):
            raise ConfigurationError(f"{where}: xml has to be a string, not {type(content).__name__}")
        if kind == "data" and not isinstance(content, str | Mapping | list):
            raise ConfigurationError(
                f"{where}: data has to be a string (text) or a mapping or list of pairs (a form),"
                f" not {type(content).__name__}"
            )
        if kind == "files":
            content = _checked_files(content, where)
        return cls(kind, content)

    def render(self, variables: Variables) -> tuple[bytes, str]:
        """Give the bytes and the content type."""
        if self.kind == "json":
            value = templates.render_json(self.content, variables)
            text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
            return text.encode(), "application/json"
        if self.kind == "xml":
            text = templates.render_body(self.content, variables, lambda value: escape(value, _XML_QUOTES))
            return text.encode(), "application/xml; charset=utf-8"
        if self.kind == "files":
            return _multipart(templates.render_json(self.content, variables), self._form_fields(variables))
        if isinstance(self.content, str):
            return templates.render_body(self.content, variables).encode(), "text/plain; charset=utf-8"
        return urlencode(self._form_fields(variables)).encode(), "application/x-www-form-urlencoded"

    def _form_fields(self, variables: Variables) -> list[tuple[str, str]]:
        given = self.fields if self.kind == "files" else self.content
        pairs = given.items() if isinstance(given, Mapping) else given or ()
        rendered = ((name, templates.render_json(value, variables)) for name, value in pairs)
        return [(name, as_text(item)) for name, value in rendered for item in as_list(value)]


def _checked_files(files: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(files, Mapping):
        raise ConfigurationError(f"{where}: files has to be a mapping of field names, not {type(files).__name__}")
    for name, part in files.items():
        if not isinstance(part, str) and not (isinstance(part, Mapping) and isinstance(part.get("content"), str)):
            raise ConfigurationError(
                f"{where}: files[{name!r}] has to be the content as a string, or a mapping with content,"
                " and optionally filename and content_type"
            )
    return files


def _multipart(files: Mapping[str, Any], fields: list[tuple[str, str]]) -> tuple[bytes, str]:
    """Encode ``multipart/form-data`` (RFC 7578)."""
    parts: list[tuple[str, bytes]] = [
        (f'form-data; name="{_quoted(name)}"', b"\r\n" + value.encode()) for name, value in fields
    ]
    for name, given in files.items():
        part = {"content": given} if isinstance(given, str) else given
        disposition = f'form-data; name="{_quoted(name)}"; filename="{_quoted(part.get("filename") or name)}"'
        content_type = part.get("content_type") or "application/octet-stream"
        parts.append((disposition, f"Content-Type: {content_type}\r\n\r\n{part['content']}".encode()))
    # A boundary made of the content is as safe as a random one, and gives the same request each time.
    boundary = hashlib.sha256(b"\0".join(head.encode() + body for head, body in parts)).hexdigest()[:32]
    chunks = [
        f"--{boundary}\r\nContent-Disposition: {head}\r\n".encode() + body + b"\r\n" for head, body in parts
    ]
    return b"".join(chunks) + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


def _quoted(name: str) -> str:
    """Escape a name as browsers do (WHATWG HTML, multipart/form-data encoding algorithm)."""
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
