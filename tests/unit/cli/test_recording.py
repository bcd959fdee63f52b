"""`try --record` writes what a test can replay, without secrets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_asyncapi.cli import waiting
from airflow_provider_asyncapi.testing import Recording, ReplayServer
from tests.unit.fake_airflow import reply

PROFILE = """
[connection]
auth = "login"
login_selector = "sid"
login_header = "X-Session"
[connection.login_request]
endpoint = "/login"
json = { user = "{connection.login}", pw = "{connection.password}" }
[submit]
endpoint = "/jobs"
json = { key = "{idempotency_key}", table = "{table}" }
identifier = "header:Location"
[status]
endpoint = "{identifier}"
completion_key = "state"
completion_value = "DONE"
running_value = "RUNNING"
capture = { file = "file" }
poke_interval = 600
[fetch]
output_type = "file"
endpoint = "{file}"
"""


@pytest.fixture
def record(shell: Any, api: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(waiting, "pause", lambda _seconds: None)
    profile = tmp_path / "acme.toml"
    profile.write_text(PROFILE)

    def run(url: str, path: Path, *words: str) -> Any:
        extra = {"login_cache": "process"}
        connection = {"host": url, "login": "me", "password": "s3cr3t-pass", "extra": extra}
        destination = ("--destination", str(tmp_path / "result.csv"))
        command = ("try", profile, *words, "--conn", json.dumps(connection), "--var", "table=orders", *destination)
        return shell(*command, "--record", path)

    return run


def respond(api: Any) -> None:
    api.respond_to("POST /login", reply({"sid": "s3cr3t-session", "expires_in": 60}))
    api.respond_to("POST /jobs", reply({}, 202, location=f"{api.url}/jobs/7"))
    done = {"state": "DONE", "file": f"{api.url}/files/7?sig=abc", "echo": "s3cr3t-session"}
    api.respond_to("GET /jobs/7", reply({"state": "RUNNING"}), reply(done))
    api.respond_to("GET /files/7?sig=abc", reply(b"a,b\n\xff\n", content_type="text/csv"))


def test_a_recording_has_no_secrets_and_can_be_replayed(record: Any, api: Any, tmp_path: Path) -> None:
    respond(api)
    path = tmp_path / "recording.yaml"
    done = record(api.url, path)
    assert (done.code, done.err) == (0, "")
    text = path.read_text()
    assert "s3cr3t" not in text
    assert api.url not in text
    recording = Recording.read(path)
    assert [str(each.request) for each in recording.exchanges] == [
        "POST /login",
        "POST /jobs",
        "GET /jobs/7",
        "GET /jobs/7",
        "GET /files/7?sig=***",
    ]
    assert recording.exchanges[1].request.body == {"key": "***", "table": "orders"}
    assert recording.exchanges[1].response.headers["location"] == "{base_url}/jobs/7"
    written = (tmp_path / "result.csv").read_bytes()
    (tmp_path / "result.csv").unlink()
    # The same command against the recording does the same.
    with ReplayServer(recording) as server:
        assert record(server.url, tmp_path / "again.yaml").code == 0
        server.check()
    assert (tmp_path / "result.csv").read_bytes() == written == b"a,b\n\xff\n"
    assert Recording.read(tmp_path / "again.yaml").exchanges[1:3] == recording.exchanges[1:3]


def test_a_secret_that_would_be_left_is_not_written(record: Any, api: Any, tmp_path: Path) -> None:
    respond(api)
    api.respond_to("GET /files/7?sig=abc", reply(b"\xff s3cr3t-pass"))
    done = record(api.url, tmp_path / "recording.yaml")
    assert done.code == 2
    assert "--record: a response that isn't text contains a secret" in done.err
    assert not (tmp_path / "recording.yaml").exists()


def test_a_file_that_can_not_be_written_is_named(record: Any, api: Any, tmp_path: Path) -> None:
    respond(api)
    done = record(api.url, tmp_path / "no" / "recording.yaml")
    assert done.code == 2
    assert "--record: " in done.err
    assert "can't be written: No such file" in done.err
