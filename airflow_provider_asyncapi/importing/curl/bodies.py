"""The bodies of cURL commands: from options such as ``--data`` to the parameters of a request."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

from airflow_provider_asyncapi.core.errors import ConfigurationError
from airflow_provider_asyncapi.core.http.messages import parse_media_type
from airflow_provider_asyncapi.importing.curl.options import Option

_JSON = "application/json"
_FORM = "application/x-www-form-urlencoded"


class CurlBody:
    """
    The body of one command.

    :ivar files: the files that it names.
    :ivar method: the method that it implies; None if there is no body, or the usual method.
    """

    def __init__(self) -> None:
        self.files: list[str] = []
        self.method: str | None = None
        self._texts: list[str] = []
        self._file: str | None = None
        self._is_json = False
        self._fields: dict[str, Any] = {}
        self._parts: dict[str, Any] = {}
        self._is_multipart = False

    def add(self, option: Option) -> None:
        """
        Add what an option puts into the body.

        :raises ConfigurationError: if it can't be carried over.
        """
        name, value = option.name, option.value
        if name == "upload-file":
            self._set_file(value, option)
            self.method = "PUT"
        elif name in {"form", "form-string"}:
            self._is_multipart = True
            self._add_part(option)
        elif name == "data-urlencode":
            self._add_encoded(option)
        elif value.startswith("@") and name != "data-raw":
            self._is_json |= name == "json"
            self._set_file(value[1:], option)
        else:
            self._is_json |= name == "json"
            if name == "json" and self._texts:
                # Several --json are one document.
                self._texts[-1] += value
            else:
                self._texts.append(value)
        self.method = self.method or "POST"
        if self._file is not None and self._texts:
            raise ConfigurationError(f"cURL command: {option.word.place}: a body is either a file or text")

    def take_text(self) -> str:
        """Return the data as a query, and remove it from the body."""
        texts, self._texts, self.method = self._texts, [], None
        return "&".join(texts)

    def make(self, content_type: str | None, notices: list[str]) -> tuple[Mapping[str, Any], str | None]:
        """
        Return the body as parameters of a request, and the Content-Type that it needs as a header.

        :param content_type: the Content-Type of the command.
        :param notices: takes sentences about what is changed.
        """
        if self._is_multipart:
            # Only the client knows the boundary.
            return {"files": self._parts, **({"data": self._fields} if self._fields else {})}, None
        if self._file is not None:
            kind = content_type or (_JSON if self._is_json else _FORM if self.method == "POST" else None)
            return {"body": {"path": self._file, **({"content_type": kind} if kind else {})}}, None
        text = "&".join(self._texts)
        if not text:
            return {}, content_type
        if self._is_json:
            content_type = content_type or _JSON
        media_type = parse_media_type(content_type or "")
        if media_type == _JSON or media_type.endswith("+json") or not media_type:
            value = _read_json(text)
            if value is not None:
                if not media_type:
                    notices.append("the data is sent as JSON; cURL would call it a form without a Content-Type header")
                return {"json": value}, None if media_type in {_JSON, ""} else content_type
        if media_type in {"", _FORM} and (fields := _read_form(text)) is not None:
            return {"data": fields}, None
        return {"data": text}, content_type or _FORM

    def _set_file(self, path: str, option: Option) -> None:
        if path in {"", "-", "."}:
            raise ConfigurationError(f"cURL command: {option.word.place}: the standard input isn't sent; name a file")
        if self._file is not None:
            raise ConfigurationError(f"cURL command: {option.word.place}: only one file can be the body")
        self._file = path
        self.files.append(path)

    def _add_encoded(self, option: Option) -> None:
        """Add ``--data-urlencode``: ``content``, ``=content`` or ``name=content``."""
        name, equals, content = option.value.partition("=")
        if "@" in name or (not equals and "@" in option.value):
            raise ConfigurationError(
                f"cURL command: {option.word.place}: a file in --data-urlencode can't be carried over; write the text"
                " itself"
            )
        if not equals:
            self._texts.append(quote(option.value, safe=""))
        else:
            self._texts.append(f"{name}={quote(content, safe='')}" if name else quote(content, safe=""))

    def _add_part(self, option: Option) -> None:
        """Add ``-F``: ``name=text`` or ``name=@file;type=…;filename=…``."""
        name, equals, value = option.value.partition("=")
        if not equals:
            raise ConfigurationError(f"cURL command: {option.word.place}: -F has to be name=value")
        if option.name == "form-string" or not value.startswith(("@", "<")):
            self._add_field(name, value if option.name == "form-string" else value.partition(";type=")[0])
            return
        if value.startswith("<"):
            raise ConfigurationError(
                f"cURL command: {option.word.place}: a field with the text of a file can't be carried over; write the"
                " text itself, or send the file with @"
            )
        path, *attributes = value[1:].split(";")
        path = path.strip('"')
        part: dict[str, Any] = {"path": path}
        for attribute in attributes:
            key, _, content = attribute.strip().partition("=")
            if key in {"type", "filename"}:
                part["content_type" if key == "type" else key] = content.strip('"')
        self._parts[name] = part
        self.files.append(path)

    def _add_field(self, name: str, value: str) -> None:
        _collect(self._fields, [(name, value)])


def _read_json(text: str) -> Any:
    """Return JSON that TOML can represent; None for anything else."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict | list) and not _contains_null(value) else None


def _contains_null(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(map(_contains_null, value.values()))
    return any(map(_contains_null, value)) if isinstance(value, list) else value is None


def _read_form(text: str) -> dict[str, Any] | None:
    """Return the fields of a form; None if the text isn't one."""
    try:
        pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=True)
    except ValueError:
        return None
    fields: dict[str, Any] = {}
    _collect(fields, pairs)
    return fields if urlencode(pairs).count("&") == text.count("&") else None


def _collect(fields: dict[str, Any], pairs: Iterable[tuple[str, str]]) -> None:
    """Add pairs to a mapping; repeated names get a list."""
    for name, value in pairs:
        if name not in fields:
            fields[name] = value
        elif isinstance(fields[name], list):
            fields[name].append(value)
        else:
            fields[name] = [fields[name], value]
