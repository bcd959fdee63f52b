"""The bodies of requests: from the parameters to bytes and a content type."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from airflow_provider_asyncapi.core import templates
from airflow_provider_asyncapi.core.errors import ConfigurationError, UnsafeValueError
from airflow_provider_asyncapi.core.http.messages import parse_media_type, validate_header
from airflow_provider_asyncapi.core.json_values import as_list, as_text
from airflow_provider_asyncapi.core.templates import Variables
from airflow_provider_asyncapi.core.text import escape_xml

#: The parameters that make a body, as a request may have them.
BODY_PARAMETERS = ("json", "xml", "data", "files")


@dataclass(frozen=True, slots=True)
class Body:
    """
    The body of a request with its variables still in it.

    :param kind: one of :data:`BODY_PARAMETERS`; ``files`` may come with ``data`` for the other form fields.
    :param content: the value of the parameter.
    :param fields: the form fields beside the files.
    """

    kind: str
    content: Any
    fields: Mapping[str, Any] | None = None

    @classmethod
    def parse(cls, given: Mapping[str, Any], where: str) -> Body | None:
        """
        Read the body parameters of a request.

        :raises ConfigurationError: if there are two bodies, or one has the wrong type.
        """
        kinds = [name for name in BODY_PARAMETERS if given.get(name) is not None]
        if not kinds:
            return None
        if kinds == ["data", "files"]:
            if not isinstance(given["data"], Mapping):
                raise ConfigurationError(f"{where}: data beside files has to be a mapping of form fields")
            return cls("files", _check_files(given["files"], where), given["data"])
        if len(kinds) > 1:
            raise ConfigurationError(f"{where}: only one body is possible, but {' and '.join(kinds)} are given")
        (kind,) = kinds
        content = given[kind]
        if kind == "xml" and not isinstance(content, str):
            raise ConfigurationError(f"{where}: xml has to be a string, not {type(content).__name__}")
        if kind == "data" and not (isinstance(content, str | Mapping) or _is_list_of_pairs(content)):
            raise ConfigurationError(
                f"{where}: data has to be a string (text) or a mapping or list of pairs (a form),"
                f" not {type(content).__name__}"
            )
        if kind == "files":
            content = _check_files(content, where)
        return cls(kind, content)

    def render(self, variables: Variables) -> tuple[bytes, str]:
        """
        Return the bytes and the content type.

        :raises ConfigurationError: if the format can't represent a value.
        :raises UnsafeValueError: if a text contains half a character, which has no bytes.
        """
        try:
            return self._render(variables)
        except UnicodeEncodeError as error:
            raise UnsafeValueError(
                f"{self.kind}: holds half a character ({error.object[error.start]!a}), which can't be sent;"
                " the API that gave it has cut a text in two"
            ) from None

    def _render(self, variables: Variables) -> tuple[bytes, str]:
        if self.kind == "json":
            value = templates.render_json(self.content, variables)
            try:
                text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
            except (TypeError, ValueError, RecursionError) as error:
                raise ConfigurationError(f"json: {error}; write it as a string or a number") from None
            return text.encode(), "application/json"
        if self.kind == "xml":
            single = {name: templates.single_value(value) for name, value in variables.items()}
            text = templates.render_body(self.content, single, escape_xml)
            return text.encode(), "application/xml; charset=utf-8"
        if self.kind == "files":
            return _encode_multipart(self._render_file_parts(variables), self._render_form_fields(variables))
        if isinstance(self.content, str):
            return templates.render_body(self.content, variables).encode(), "text/plain; charset=utf-8"
        return urlencode(self._render_form_fields(variables)).encode(), "application/x-www-form-urlencoded"

    def _render_form_fields(self, variables: Variables) -> list[tuple[str, str]]:
        given = self.fields if self.kind == "files" else self.content
        pairs = given.items() if isinstance(given, Mapping) else given or ()
        rendered = ((name, templates.render_json(value, variables)) for name, value in pairs)
        return [(str(name), as_text(item)) for name, value in rendered for item in as_list(value)]

    def _render_file_parts(self, variables: Variables) -> list[tuple[str, str, str, str]]:
        """Return field name, file name, content type and content of each file."""
        parts = []
        for name, given in self.content.items():
            part = {"content": given} if isinstance(given, str) else given
            rendered = {key: as_text(templates.render_json(value, variables)) for key, value in part.items() if value}
            content_type = rendered.get("content_type", "application/octet-stream")
            validate_header("Content-Type", content_type, f"files[{name!r}].content_type")
            parts.append((str(name), rendered.get("filename", str(name)), content_type, rendered.get("content", "")))
        return parts


def _is_list_of_pairs(given: Any) -> bool:
    return isinstance(given, list | tuple) and all(isinstance(item, list | tuple) and len(item) == 2 for item in given)  # noqa: PLR2004 - a pair


def _check_files(files: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(files, Mapping):
        raise ConfigurationError(f"{where}: files has to be a mapping of field names, not {type(files).__name__}")
    for name, part in files.items():
        if not isinstance(part, str) and not (isinstance(part, Mapping) and isinstance(part.get("content"), str)):
            raise ConfigurationError(
                f"{where}: files[{name!r}] has to be the content as a string, or a mapping with content,"
                " and optionally filename and content_type"
            )
        if isinstance(part, Mapping) and (unknown := set(part) - {"content", "filename", "content_type"}):
            raise ConfigurationError(
                f"{where}: files[{name!r}] has the unknown key {min(map(str, unknown))!r};"
                " it may have content, filename and content_type"
            )
    return files


def _encode_multipart(files: list[tuple[str, str, str, str]], fields: list[tuple[str, str]]) -> tuple[bytes, str]:
    """Encode ``multipart/form-data`` (RFC 7578)."""
    parts: list[tuple[str, bytes]] = [
        (f'form-data; name="{_escape_name(name)}"', b"\r\n" + value.encode()) for name, value in fields
    ]
    for name, filename, content_type, content in files:
        disposition = f'form-data; name="{_escape_name(name)}"; filename="{_escape_name(filename)}"'
        parts.append((disposition, f"Content-Type: {content_type}\r\n\r\n{content}".encode()))
    # A boundary made of the content is as safe as a random one, and gives the same request each time.
    boundary = hashlib.sha256(b"\0".join(head.encode() + body for head, body in parts)).hexdigest()[:32]
    chunks = [f"--{boundary}\r\nContent-Disposition: {head}\r\n".encode() + body + b"\r\n" for head, body in parts]
    return b"".join(chunks) + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


def _escape_name(name: str) -> str:
    """Escape a name as browsers do (WHATWG HTML, multipart/form-data encoding algorithm)."""
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


def check_multipart(content_type: str, where: str) -> None:
    """
    Raise ConfigurationError if a Content-Type can't be that of a multipart body, whose boundary is added to it.

    :param where: the parameter with the Content-Type.
    """
    if parse_media_type(content_type) != "multipart/form-data":
        raise ConfigurationError(
            f"{where}: {content_type!r} can't be the Content-Type of files, which are sent as multipart/form-data; take"
            " it out"
        )
