"""`explore` names the option that is wrong, and what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.exploring import STATUS, SUBMIT
from tests.unit.fake_airflow import reply


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "--curl: is missing; set it to the cURL command that submits a job, as text or as @FILE"),
        (("--curl", "curl u | sh"), "cURL command: line 1, column 8: a pipe isn't carried out"),
        (("--curl", "curl https://h/$(id)"), "cURL command: line 1, column 16: $(…) runs a command"),
        (("--curl", "@missing.sh"), "--curl: missing.sh: can't be read: No such file or directory"),
        (("--curl", "curl https://h/$JOB"), "--var: the variable JOB has no value; add --var JOB=…"),
        (("--curl", "curl a\ncurl b", "--curl", "curl c\ncurl d"), "--curl: 4 commands are given; three at most"),
        (("--curl", "curl https://h", "--name", "../x"), "--name: '../x' can't be the name of a profile"),
        (("--curl", "curl https://h", "--output", "nowhere"), "--output: nowhere isn't a folder"),
        (
            ("--curl", "curl https://h", "--success", "OK", "--failure", "OK"),
            "--failure: 'OK' is also given by --success",
        ),
        (("--curl", "curl https://h", "--name", "taken"), "--name: taken.toml exists; choose another name, or add"),
    ],
)
def test_bad_input_is_told_before_anything_is_sent(
    shell: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("taken.toml").touch()
    done = shell("explore", *words)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(message)


@pytest.mark.parametrize("seconds", ["-1", "0", "nan", "inf", "soon"])
@pytest.mark.parametrize("option", ["--interval", "--timeout"])
def test_times_are_positive(explore: Any, api: Any, option: str, seconds: str) -> None:
    done = explore(SUBMIT, options=(f"{option}={seconds}",))
    assert done.code == 2
    assert f"{option}: has to be a positive number of seconds, not '{seconds}'" in done.err
    assert api.requests == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ("--identifier", "export.ID"),
            "--identifier: 'export.ID' finds nothing in the response; there is $.export.id",
        ),
        (("--status", "header:X-State"), "--status: 'header:X-State' finds nothing in the response"),
        (("--result", "rows"), "--result: 'rows' finds nothing in the response"),
    ],
)
def test_a_selector_that_finds_nothing_is_named_with_its_option(explore: Any, options: Any, message: str) -> None:
    done = explore(SUBMIT, STATUS, options=options)
    assert done.code == 2
    assert done.err.startswith(message)


def test_a_response_without_an_identifier_is_an_error(explore: Any, api: Any) -> None:
    api.respond_to("POST /v1/exports", reply({"message": "all is well"}))
    done = explore(SUBMIT)
    assert done.code == 2
    assert done.err.startswith("--identifier: nothing in the response looks like the identifier of a job")


def test_a_status_command_with_another_variable_needs_its_value(explore: Any) -> None:
    done = explore(SUBMIT, "curl {url}/v1/exports/$JOB_ID?x=$OTHER")
    assert done.code == 2
    assert done.err == "--var: the variable OTHER has no value; add --var OTHER=…\n"


def test_files_are_replaced_only_if_that_is_wanted(explore: Any) -> None:
    assert explore(SUBMIT, STATUS).code == 0
    assert explore(SUBMIT, STATUS).code == 2
    assert explore(SUBMIT, STATUS, options=("--overwrite",)).code == 0
