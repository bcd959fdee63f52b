"""Run commands as a shell does."""

from __future__ import annotations

import io
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import conf

from airflow_provider_asyncapi.cli import waiting
from airflow_provider_asyncapi.cli.commands.registry import make_parser
from tests.unit.cli.exploring import FINISHED, RUNNING, respond
from tests.unit.fake_airflow import ApiServer
from tests.unit.stored_connections import open_connection_store


@dataclass(frozen=True)
class Done:
    """The end of a command."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def run(words: list[str]) -> None:
    arguments = make_parser("asyncapi").parse_args(words)
    arguments.func(arguments)


class Shell:
    """Runs commands in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self._capsys, self._monkeypatch = capsys, monkeypatch

    def __call__(self, *words: object, stdin: bytes = b"") -> Done:
        self._monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        self._capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            run([str(word) for word in words])
        out, err = self._capsys.readouterr()
        code = ended.value.code
        return Done(code if isinstance(code, int) else 0, out, err)


@pytest.fixture
def shell(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shell:
    # In its test mode, Airflow prints where its configuration is when that is read first.
    conf.get("core", "dags_folder")
    return Shell(capsys, monkeypatch)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Wait for nothing, and know for how long one would have."""
    found: list[float] = []
    monkeypatch.setattr(waiting, "pause", found.append)
    return found


@pytest.fixture
def connect(api: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Store a connection to the server in Airflow's database: a command has no supervisor to ask."""
    # The look-up sets the variable; what was set first is also undone.
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "server")
    # Where the host keeps login tokens: those of another test may be for a server that had the same port.
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with open_connection_store() as store_connection:

        def store(conn_id: str, *, extra: Any = None, **fields: Any) -> None:
            text = None if extra is None else json.dumps(extra)
            store_connection(**{"conn_id": conn_id, "conn_type": "asyncapi", "host": api.url, "extra": text, **fields})

        yield store


@pytest.fixture
def explore(shell: Any, api: Any, tmp_path: Path, pauses: list[float], monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)
    respond(api, RUNNING, FINISHED)

    def run(*commands: str, options: tuple[str, ...] = ()) -> Any:
        words = [word for command in commands for word in ("--curl", command.format(url=api.url))]
        return shell("explore", *words, "--name", "acme", *options)

    return run
