"""Run commands as a shell does."""

from __future__ import annotations

import io
import json
import sys
from dataclasses import dataclass
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import conf

from airflow_provider_asyncapi.cli.definition import make_parser


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
