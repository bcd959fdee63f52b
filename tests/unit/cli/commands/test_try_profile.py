"""`try` runs a job as a profile describes it, and tells what happens."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_asyncapi.cli import waiting
from tests.unit.fake_airflow import reply
from tests.unit.results.stores import fresh_store

PROFILE = """
[submit]
endpoint = "/jobs"
json = { table = "{table}" }
identifier = "job.id"
capture = { owner = "job.owner" }
[status]
endpoint = "/jobs/{identifier}"
completion_key = "state"
completion_value = "DONE"
failure_value = "BROKEN"
running_value = ["RUNNING", "QUEUED"]
progress = "percent"
poke_interval = 5
rules = [{ selector = "errors", gt = 0, outcome = "failure" }]
[fetch]
endpoint = "/jobs/{identifier}/rows"
result_path = "rows"
[cancel]
method = "DELETE"
endpoint = "/jobs/{identifier}"
"""
SUBMITTED = reply({"job": {"id": "7", "owner": "me"}}, 201)
RUNNING = reply({"state": "RUNNING", "percent": 40})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "acme.toml"
    path.write_text(PROFILE)
    return path


@pytest.fixture
def attempt(shell: Any, api: Any, file: Path, pauses: Any) -> Any:
    def run(*words: str, conn: Any = None) -> Any:
        connection = json.dumps({"host": api.url, **(conn or {})})
        return shell("try", file, *words, "--conn", connection, "--var", "table=orders")

    return run


def respond(api: Any, *polls: Any) -> None:
    api.respond_to("POST /jobs", SUBMITTED)
    api.respond_to("GET /jobs/7", *polls)
    api.respond_to("GET /jobs/7/rows", reply({"rows": [{"a": 1}]}))


def test_a_whole_job_is_told_step_by_step(attempt: Any, api: Any, pauses: list[float]) -> None:
    respond(api, RUNNING, RUNNING, reply({"state": "DONE"}))
    done = attempt()
    assert (done.code, done.err) == (0, "")
    lines = done.out.replace(api.url, "http://api").splitlines()
    assert [line for line in lines if "←" not in line] == [
        "Submit",
        "  → POST http://api/jobs",
        '    {"table":"orders"}',
        '    {"job": {"id": "7", "owner": "me"}}',
        "  identifier: 'job.id' finds \"7\"",
        '  capture: owner is "me"',
        "Status of job 7",
        "  → GET http://api/jobs/7",
        '    {"state": "RUNNING", "percent": 40}',
        "  completion_key: 'state' finds \"RUNNING\"",
        "  running, by running_value",
        "  progress: 40%",
        "  poll 1: RUNNING; next poll in 5 s",
        # The same response isn't told again.
        "  poll 2: RUNNING; next poll in 5 s",
        "  → GET http://api/jobs/7",
        '    {"state": "DONE"}',
        "  completion_key: 'state' finds \"DONE\"",
        "  success, by completion_value",
        "Fetch",
        "  → GET http://api/jobs/7/rows",
        '    {"rows": [{"a": 1}]}',
        "Result",
        '  [{"a": 1}]',
    ]
    assert lines[3].startswith("  ← 201 Created in ")
    assert lines[3].endswith(" s, 35 bytes, application/json")
    assert pauses == [5, 5]


def test_a_failed_job_is_exit_code_1_with_the_rule(attempt: Any, api: Any) -> None:
    respond(api, reply({"state": "DONE", "errors": 3, "message": "no disk"}))
    done = attempt()
    assert done.code == 1
    assert '  failure, by rules[0]: {"selector": "errors", "gt": 0, "outcome": "failure"}\n' in done.out
    assert "no disk" in done.out.splitlines()[-1]
    assert api.count("GET /jobs/7/rows") == 0


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ({"state": "BROKEN"}, "failure, by failure_value"),
        ({"state": "ODD"}, "failure, since no value lists this status, and running_value closes the list"),
        ({"State": "DONE"}, "completion_key: 'state' finds nothing; there is $.State"),
    ],
)
def test_each_judgement_has_its_reason(attempt: Any, api: Any, state: Any, said: str) -> None:
    respond(api, reply(state))
    done = attempt()
    assert done.code == 1
    assert said in done.out


def test_stages_run_alone(attempt: Any, api: Any) -> None:
    respond(api, RUNNING)
    submitted = attempt("submit", "--json").json
    assert (submitted["job"]["identifier"], submitted["result"], submitted["error"]) == ("7", None, None)
    polled = attempt("status", "7")
    assert polled.code == 0
    assert polled.out.endswith("  running, by running_value\n  progress: 40%\nJob 7: running\n")
    fetched = attempt("fetch", json.dumps(submitted["job"]), "--json").json
    assert fetched["result"] == [{"a": 1}]
    assert [each["request"]["method"] for each in fetched["exchanges"]] == ["GET"]
    assert api.count("POST /jobs") == 1


def test_a_result_is_written_to_a_destination(attempt: Any, api: Any, tmp_path: Path) -> None:
    respond(api, RUNNING)
    done = attempt("fetch", "7", "--destination", str(tmp_path / "rows.json"))
    assert done.code == 0
    assert json.loads((tmp_path / "rows.json").read_text()) == [{"a": 1}]
    assert "rows.json" in done.out


@pytest.mark.filterwarnings("ignore:in a future version of UPath:PendingDeprecationWarning")
def test_the_error_of_an_object_store_is_one_line(attempt: Any, api: Any) -> None:
    respond(api, RUNNING)
    store = fresh_store("s3")
    store.breaks = {1}
    done = attempt("fetch", "7", "--destination", "s3://bucket/rows.json")
    assert done.code == 2
    assert "destination: 's3://bucket/rows.json' can't be written to: ConnectionResetError: the network" in done.err
    store.breaks = set()
    assert attempt("fetch", "7", "--destination", "s3://bucket/rows.json").code == 0
    assert [json.loads(content) for content in store.contents().values()] == [[{"a": 1}]]


def test_secrets_are_masked(attempt: Any, api: Any, file: Path) -> None:
    file.write_text(
        PROFILE
        + """
[connection]
auth = "login"
login_selector = "sid"
login_header = "X-Session"
[connection.login_request]
endpoint = "/login"
json = { user = "{connection.login}", pw = "{connection.password}" }
"""
    )
    respond(api, reply({"state": "DONE", "echo": "s3cr3t-session"}))
    api.respond_to("POST /login", reply({"sid": "s3cr3t-session"}))
    for options in (["--headers"], ["--json"]):
        done = attempt(*options, conn={"login": "me", "password": "s3cr3t-pass", "extra": {"login_cache": "process"}})
        assert done.code == 0
        assert "s3cr3t" not in done.out + done.err
        assert "the response to a login" in done.out
        assert '"echo": "***"' in done.out.replace('\\"', '"')


@pytest.mark.parametrize("options", [[], ["--headers"], ["--json"]])
def test_the_token_request_of_concurrent_requests_is_not_shown(
    attempt: Any, api: Any, file: Path, tmp_path: Path, options: list[str]
) -> None:
    file.write_text(
        """
[connection]
auth = "login"
login_selector = "sid"
login_header = "X-Session"
login_request = { endpoint = "/login" }
[fetch]
output_type = "pages"
endpoint = "/pages/{page}"
pages = 3
"""
    )
    login = {"sid": "s3cr3t-session", "session_id": "s3cr3t-too"}
    api.respond_to("GET /login", reply(login))
    for page in "123":
        api.respond_to(f"GET /pages/{page}", reply([{"page": page}]))
    recording = tmp_path / "recording.yaml"
    done = attempt("fetch", "7", *options, "--record", recording, conn={"extra": {"login_cache": "process"}})
    assert (done.code, api.count("GET /login")) == (0, 1)
    assert done.out.count("the response to a login") == 1
    assert "s3cr3t" not in done.out + done.err + recording.read_text()
    # The responses of the other requests are shown.
    assert all(f'"page": "{page}"' in done.out.replace("\\", "") for page in "123")


def test_parameters_can_be_set(attempt: Any, api: Any) -> None:
    respond(api, reply({"state": "READY"}))
    assert attempt("status", "7", "--set", "status.completion_value=READY").out.endswith("Job 7: success\n")
    for wrong in ("x", "submit=5", "nothing.endpoint=/x", "submit.=1", "status.nope=1", "fetch.nope=/x"):
        done = attempt("--set", wrong)
        assert (done.code, done.out) == (2, "")
        assert "--set" in done.err


def test_errors_of_polls_are_told(attempt: Any, api: Any) -> None:
    respond(api, reply({"error": "later"}, 503), reply({"state": "DONE"}))
    done = attempt()
    assert done.code == 0
    assert "  poll 1 failed: " in done.out


def test_no_answer_at_all_is_exit_code_1(shell: Any, file: Path, pauses: list[float]) -> None:
    done = shell("try", file, "submit", "--conn", '{"host": "http://127.0.0.1:9"}', "--var", "table=x")
    assert done.code == 1
    assert "← no response after" in done.out


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("answer", "is_cancelled"), [("y\n", True), ("n\n", False), ("", False)])
def test_an_interrupted_wait_asks_whether_to_cancel(
    attempt: Any, api: Any, monkeypatch: pytest.MonkeyPatch, answer: str, is_cancelled: bool
) -> None:
    respond(api, RUNNING)
    api.respond_to("DELETE /jobs/7", reply(status=204))

    def interrupt(_seconds: float) -> None:
        monkeypatch.setattr(sys, "stdin", Terminal(answer))
        raise KeyboardInterrupt

    monkeypatch.setattr(waiting, "pause", interrupt)
    done = attempt()
    assert done.code == 130
    assert "Cancel job 7? [y/N]" in done.err
    assert api.count("DELETE /jobs/7") == is_cancelled
    assert ("  accepted\n" in done.out) is is_cancelled
    assert ("  job 7 keeps running\n" in done.out) is not is_cancelled


def test_without_a_terminal_an_interrupted_job_keeps_running(
    attempt: Any, api: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    respond(api, RUNNING)

    def interrupt(_seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(waiting, "pause", interrupt)
    done = attempt()
    assert (done.code, api.count("DELETE /jobs/7")) == (130, 0)
    assert "Cancel" not in done.err


@pytest.mark.parametrize("columns", [40, 100])
@pytest.mark.parametrize("progress", [None, 0.4])
def test_a_terminal_has_a_live_line(monkeypatch: pytest.MonkeyPatch, columns: int, progress: float | None) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "xterm")
    found: list[float] = []
    monkeypatch.setattr(waiting, "pause", found.append)
    stream = Terminal()
    waiting.LiveLine(stream).wait(0.6, "RUNNING", progress)
    assert sum(found) == pytest.approx(0.6)
    assert "RUNNING" in stream.getvalue()
    assert "next poll in" in stream.getvalue()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["status"], "JOB: `status` needs the identifier"),
        (["fetch", '{"a'], "JOB: begins as JSON, but isn't"),
        (["fetch", "{}"], "job: this isn't a job handle"),
        (["--var", "x"], "--var: 'x' isn't an assignment"),
    ],
)
def test_wrong_arguments_are_exit_code_2(attempt: Any, words: list[str], said: str) -> None:
    done = attempt(*words)
    assert done.code == 2
    assert said in done.err


@pytest.mark.parametrize(
    ("connection", "said"),
    [
        ("{", "--conn: isn't JSON"),
        ('{"hots": 1}', "--conn: has unknown keys hots; known are"),
        ('{"port": "{"}', "--conn: port: has to be a number"),
        ('{"host": "http://a", "extra": "["}', "extra: isn't JSON"),
        ('{"host": "http://a", "extra": "[]"}', "extra: has to be a JSON object"),
        ('{"host": "http://a", "extra": {"verify_tls": true}}', "unknown key 'verify_tls'"),
        ("a://b://c://d://hunter2", "--conn: is neither JSON nor a URI"),
        ('{"extra": {"auth": "bearer"}}', "connection '(--conn)':"),
    ],
)
def test_a_wrong_connection_is_exit_code_2(shell: Any, file: Path, connection: str, said: str) -> None:
    done = shell("try", file, "--conn", connection)
    assert (done.code, done.out) == (2, "")
    assert said in done.err
    assert "hunter2" not in done.err


def test_a_stored_connection_is_found_by_its_id(shell: Any, file: Path, api: Any, connect: Any, pauses: Any) -> None:
    connect("acme")
    respond(api, reply({"state": "DONE"}))
    assert shell("try", file, "status", "7", "--conn-id", "acme").code == 0
    done = shell("try", file, "status", "7", "--conn-id", "none")
    assert done.code == 2
    assert "--conn-id: there is no connection 'none'" in done.err


def test_a_connection_may_be_a_uri(shell: Any, file: Path, api: Any) -> None:
    respond(api, reply({"state": "DONE"}))
    uri = f"asyncapi://{api.url}"
    assert shell("try", file, "status", "7", "--conn", uri).code == 0


def test_a_profile_with_mistakes_is_not_tried(shell: Any, file: Path) -> None:
    file.write_text("[submit]\nendpoit = 1\n")
    done = shell("try", file, "--conn", '{"host": "http://a"}')
    assert (done.code, done.out) == (2, "")
    assert done.err == f"{file}:2: [submit] endpoit: unknown key; did you mean endpoint?\n"


def test_a_known_profile_is_tried_by_its_name(shell: Any, api: Any, pauses: Any) -> None:
    api.respond_to("POST /v1/flows/f/run", reply([{"_jobId": "7"}]))
    api.respond_to("GET /v1/jobs/7", reply({"status": "completed", "numError": 1}))
    connection = json.dumps({"host": api.url, "password": "some-token"})
    done = shell("try", "celigo", "status", "7", "--conn", connection)
    assert "failure, by rules[0]" in done.out
    assert api.requests[0].headers["authorization"] == "Bearer some-token"
    assert "some-token" not in done.out


def test_a_profile_of_several_jobs_is_tried_with_one_of_them(attempt: Any, api: Any, file: Path) -> None:
    file.write_text(PROFILE.replace('identifier = "job.id"', 'identifiers = "jobs[*].id"').replace("capture", "# "))
    api.respond_to("POST /jobs", reply({"jobs": [{"id": 6}, {"id": 7}]}))
    api.respond_to("GET /jobs/7", reply({"state": "DONE"}))
    api.respond_to("GET /jobs/7/rows", reply({"rows": [1]}))
    done = attempt()
    assert (done.code, done.out, api.requests) == (2, "", [])
    assert done.err.startswith("[submit] identifiers: 'jobs[*].id' finds several jobs, and this command follows one;")
    assert attempt("--set", "submit.identifier=jobs[1].id").code == 0


def test_a_profile_with_callbacks_needs_another_receiver(attempt: Any, api: Any, file: Path) -> None:
    file.write_text(
        PROFILE.replace("{ table", '{ url = "{callback_url}", table').replace("capture", "callback = true\n#")
    )
    respond(api, reply({"state": "DONE"}))
    done = attempt()
    assert (done.code, done.out, api.requests) == (2, "", [])
    assert "--var callback_url=https://" in done.err
    assert attempt("--var", "callback_url=https://me.example.com").code == 0
    assert json.loads(api.requests[0].body)["url"] == "https://me.example.com"
    assert attempt("status", "7").code == 0
