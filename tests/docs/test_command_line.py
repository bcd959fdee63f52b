"""The transcripts of the guide to the command line are what the commands print."""

from __future__ import annotations

import re
import shlex

import pytest
from airflow.providers.common.compat.sdk import conf

from airflow_provider_asyncapi.cli import waiting
from airflow_provider_asyncapi.cli.definition import make_parser
from tests.docs.snippets import Snippet, snippets
from tests.unit.fake_airflow import ApiServer, reply

GUIDE = "docs/guides/command_line.md"
TRANSCRIPTS = [each for each in snippets("console") if each.key == "transcript"]
#: What differs from run to run.
DURATION = re.compile(r"\b\d+\.\d+ s\b")


#: The API of the guide, which the test replaces by a server of its own.
API = "https://api.example.com"


@pytest.fixture
def api(monkeypatch):
    """Have the API that the guide tries, with jobs that are over as soon as they are polled again."""
    # In its test mode, Airflow prints where its configuration is when that is read first.
    conf.get("core", "dags_folder")
    monkeypatch.setattr(waiting, "pause", lambda _seconds: None)
    with ApiServer() as server:
        server.respond_to("POST /v1/exports", reply({"export": {"id": "7f3"}}, 201))
        running, finished = ({"export": {"state": state}} for state in ("RUNNING", "FINISHED"))
        server.respond_to("GET /v1/exports/7f3", reply(running), reply(finished))
        server.respond_to("GET /v1/exports/7f3/rows", reply({"rows": [{"order": 1}, {"order": 2}]}))
        yield server


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Have the files that the guide shows in the current folder."""
    for each in snippets("toml", "json"):
        if each.file == GUIDE and each.key == "file":
            (tmp_path / each.value).write_text(each.text)
    monkeypatch.chdir(tmp_path)


def run(command: str, api: ApiServer, capsys: pytest.CaptureFixture[str]) -> str:
    words = shlex.split(command.replace(API, api.url))
    assert words[:2] == ["airflow", "asyncapi"]
    arguments = make_parser("airflow asyncapi").parse_args(words[2:])
    with pytest.raises(SystemExit):
        arguments.func(arguments)
    return "".join(capsys.readouterr()).replace(api.url, API)


@pytest.mark.parametrize("snippet", TRANSCRIPTS, ids=str)
def test_a_transcript_is_what_the_commands_print(snippet: Snippet, files, api, capsys):
    shown = snippet.text
    printed = "".join(
        f"$ {line[2:]}\n" + run(line[2:], api, capsys) for line in shown.splitlines() if line.startswith("$ ")
    )
    assert DURATION.sub("0.0 s", printed) == DURATION.sub("0.0 s", shown)


def test_each_transcript_is_replayed():
    assert [each for each in snippets("console") if each.key != "transcript"] == []
