"""`explore` makes a profile and a DAG of cURL commands, with answers from options, responses, or people."""

from __future__ import annotations

import io
import json
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_asyncapi.cli import waiting
from airflow_provider_asyncapi.core.profiles.lint import find_mistakes
from tests.unit.cli.exploring import FINISHED, ROWS, STATUS, SUBMIT, respond
from tests.unit.fake_airflow import reply


class Terminal(io.StringIO):
    """A standard input in which somebody types."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def type_lines(explore: Any, api: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> Any:
    """Run the command in a terminal in which these lines are typed."""
    from tests.unit.cli.conftest import run as run_command

    def type_them(*lines: str, words: tuple[str, ...] = ()) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", Terminal("".join(f"{line}\n" for line in lines)))
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            run_command(["explore", "--name", "acme", *(word.replace("{url}", api.url) for word in words)])
        code = ended.value.code
        assert isinstance(code, int)
        return code, *capsys.readouterr()

    return type_them


def read_profile(name: str = "acme") -> dict[str, Any]:
    text = Path(f"{name}.toml").read_text()
    assert find_mistakes(text) == []
    return tomllib.loads(text)


def test_three_commands_become_a_profile_and_a_dag_without_their_secrets(
    explore: Any, api: Any, pauses: list[float]
) -> None:
    done = explore(SUBMIT, STATUS, ROWS)
    assert (done.code, done.err) == (0, "")
    assert read_profile() == {
        "about": {"title": "Acme"},
        "submit": {
            "endpoint": "/v1/exports",
            "json": {"table": "{table}", "days": "{days}"},
            "identifier": "export.id",
            "variables": {"table": "orders", "days": 7},
        },
        "status": {
            "endpoint": "/v1/exports/{identifier}",
            "completion_key": "export.state",
            "completion_value": "FINISHED",
            "progress": "export.percent",
        },
        "fetch": {"endpoint": "/v1/exports/{identifier}/rows", "result_path": "rows"},
    }
    text = Path("acme.toml").read_text()
    assert "# Seen, in this order: RUNNING, FINISHED\n" in text
    assert "# failure_value: none was seen" in text
    dag = Path("acme_dag.py").read_text()
    assert len(dag.splitlines()) <= 20
    assert 'variables={"table": "orders", "days": 7},' in dag
    assert "t0p-secret-token" not in done.out + text + dag
    assert '"password": "<password>", "extra": {"auth": "bearer"}' in done.out
    assert {each.headers["authorization"] for each in api.requests} == {"Bearer t0p-secret-token"}
    assert pauses == [2.0]


def test_candidates_are_shown_with_their_reasons(explore: Any) -> None:
    lines = explore(SUBMIT, STATUS).out.splitlines()
    assert "  identifier: export.id = \"7f3\": its name is id, it looks like '5e1' in the status request" in lines
    assert "  status: export.state = \"RUNNING\": its name is state, 'RUNNING' is a usual status" in lines
    assert '  "FINISHED" counts as success' in lines


def test_answers_are_taken_from_options(explore: Any, api: Any) -> None:
    api.respond_to("GET /v1/exports/u9", reply({"word": "odd", "state": "DONE"}), reply({"word": "even", "rows": [1]}))
    options = "--identifier export.owner_id --status word --success even --failure broken --result rows --interval 5"
    done = explore(SUBMIT, STATUS, options=(*options.split(), "--json"))
    assert done.code == 0
    assert done.json["statuses"] == [{"status": "odd", "outcome": None}, {"status": "even", "outcome": "success"}]
    assert done.json["files"] == ["acme.toml", "acme_dag.py"]
    assert done.json["connection"]["password"] == "<password>"
    profile = read_profile()
    assert profile["submit"]["identifier"] == "export.owner_id"
    assert profile["status"] == {
        "endpoint": "/v1/exports/{identifier}",
        "completion_key": "word",
        "completion_value": "even",
        "failure_value": "broken",
        "poke_interval": 5,
    }
    assert profile["fetch"] == {"endpoint": "/v1/exports/{identifier}", "result_path": "rows"}


def test_people_are_asked_in_a_terminal(type_lines: Any, api: Any) -> None:
    respond(api, reply({"state": "RUNNING", "phase": "x"}), reply({"state": "LANDED"}))
    submit, status = (command.format(url=api.url) for command in (SUBMIT, STATUS))
    answers = ["1", "9", "1", "2", "CRASHED"]
    code, _, err = type_lines(*submit.split("\n"), "", status, "", "", *answers)
    assert code == 0
    assert "Paste the cURL command that submits a job, then an empty line:" in err
    assert "Which one is the identifier of the job? [1]" in err
    assert "  a number from 1 to 2, please" in err
    assert "What does 'LANDED' mean? [1]" in err
    assert "t0p-secret-token" not in err
    status_table = read_profile()["status"]
    assert (status_table["completion_value"], status_table["failure_value"]) == ("LANDED", "CRASHED")


def test_a_narrow_terminal_shows_a_line_that_fits_while_the_command_waits(
    explore: Any, api: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = Terminal()
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setattr(sys, "stdout", screen)
    assert explore(SUBMIT, STATUS).code == 0
    live = [line for line in re.split(r"[\r\n]|\x1b\[[\d?]*[A-Za-z]", screen.getvalue()) if "next poll in" in line]
    assert live
    assert max(map(len, live)) <= 40


def test_the_end_of_the_input_interrupts(type_lines: Any) -> None:
    code, _, err = type_lines()
    assert (code, err.splitlines()[-1]) == (130, "Interrupted")


def test_ctrl_c_tells_that_the_job_keeps_running(explore: Any, api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(waiting, "pause", interrupt)
    done = explore(SUBMIT, STATUS)
    assert done.code == 130
    assert done.out.splitlines()[-1] == "  job 7f3 keeps running"
    assert not Path("acme.toml").exists()


def test_a_job_of_http_202_needs_one_command_only(explore: Any, api: Any, pauses: list[float]) -> None:
    api.respond_to("POST /v1/exports", reply(None, 202, location="/jobs/9"))
    api.respond_to("GET /jobs/9", reply(None, 202, retry_after="7"), reply(None, 303, location="/results/9"))
    api.respond_to("GET /results/9", reply([{"a": 1}]))
    assert explore(SUBMIT).code == 0
    profile = read_profile()
    assert profile["submit"]["identifier"] == "header:Location"
    assert profile["status"]["endpoint"] == "{identifier}"
    assert profile["status"]["result_identifier"] == "header:Location"
    assert [rule["outcome"] for rule in profile["status"]["rules"]] == ["running", "success"]
    assert profile["fetch"] == {"endpoint": "{result_identifier}"}
    assert pauses == [7.0]


@pytest.mark.parametrize(
    ("end", "rule"),
    [
        (
            reply({"rows": [{"a": 1}]}),
            {
                "all": [
                    {"selector": "status_code", "in": [200, 201, 204]},
                    {"selector": "state", "exists": False},
                ],
                "outcome": "success",
            },
        ),
        (reply(None, 303, location="/results/9"), {"selector": "status_code", "in": 303, "outcome": "success"}),
    ],
)
def test_a_status_that_ends_in_the_result_itself_is_a_rule(explore: Any, api: Any, end: Any, rule: Any) -> None:
    api.respond_to("POST /v1/exports", reply(None, 202, location="/jobs/9"))
    api.respond_to("GET /jobs/9", reply({"state": "busy"}, 202), end)
    api.respond_to("GET /results/9", reply([{"a": 1}]))
    assert explore(SUBMIT).code == 0
    status = read_profile()["status"]
    assert (status["completion_key"], status["rules"]) == ("state", [rule])
    assert "# completion_value" not in Path("acme.toml").read_text()


def test_the_url_of_the_status_is_assumed_if_there_is_no_command(explore: Any, api: Any) -> None:
    assert explore(SUBMIT).code == 0
    assert read_profile()["status"]["endpoint"] == "/v1/exports/{identifier}"
    assert "# Assumed: no command for the status was given.\nendpoint" in Path("acme.toml").read_text()


def test_a_link_in_the_last_status_leads_to_the_result(explore: Any, api: Any) -> None:
    respond(api, reply({"state": "done", "links": {"self": f"{api.url}/v1/exports/7f3", "download": "/files/a.zip"}}))
    api.respond_to("GET /files/a.zip", (200, {"Content-Type": "application/zip"}, b"PK\x05\x06" + bytes(18)))
    done = explore(SUBMIT, STATUS)
    assert done.code == 0
    profile = read_profile()
    assert profile["status"]["result_identifier"] == "links.download"
    assert profile["fetch"] == {"endpoint": "{result_identifier}", "output_type": "file"}
    assert 'fetch={"destination": "file:///tmp/acme/{{ ds }}/"},' in Path("acme_dag.py").read_text()


def test_the_third_command_may_need_the_identifier_of_a_file(explore: Any, api: Any) -> None:
    respond(api, reply({"state": "done", "input": "file-aa1", "output_file": "file-bb2"}))
    api.respond_to("GET /v1/files/file-bb2/content", reply([{"a": 1}]))
    assert explore(SUBMIT, STATUS, "curl {url}/v1/files/file-zz9/content").code == 0
    profile = read_profile()
    assert profile["status"]["result_identifier"] == "output_file"
    assert profile["fetch"] == {"endpoint": "/v1/files/{result_identifier}/content"}


def test_a_result_that_is_too_large_to_show_is_left_to_the_dag(explore: Any, api: Any) -> None:
    api.respond_to("GET /v1/exports/7f3/rows", reply(["x" * 1000] * 1200))
    done = explore(SUBMIT, STATUS, ROWS)
    assert done.code == 0
    assert "  The result is larger than 1 MiB. The DAG writes it to a file" in done.out.splitlines()
    assert "destination" in Path("acme_dag.py").read_text()


def test_a_status_request_with_a_body_gets_the_identifier_there(explore: Any, api: Any) -> None:
    api.respond_to("POST /v1/status", FINISHED)
    command = "curl {url}/v1/status -H 'Content-Type: application/json' -d '{{\"exportId\": \"9\"}}'"
    assert explore(SUBMIT, command).code == 0
    assert read_profile()["status"]["json"] == {"exportId": "{identifier}"}
    assert json.loads(api.requests[-1].body) == {"exportId": "7f3"}


def test_an_identifier_with_slashes_keeps_them(explore: Any, api: Any) -> None:
    api.respond_to("POST /v1/exports", reply({"name": "ops/op-7", "done": False}))
    api.respond_to("GET /v1/ops/op-7", reply({"name": "ops/op-7", "done": True, "response": {"rows": [{"a": 1}]}}))
    assert explore(SUBMIT, "curl {url}/v1/ops/op-1").code == 0
    profile = read_profile()
    assert profile["status"]["endpoint"] == "/v1/{+identifier}"
    assert (profile["status"]["completion_key"], profile["status"]["completion_value"]) == ("done", True)
    assert profile["fetch"] == {"endpoint": "/v1/{+identifier}", "result_path": "response.rows"}


def test_an_xml_api_gets_xpaths(explore: Any, api: Any) -> None:
    def xml(text: str) -> Any:
        return (200, {"Content-Type": "application/xml"}, text.encode())

    api.respond_to("POST /v1/exports", xml("<job><jobId>7f3</jobId></job>"))
    api.respond_to(
        "GET /v1/exports/7f3",
        xml('<j:job xmlns:j="urn:j"><j:phase>COMPLETED</j:phase><j:done n="1">40</j:done></j:job>'),
    )
    assert explore(SUBMIT, STATUS).code == 0
    profile = read_profile()
    assert profile["submit"]["identifier"] == "xpath://jobId"
    assert profile["status"]["completion_key"] == "xpath://j:phase"


def test_a_failed_job_is_described_as_far_as_it_is_known(explore: Any, api: Any) -> None:
    respond(api, reply({"state": "FAILED", "error": {"message": "no such table"}}))
    done = explore(SUBMIT, STATUS)
    assert done.code == 1
    assert read_profile()["status"] == {
        "endpoint": "/v1/exports/{identifier}",
        "completion_key": "state",
        "failure_value": "FAILED",
        "error_message": "error.message",
    }
    assert "# completion_value: none was seen" in Path("acme.toml").read_text()


def test_statuses_that_nobody_knows_are_named_when_the_time_is_over(explore: Any, api: Any) -> None:
    respond(api, reply({"state": "odd"}), reply({"state": "even"}))
    done = explore(SUBMIT, STATUS, options=("--timeout", "10"))
    assert done.code == 1
    assert done.out.splitlines()[-1] == (
        "  the job isn't over after 10 s; statuses seen: odd, even. If one of them means that it is over, add --success"
        " or --failure; else a longer --timeout"
    )
    assert not Path("acme.toml").exists()


def test_a_request_that_the_api_refuses_ends_the_command(explore: Any, api: Any) -> None:
    api.respond_to("POST /v1/exports", reply({"message": "no such table"}, 422))
    done = explore(SUBMIT, STATUS)
    assert (done.code, done.err) == (1, "")
    assert done.out.splitlines()[-1].endswith("answered 422, expected 2xx: no such table")


def test_commands_may_be_in_a_file_or_on_the_standard_input(shell: Any, explore: Any, api: Any) -> None:
    text = "\n".join(each.format(url=api.url) for each in (SUBMIT, STATUS, ROWS))
    Path("commands.sh").write_text(text)
    assert shell("explore", "--curl", "@commands.sh", "--name", "one").code == 0
    assert shell("explore", "--curl", "-", "--name", "two", stdin=text.encode()).code == 0
    assert read_profile("one")["fetch"] == read_profile("two")["fetch"]


def test_a_file_is_sent_only_if_that_is_wanted(explore: Any, api: Any, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("a\n1\n")
    command = f"curl {{url}}/v1/exports -H 'Content-Type: text/csv' --data-binary @{tmp_path}/rows.csv"
    done = explore(command, STATUS)
    assert done.code == 2
    assert "add --send-files to have it read and sent" in done.err
    assert api.requests == []
    assert explore(command, STATUS, options=("--send-files",)).code == 0
    assert api.requests[0].body == b"a\n1\n"


def test_the_name_is_made_of_the_url(shell: Any, explore: Any, api: Any) -> None:
    assert shell("explore", "--curl", SUBMIT.format(url=api.url)).code == 0
    assert Path("exports.toml").exists()
