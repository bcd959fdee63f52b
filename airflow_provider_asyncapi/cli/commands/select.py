"""The command that shows what a selector finds in a saved response."""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path

from airflow_provider_asyncapi.cli.output import Output
from airflow_provider_asyncapi.cli.running import CommandError, ExitCode
from airflow_provider_asyncapi.cli.variables import parse_assignments
from airflow_provider_asyncapi.core.errors import ContentError
from airflow_provider_asyncapi.core.http.messages import Headers, Response, validate_header
from airflow_provider_asyncapi.core.json_values import JsonValue
from airflow_provider_asyncapi.core.selectors.selector import Selector
from airflow_provider_asyncapi.core.text import shorten

#: The maximum size of a saved response, in bytes.
_MAX_SIZE = 64 * 1024 * 1024
_STATUS_LINE = re.compile(rb"HTTP/[\d.]+ (?P<status>\d{3})[^\r\n]*\r?\n")
_END_OF_HEAD = re.compile(rb"\r?\n\r?\n")
_MAX_SHOWN = 60


def select(arguments: argparse.Namespace, output: Output) -> ExitCode:
    """Show what a selector finds in a saved response, or the nearest values and the reason if it finds nothing."""
    selector = Selector.parse(arguments.selector, "SELECTOR")
    variables = parse_assignments(arguments.var)
    response = _read_response(arguments)
    try:
        found = selector.find_all(response, variables)
        nearest = [] if found else selector.suggest(response, variables)
        reason = "" if found else selector.explain(response, variables, has_nearest=bool(nearest))
    except ContentError as error:
        raise CommandError(f"{arguments.file}: {error}") from None
    values = [(each, Selector.parse(each, "").find_value(response, {})) for each in nearest]
    if output.as_json:
        output.write_json(
            {
                "selector": selector.text,
                "found": found,
                "nearest": [{"selector": each, "value": value} for each, value in values],
                "reason": reason or None,
            }
        )
    elif found:
        for value in found:
            output.write(json.dumps(value, ensure_ascii=False))
    else:
        why = f": {reason}" if reason else ""
        output.write(f"{selector.text!r} finds nothing{why}{'; nearest is' if values else ''}")
        for each, value in values:
            output.write(f"  {each} = {_shorten(value)}")
    return ExitCode.OK if found else ExitCode.FAILED


def _shorten(value: JsonValue) -> str:
    return shorten(json.dumps(value, ensure_ascii=False), _MAX_SHOWN)


def _read_response(arguments: argparse.Namespace) -> Response:
    content = _read_content(arguments.file)
    status, fields = 200, list[tuple[str, str]]()
    # Of `curl --include`, which prints the heads of redirects and of a proxy too: the last head is that of the body.
    while match := _STATUS_LINE.match(content):
        status = int(match["status"])
        end = _END_OF_HEAD.search(content, match.end() - 2)
        if end is None:
            raise CommandError(f"{arguments.file}: begins as an HTTP response, but has no empty line after its headers")
        lines = content[match.end() : end.start()].decode("latin-1").splitlines()
        fields = [_parse_header(line, arguments.file) for line in lines if line.strip()]
        content = content[end.end() :]
    fields += [_parse_header(text, "--header") for text in arguments.header]
    return Response(arguments.status or status, Headers(fields), content)


def _read_content(name: str) -> bytes:
    try:
        if name == "-":
            content = sys.stdin.buffer.read(_MAX_SIZE + 1)
        else:
            with Path(name).open("rb") as stream:
                content = stream.read(_MAX_SIZE + 1)
    except OSError as error:
        raise CommandError(f"{name}: can't be read: {error.strerror}") from None
    if len(content) > _MAX_SIZE:
        raise CommandError(f"{name}: has more than {_MAX_SIZE} bytes; save a smaller response")
    return content


def _parse_header(text: str, where: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon:
        raise CommandError(f"{where}: {shorten(text, 80)!r} isn't a header; write it as 'Name: value'")
    return validate_header(name.strip(), value, where)
