"""The transcripts of the guide to the command line are what the commands print."""

from __future__ import annotations

import re
import shlex

import pytest

from airflow_provider_asyncapi.cli.definition import make_parser
from tests.docs.snippets import Snippet, snippets

GUIDE = "docs/guides/command_line.md"
TRANSCRIPTS = [each for each in snippets("console") if each.key == "transcript"]
#: What differs from run to run.
DURATION = re.compile(r"\b\d+\.\d+ s\b")


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Have the files that the guide shows in the current folder."""
    for each in snippets("toml", "json"):
        if each.file == GUIDE and each.key == "file":
            (tmp_path / each.value).write_text(each.text)
    monkeypatch.chdir(tmp_path)


def run(command: str, capsys: pytest.CaptureFixture[str]) -> str:
    words = shlex.split(command)
    assert words[:2] == ["airflow", "asyncapi"]
    arguments = make_parser("airflow asyncapi").parse_args(words[2:])
    with pytest.raises(SystemExit):
        arguments.func(arguments)
    return "".join(capsys.readouterr())


@pytest.mark.parametrize("snippet", TRANSCRIPTS, ids=str)
def test_a_transcript_is_what_the_commands_print(snippet: Snippet, files, capsys):
    shown = snippet.text
    printed = "".join(f"$ {line[2:]}\n" + run(line[2:], capsys) for line in shown.splitlines() if line.startswith("$ "))
    assert DURATION.sub("0.0 s", printed) == DURATION.sub("0.0 s", shown)


def test_each_transcript_is_replayed():
    assert [each for each in snippets("console") if each.key != "transcript"] == []
