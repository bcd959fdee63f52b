"""The commands that turn descriptions of other tools into profiles."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from airflow_provider_asyncapi.cli.output import Output
from airflow_provider_asyncapi.cli.running import CommandError, ExitCode
from airflow_provider_asyncapi.importing.airbyte.manifest import import_manifest
from airflow_provider_asyncapi.importing.arazzo import import_workflow, list_sources, list_workflows
from airflow_provider_asyncapi.importing.documents import MAX_BYTES, parse_document
from airflow_provider_asyncapi.importing.drafts import Draft, Gap
from airflow_provider_asyncapi.importing.openapi.operations import Document, find_candidates
from airflow_provider_asyncapi.importing.openapi.profile import import_operation

_STDIN = "-"


def import_airbyte(arguments: argparse.Namespace, output: Output) -> ExitCode:
    """Write a profile for each asynchronous stream of a manifest of Airbyte."""
    root, name = _read(arguments.manifest)
    drafts, gaps = import_manifest(root, name, arguments.stream)
    return _write(drafts, gaps, arguments, output)


def import_openapi(arguments: argparse.Namespace, output: Output) -> ExitCode:
    """Write a profile for an operation of an OpenAPI document, or list the operations that may start jobs."""
    root, name = _read(arguments.document)
    if arguments.operation is not None:
        return _write([import_operation(root, name, arguments.operation)], [], arguments, output)
    candidates = find_candidates(Document(root, name))
    if output.as_json:
        output.write_json(
            [
                {
                    "operation": candidate.operation.name,
                    "method": candidate.operation.method,
                    "path": candidate.operation.path,
                    "reasons": candidate.reasons,
                }
                for candidate in candidates
            ]
        )
    elif candidates:
        output.write_table(
            [
                (each.operation.name, f"{each.operation.method} {each.operation.path}", ", ".join(each.reasons))
                for each in candidates
            ]
        )
    else:
        output.write("no operation is described as asynchronous; name one by its operationId, or method and path")
    return ExitCode.OK if candidates else ExitCode.FAILED


def import_arazzo(arguments: argparse.Namespace, output: Output) -> ExitCode:
    """Write a draft of a profile for a workflow of an Arazzo document, or list its workflows."""
    root, name = _read(arguments.document)
    workflows = list_workflows(root, name)
    chosen = arguments.workflow or (next(iter(workflows)) if len(workflows) == 1 else None)
    if chosen is None:
        listed = [{"workflow": each, "summary": str(values.get("summary", ""))} for each, values in workflows.items()]
        if output.as_json:
            output.write_json(listed)
        else:
            output.write_table([(each["workflow"], each["summary"]) for each in listed])
        return ExitCode.OK
    sources = _read_sources(root, arguments)
    given = {"success": arguments.success, "failure": arguments.failure}
    return _write([import_workflow(root, name, chosen, sources=sources, **given)], [], arguments, output)


def _read_sources(root: Mapping[str, Any], arguments: argparse.Namespace) -> dict[str, Document]:
    """Return the OpenAPI documents of an Arazzo document: the given ones, and files beside it."""
    given = dict(each.partition("=")[::2] for each in arguments.source)
    folder = Path() if arguments.document == _STDIN else Path(arguments.document).parent
    sources = list_sources(root)
    if unknown := [name for name in given if name not in sources]:
        raise CommandError(f"--source {unknown[0]}: isn't one of the sources of the document: {', '.join(sources)}")
    documents = {}
    for name, url in sources.items():
        file = Path(given[name]) if name in given else folder / url
        if name in given or ("://" not in url and file.is_file()):
            documents[name] = Document(*_read(str(file)))
    return documents


def _read(argument: str) -> tuple[dict[str, Any], str]:
    """Return the content of a document, and its name for messages."""
    if argument == _STDIN:
        return parse_document(sys.stdin.buffer.read(MAX_BYTES + 1), "standard input"), "standard input"
    file = Path(argument)
    try:
        with file.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise CommandError(f"{file}: can't be read: {error.strerror}") from None
    return parse_document(content, file.name), file.name


def _write(drafts: Sequence[Draft], gaps: Sequence[Gap], arguments: argparse.Namespace, output: Output) -> ExitCode:
    """
    Write the profiles, and print what is needed to use them.

    :param gaps: what isn't carried over from the document as a whole.
    """
    folder = Path(arguments.output)
    texts = {folder / f"{draft.name}.toml": draft.format() for draft in drafts}
    if not arguments.overwrite and (existing := [file for file in texts if file.exists()]):
        raise CommandError(f"{existing[0]}: exists already; use --overwrite, or another --output")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file, text in texts.items():
            file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise CommandError(f"{error.filename}: can't be written: {error.strerror}") from None
    if output.as_json:
        profiles = [_dump(draft, file) for draft, file in zip(drafts, texts, strict=True)]
        output.write_json({"profiles": profiles, "not_carried_over": [_dump_gap(gap) for gap in gaps]})
        return ExitCode.OK
    for draft, file in zip(drafts, texts, strict=True):
        output.write(str(file))
        output.write(f"  connection: {json.dumps(draft.connection, ensure_ascii=False)}")
        for name, meaning in draft.variables.items():
            output.write(f"  variable {name}: {meaning}")
        for gap in draft.gaps:
            output.write(f"  not carried over: {gap}")
    for gap in gaps:
        output.write(f"not carried over: {gap}")
    output.write(f"{len(drafts)} profile{'s' * (len(drafts) != 1)} written")
    return ExitCode.OK


def _dump(draft: Draft, file: Path) -> dict[str, Any]:
    return {
        "name": draft.name,
        "file": str(file),
        "connection": draft.connection,
        "variables": draft.variables,
        "not_carried_over": [_dump_gap(gap) for gap in draft.gaps],
    }


def _dump_gap(gap: Gap) -> dict[str, str]:
    return {"place": gap.place, "message": gap.message}
