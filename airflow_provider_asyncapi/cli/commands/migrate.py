"""The command that prints the equivalents of HttpOperator and HttpSensor."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from airflow_provider_asyncapi.cli.output import Output
from airflow_provider_asyncapi.cli.running import CommandError, ExitCode
from airflow_provider_asyncapi.importing.http_dags.equivalent import Equivalent, Note
from airflow_provider_asyncapi.importing.http_dags.equivalents import write_equivalents
from airflow_provider_asyncapi.importing.http_dags.tasks import MAX_BYTES, DagFile, read_dag_file

_MODULES = {
    "AsyncApiJobOperator": "airflow_provider_asyncapi.operators.job",
    "AsyncApiFetchOperator": "airflow_provider_asyncapi.operators.asyncapi",
    "AsyncApiTriggerOperator": "airflow_provider_asyncapi.operators.asyncapi",
    "AsyncApiSensor": "airflow_provider_asyncapi.sensors.asyncapi",
}


def migrate(arguments: argparse.Namespace, output: Output) -> ExitCode:
    """Print the equivalent of each task of the http provider in a DAG file."""
    file = _read_file(arguments.file)
    found = write_equivalents(file)
    loops = [
        Note(
            line,
            f"{function}() polls in a loop and holds a worker meanwhile; describe the job as AsyncApiJobOperator"
            " (docs/guides/migrating.md)",
        )
        for line, function in file.loops
    ]
    if output.as_json:
        output.write_json({"tasks": [_dump(each) for each in found], "loops": [_dump_note(each) for each in loops]})
    else:
        _write(output, arguments.file, found, loops)
    return ExitCode.OK if found or loops else ExitCode.FAILED


def _read_file(name: str) -> DagFile:
    try:
        with Path(name).open("rb") as stream:
            return read_dag_file(stream.read(MAX_BYTES + 1), name)
    except OSError as error:
        raise CommandError(f"{name}: can't be read: {error.strerror}") from None


def _write(output: Output, name: str, found: Sequence[Equivalent], loops: Sequence[Note]) -> None:
    """Write Python: what has to be looked at is in comments."""
    if not found and not loops:
        output.write(f"{name}: contains no HttpOperator, no HttpSensor and no loop that polls")
    kinds = sorted({each.kind for each in found})
    for module in sorted({_MODULES[kind] for kind in kinds}):
        output.write(f"from {module} import {', '.join(kind for kind in kinds if _MODULES[kind] == module)}")
    if found:
        connections = ", ".join(sorted({each.connection for each in found}))
        output.write("")
        output.write(f"# Connections of type asyncapi with the same host and credentials: {connections}")
    for each in found:
        output.write("")
        for note in each.notes:
            output.write(f"# {name}:{note.line}: {note.message}")
        output.write(each.source.rstrip())
    if loops:
        output.write("")
    for note in loops:
        output.write(f"# {name}:{note.line}: {note.message}")


def _dump(equivalent: Equivalent) -> dict[str, Any]:
    return {
        "replaces": [{"task_id": task.task_id, "class": task.kind, "line": task.line} for task in equivalent.tasks],
        "class": equivalent.kind,
        "source": equivalent.source,
        "notes": [_dump_note(note) for note in equivalent.notes],
    }


def _dump_note(note: Note) -> dict[str, Any]:
    return {"line": note.line, "message": note.message}
