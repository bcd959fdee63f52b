"""The transcripts of the guides are what the commands print."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from airflow.providers.common.compat.sdk import conf

from airflow_provider_asyncapi.airflow_private import health
from airflow_provider_asyncapi.cli import waiting
from airflow_provider_asyncapi.cli.commands.registry import ASYNCAPI, Entry, Group, make_parser
from tests.docs.snippets import ROOT, Snippet, snippets
from tests.unit.fake_airflow import ApiServer, reply

GUIDES = ("docs/guides/command_line.md", "docs/guides/importing.md", "docs/guides/no_status.md")
TRANSCRIPTS = [each for each in snippets("console") if each.key == "transcript"]
#: What differs from run to run.
DURATION = re.compile(r"\b\d+\.\d+ s\b")


#: The padding of a table, which depends on its longest row.
PADDING = re.compile(r"(?<=\S) {2,}")
#: The folder of the guide's own profiles, which is that of the test.
PROFILES = "/opt/airflow/profiles"
#: The folder of the shipped profiles.
SHIPPED = "/opt/venv/airflow_provider_asyncapi/profiles"
#: A line of a transcript that stands for any lines.
ANY_LINES = "…"
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
        server.respond_to("GET /v1/me", reply({"name": "acme"}))
        server.respond_to("GET /airflow/asyncapi/static/jobs.js", reply(b"//"))
        yield server


@pytest.fixture
def installation(monkeypatch, api):
    """Have the Airflow that `doctor` examines in the guide: no triggerer runs."""
    health_of_processes = {"metadatabase": "healthy", "scheduler": "healthy", "triggerer": None}
    monkeypatch.setattr(health, "read_health", lambda: health_of_processes)
    monkeypatch.setattr(health, "list_connection_ids", lambda _conn_type: ["acme"])
    monkeypatch.setenv("AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE", "True")
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", f"{api.url}/airflow/")
    connection = {"conn_type": "asyncapi", "host": f"{api.url}/v1", "extra": {"test_endpoint": "/me"}}
    monkeypatch.setenv("AIRFLOW_CONN_ACME", json.dumps(connection))


@pytest.fixture
def files(tmp_path, monkeypatch, api):
    """Have the files that the guide shows in the current folder."""
    for each in snippets("toml", "json", "yaml", "bash", "python"):
        if each.file in GUIDES and each.key == "file":
            (tmp_path / each.value).write_text(each.text.replace(API, api.url))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AIRFLOW__ASYNCAPI__PROFILES_FOLDER", str(tmp_path))


def run(command: str, api: ApiServer, capsys: pytest.CaptureFixture[str]) -> str:
    words = shlex.split(command.replace(API, api.url))
    assert words[:2] == ["airflow", "asyncapi"]
    arguments = make_parser("airflow asyncapi").parse_args(words[2:])
    with pytest.raises(SystemExit):
        arguments.func(arguments)
    printed = "".join(capsys.readouterr()).replace(api.url, API).replace(str(Path.cwd()), PROFILES)
    return printed.replace(str(ROOT / "airflow_provider_asyncapi/profiles"), SHIPPED)


def matches(printed: str, shown: str) -> bool:
    """Return whether a transcript shows what was printed, but for durations, padding and lines that it leaves out."""
    printed, shown = (PADDING.sub("  ", DURATION.sub("0.0 s", text)) for text in (printed, shown))
    pattern = ".*\n".join(re.escape(part) for part in shown.split(f"{ANY_LINES}\n"))
    return re.fullmatch(pattern, printed, re.DOTALL) is not None


@pytest.mark.parametrize("snippet", TRANSCRIPTS, ids=str)
def test_a_transcript_is_what_the_commands_print(snippet: Snippet, files, installation, api, capsys):
    shown = snippet.text
    printed = "".join(
        f"$ {line[2:]}\n" + run(line[2:], api, capsys) for line in shown.splitlines() if line.startswith("$ ")
    )
    assert matches(printed, shown), printed


def test_the_files_that_are_shown_are_those_that_are_written(files, api, capsys):
    written = [each for each in snippets("toml", "python") if each.key == "written"]
    for snippet in TRANSCRIPTS:
        if re.search(r" (explore|import airbyte) ", snippet.text):
            run(snippet.text.splitlines()[0].removeprefix("$ "), api, capsys)
    assert [each.text for each in written] == [Path(each.value).read_text() for each in written]
    assert len(written) == 3


def test_each_transcript_is_replayed():
    assert [each for each in snippets("console") if each.key != "transcript"] == []


def list_commands(entry: Entry, *words: str) -> Iterator[str]:
    if not isinstance(entry, Group):
        yield " ".join(words)
        return
    for each in entry.commands:
        yield from list_commands(each, *words, each.name)


@pytest.mark.parametrize("command", [*list_commands(ASYNCAPI)])
def test_each_command_has_a_transcript(command: str):
    assert any(f"$ airflow asyncapi {command} " in f"{each.text} ".replace("\n", " \n") for each in TRANSCRIPTS)
