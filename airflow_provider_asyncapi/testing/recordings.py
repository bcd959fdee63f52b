"""
Recordings: requests and responses in a YAML file that people can read and edit.

::

    exchanges:
      - request: {method: POST, url: /exports, body: {table: orders}}
        response: {status: 201, body: {id: "7"}}

A URL without a host is below the URL of the connection. A body that is a mapping or a list is JSON, a string is text,
and ``body_base64`` is for other bytes. In a request, ``***`` stands for any text, ``headers`` are those that it has to
have, and a ``body`` that is left out may be anything. In a response, ``{base_url}`` stands for the URL of the
connection.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TypeAlias

import yaml

from airflow_provider_asyncapi.core.foreign_names import describe_unknown_key
from airflow_provider_asyncapi.core.json_values import JsonValue

#: Largest recording that is read, in bytes.
_MAX_SIZE = 32 * 1024 * 1024
_REQUEST_KEYS = frozenset({"method", "url", "headers", "body"})
_RESPONSE_KEYS = frozenset({"status", "headers", "body", "body_base64"})


#: The keys and indexes that lead to a value.
_Path: TypeAlias = tuple[str | int, ...]


class RecordingError(ValueError):
    """A recording is malformed; the message has the file, the line and the place."""


class _MistakeError(Exception):
    """A value of a recording is wrong."""

    def __init__(self, path: _Path, problem: str) -> None:
        super().__init__(problem)
        self.path = path

    def describe(self, file: str, text: str) -> str:
        """Return the message with the place in the file."""
        place = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in self.path).lstrip(".")
        return f"{file}:{_find_line(text, self.path)}: {place}{': ' * bool(place)}{self}"


@dataclass(frozen=True, slots=True)
class RecordedRequest:
    """
    A request that is expected.

    :param method: upper case.
    :param url: a path with its query, or an absolute URL.
    :param headers: the headers that it has to have, names in lower case.
    :param body: a mapping or a list for JSON, a string for text; None for any body.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: JsonValue = None

    def __str__(self) -> str:
        return f"{self.method} {self.url}"


@dataclass(frozen=True, slots=True)
class RecordedResponse:
    """
    A response.

    :param status: the status code.
    :param headers: the headers.
    :param body: the body as bytes.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class RecordedExchange:
    """A request, and the response to it."""

    request: RecordedRequest
    response: RecordedResponse


@dataclass(frozen=True, slots=True)
class Recording:
    """
    Requests and responses.

    :param exchanges: in the order in which they were recorded.
    """

    exchanges: tuple[RecordedExchange, ...]

    @classmethod
    def read(cls, path: Path | str) -> Self:
        """
        Read a file.

        :raises RecordingError: if it is malformed.
        """
        file = Path(path)
        if file.stat().st_size > _MAX_SIZE:
            raise RecordingError(f"{path}: has more than {_MAX_SIZE} bytes; record a smaller result")
        try:
            text = file.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise RecordingError(f"{path}: isn't UTF-8 text, at byte {error.start}") from None
        return cls.parse(text, str(path))

    @classmethod
    def parse(cls, text: str, where: str = "recording") -> Self:
        """
        Parse the text of a file.

        :param where: the name of the file, for messages.
        :raises RecordingError: if it is malformed.
        """
        try:
            # Aliases aren't needed here, and a few of them can stand for gigabytes.
            if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=yaml.SafeLoader)):
                raise RecordingError(f"{where}: YAML aliases (*name) aren't supported; write the value itself")
            content = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise RecordingError(f"{where}: isn't YAML: {' '.join(str(error).split())}") from None
        try:
            return cls(_parse_exchanges(content))
        except _MistakeError as mistake:
            raise RecordingError(mistake.describe(where, text)) from None

    def dump(self) -> str:
        """Return the recording as the text of a file."""
        content = {"exchanges": [_dump_exchange(each) for each in self.exchanges]}
        text: str = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120)
        return text


def _find_line(text: str, path: _Path) -> int:
    """Return the line of a value, or of what would contain it if it is missing."""
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    line = 0
    for step in path:
        if isinstance(node, yaml.MappingNode):
            key, node = next((pair for pair in node.value if pair[0].value == str(step)), (None, None))
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int):
            key = node = node.value[step]
        else:
            break
        line = line if key is None else key.start_mark.line
    return line + 1


def _check_keys(given: Any, known: frozenset[str], path: _Path) -> None:
    if not isinstance(given, Mapping):
        raise _MistakeError(path, f"has to be a mapping with {', '.join(sorted(known))}, not {given!r}")
    if unknown := sorted(map(str, given.keys() - known)):
        problem = describe_unknown_key(unknown[0], known)
        raise _MistakeError((*path, unknown[0]), f"{problem}; known are {', '.join(sorted(known))}")


def _parse_exchanges(content: Any) -> tuple[RecordedExchange, ...]:
    _check_keys(content, frozenset({"exchanges"}), ())
    exchanges = content.get("exchanges")
    if not isinstance(exchanges, list):
        raise _MistakeError(("exchanges",), f"has to be a list, not {exchanges!r}")
    return tuple(_parse_exchange(each, ("exchanges", index)) for index, each in enumerate(exchanges))


def _parse_exchange(given: Any, path: _Path) -> RecordedExchange:
    _check_keys(given, frozenset({"request", "response"}), path)
    request, response = given.get("request"), given.get("response", {})
    _check_keys(request, _REQUEST_KEYS, (*path, "request"))
    _check_keys(response, _RESPONSE_KEYS, (*path, "response"))
    for name in ("method", "url"):
        if not isinstance(request.get(name), str):
            raise _MistakeError((*path, "request", name), f"has to be a string, not {request.get(name)!r}")
    status = response.get("status", 200)
    if isinstance(status, bool) or not isinstance(status, int) or not 100 <= status < 600:  # noqa: PLR2004 - codes
        raise _MistakeError((*path, "response", "status"), f"has to be a status code, not {status!r}")
    headers = _parse_headers(response.get("headers", {}), (*path, "response", "headers"))
    body = _parse_body(response, (*path, "response"))
    if isinstance(response.get("body"), dict | list):
        headers = {"content-type": "application/json", **headers}
    return RecordedExchange(
        RecordedRequest(
            request["method"].upper(),
            request["url"],
            _parse_headers(request.get("headers", {}), (*path, "request", "headers")),
            request.get("body"),
        ),
        RecordedResponse(status, headers, body),
    )


def _parse_headers(given: Any, path: _Path) -> dict[str, str]:
    if not isinstance(given, Mapping):
        raise _MistakeError(path, f"has to be a mapping of names to values, not {given!r}")
    return {str(name).lower(): str(value) for name, value in given.items()}


def _parse_body(response: Mapping[str, Any], path: _Path) -> bytes:
    if "body_base64" in response:
        try:
            return base64.b64decode(response["body_base64"], validate=True)
        except (TypeError, ValueError, binascii.Error):
            raise _MistakeError((*path, "body_base64"), "isn't Base64") from None
    body = response.get("body")
    if body is None:
        return b""
    return (body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)).encode()


def _dump_exchange(exchange: RecordedExchange) -> dict[str, Any]:
    request, response = exchange.request, exchange.response
    asked: dict[str, Any] = {"method": request.method, "url": request.url}
    if request.headers:
        asked["headers"] = dict(request.headers)
    if request.body is not None:
        asked["body"] = request.body
    answered: dict[str, Any] = {"status": response.status}
    if response.headers:
        answered["headers"] = dict(response.headers)
    if response.body:
        answered |= _dump_body(response)
    return {"request": asked, "response": answered}


def _dump_body(response: RecordedResponse) -> dict[str, Any]:
    try:
        text = response.body.decode()
    except UnicodeDecodeError:
        return {"body_base64": base64.b64encode(response.body).decode()}
    if "json" in response.headers.get("content-type", ""):
        try:
            value = json.loads(text)
        except ValueError:
            return {"body": text}
        return {"body": value if isinstance(value, dict | list) else text}
    return {"body": text}
