"""The new lines of a job's log appear in the task's log, each once and in order, whatever the shape of the log."""

from __future__ import annotations

import dataclasses
import logging
from typing import Any

import pytest

from airflow_provider_asyncapi.core.errors import ConfigurationError, JobFailedError
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.wait.checkpoint import WaitCheckpoint
from airflow_provider_asyncapi.core.wait.flow import wait
from airflow_provider_asyncapi.core.wait.log_position import MAX_LINES, LogPosition
from airflow_provider_asyncapi.core.wait.plan import WaitPlan
from tests.unit.core.flow_runner import START, FlowRunner, make_api, make_lost_error, make_response, plan_fields

REQUEST = {"endpoint": "/jobs/{identifier}/log"}
RUNNING, DONE = ({"status": status} for status in ("running", "done"))


def lines_of(runner: FlowRunner) -> list[str]:
    return [text.removeprefix("log | ") for _, text in runner.logs if text.startswith("log | ")]


def run(runner: FlowRunner, logs: Any, state: WaitCheckpoint | None = None, **given: Any) -> list[str]:
    plan = WaitPlan.parse(plan_fields(logs=logs, running_value="running", **given))
    runner.run(wait(runner.api, plan, state or WaitCheckpoint(JobHandle("7"), START, START + 1000)))
    return lines_of(runner)


def runner_of(*replies: Any) -> FlowRunner:
    return FlowRunner(make_api(), *[make_response(reply) if isinstance(reply, dict) else reply for reply in replies])


def with_log(*logs: Any, name: str = "logs") -> FlowRunner:
    """Return a runner whose job has these logs in the responses to its polls."""
    last = len(logs) - 1
    return runner_of(*[{**(DONE if number == last else RUNNING), name: log} for number, log in enumerate(logs)])


def with_requests(*logs: Any) -> FlowRunner:
    """Return a runner whose job has its log at a request of its own."""
    replies: list[Any] = []
    for number, log in enumerate(logs):
        replies += [DONE if number == len(logs) - 1 else RUNNING, log]
    return runner_of(*replies)


# The log as a part of the response to a poll


def test_of_a_text_that_grows_the_new_whole_lines_are_shown():
    assert run(with_log(None, "a\nb", "a\nbb\nc\n", "a\nbb\nc\n", "a\nbb\nc\nend"), "logs") == ["a", "bb", "c", "end"]


def test_the_messages_of_a_list_of_entries_are_shown():
    entries = [{"message": text, "timestamp": number} for number, text in enumerate("abcb")]
    assert run(with_log(entries[:1], entries[:3], entries), "logs[*].message") == ["a", "b", "c", "b"]


def test_entries_that_are_objects_are_shown_as_json():
    assert run(with_log([{"n": 1}], [{"n": 1}, {"n": 2}]), "logs[*]") == ['{"n":1}', '{"n":2}']


def test_the_logs_of_several_steps_follow_each_other():
    steps = [[{"logs": "a\nb"}], [{"logs": "a\nbb\n"}, {"logs": "c\n"}], [{"logs": "a\nbb\n"}, {"logs": "c\nd"}]]
    assert run(with_log(*steps, name="run_steps"), "run_steps[*].logs") == ["a", "bb", "c", "d"]


def test_a_log_that_returns_its_last_lines_only_continues_after_the_last_line_that_was_read():
    assert run(with_log("a\nb\nc\n", "b\nc\nd\n", "x\ny\n"), "logs") == ["a", "b", "c", "d", "x", "y"]


def test_the_first_selector_that_finds_lines_counts():
    assert run(with_log("a\n", "a\nb\n"), ["missing", {"selector": "logs", "first": True}]) == ["a", "b"]


def test_the_last_lines_of_a_job_that_failed_are_shown_before_the_error():
    runner = runner_of({**RUNNING, "logs": "a\n"}, {"status": "failed", "logs": "a\nno such table"})
    with pytest.raises(JobFailedError):
        run(runner, "logs")
    assert lines_of(runner) == ["a", "no such table"]


# The log at a request of its own


def test_the_whole_body_of_a_request_is_the_log():
    runner = with_requests(make_response(b"a\n"), make_response(b"a\nb\n"), make_response(b"a\nb\nc"))
    assert run(runner, REQUEST) == ["a", "b", "c"]
    assert runner.paths == ["GET /jobs/7", "GET /jobs/7/log"] * 3, "although the status is unchanged"


def test_a_selector_finds_the_lines_in_a_response():
    runner = with_requests({"logs": "a\n"}, {"logs": "a\nb\n"})
    assert run(runner, {**REQUEST, "lines": "logs"}) == ["a", "b"]


def test_a_cursor_asks_for_the_next_lines_only():
    logs = {**REQUEST, "query_params": {"after": "{log_cursor}", "n": 5}, "lines": "items[*]", "cursor": "next"}
    runner = with_requests({"items": ["a"], "next": "t1"}, {"items": []}, {"items": ["a", "c"], "next": "t2"})
    assert run(runner, logs) == ["a", "a", "c"]
    assert runner.paths[1::2] == [f"GET /jobs/7/log?{query}" for query in ("n=5", "after=t1&n=5", "after=t1&n=5")]


def test_a_log_file_is_read_on_from_the_last_whole_line():
    logs = {**REQUEST, "headers": {"Range": "bytes={log_cursor}-"}}
    parts = [make_response(text, status) for text, status in ((b"a\nb", 206), (b"bb\n", 206), (None, 416), (b"c", 206))]
    runner = with_requests(*parts)
    assert run(runner, logs) == ["a", "bb", "c"]
    assert [runner.header("range", index) for index in (1, 3, 5, 7)] == [f"bytes={n}-" for n in (0, 2, 5, 5)]


def test_a_server_that_ignores_the_range_sends_the_whole_log():
    logs = {**REQUEST, "headers": {"Range": "bytes={log_cursor}-"}}
    bodies = [make_response(text) for text in (b"a\nb", b"a\nbb\n", b"n\n", b"n\nm")]
    assert run(with_requests(*bodies), logs) == ["a", "bb", "n", "m"]


def test_an_offset_in_bytes_is_a_query_parameter():
    logs = {**REQUEST, "query_params": {"offset": "{log_cursor}"}}
    runner = with_requests(make_response(b"a\n"), make_response(b"b\nc"))
    assert run(runner, logs) == ["a", "b", "c"]
    assert runner.paths[1::2] == ["GET /jobs/7/log?offset=0", "GET /jobs/7/log?offset=2"]


def test_a_log_whose_address_the_api_returns_later_is_read_from_then_on():
    runner = runner_of(RUNNING, {**RUNNING, "log_url": "/files/1"}, make_response(b"a\n"), DONE, make_response(b"a\nb"))
    assert run(runner, {"endpoint": "{log_url}"}, capture={"log_url": "log_url"}) == ["a", "b"]
    assert not [text for level, text in runner.logs if level >= logging.WARNING and "logs" in text]


@pytest.mark.parametrize("problem", [make_lost_error(), make_response({}, 500), make_response({}, 403)])
def test_a_request_that_fails_never_fails_the_wait_and_is_logged_once(problem):
    runner = with_requests(problem, problem, make_response(b"a\n"))
    assert run(runner, REQUEST) == ["a"]
    warnings = [text for level, text in runner.logs if level == logging.WARNING]
    assert len(warnings) == 1
    assert "logs: the job's log can't be read, and the wait continues: GET " in warnings[0]


def test_a_response_that_cannot_be_read_never_fails_the_wait():
    runner = with_requests(make_response(b"<html>"), make_response(b"<html>"))
    assert run(runner, {**REQUEST, "lines": "logs"}) == []


@pytest.mark.parametrize("status", [204, 404])
def test_a_log_that_is_not_there_yet_is_no_problem(status):
    runner = with_requests(make_response(None, status), make_response(b"a"))
    assert run(runner, REQUEST) == ["a"]
    assert not [text for level, text in runner.logs if level == logging.WARNING]


# Limits, secrets, restarts


def test_of_very_many_lines_the_last_ones_are_shown():
    lines = [str(number) for number in range(1200)]
    shown = run(with_log("\n".join(lines)), "logs")
    assert shown == ["… 700 lines of the job's log are left out", *lines[700:]]


def test_a_wait_shows_no_more_than_its_limit():
    position = LogPosition(shown=MAX_LINES - 2)
    runner = with_log("a\n", "a\nb\nc\n", "a\nb\nc\nd\n")
    state = WaitCheckpoint(JobHandle("7"), START, log=position)
    assert run(runner, "logs", state) == ["a", "… 1 lines of the job's log are left out", "c"]
    assert runner.log_text.count("more than 10,000 lines") == 1


def test_a_long_line_is_shortened():
    (line,) = run(with_log("x" * 5000), "logs")
    assert line == "x" * 2000 + "… (5000 characters)"


def test_secrets_and_control_characters_are_masked():
    runner = FlowRunner(
        make_api(auth="bearer", password="hunter2hunter2"),
        make_response({**DONE, "logs": "uses hunter2hunter2\n\x1b[31mred\n"}),
    )
    assert run(runner, "logs") == ["uses ***", "�[31mred"]


def test_another_process_continues_after_the_lines_that_were_shown():
    runner = with_log("a\n", "a\nb\n", "a\nb\nc\n")
    run(runner, "logs")
    state = WaitCheckpoint(JobHandle("7"), START)
    for polled in runner.polls[:-1]:
        state = state.after_poll(dataclasses.replace(polled, pause=None))
    again = with_log("a\nb\n", "a\nb\nc\n")
    assert run(again, "logs", WaitCheckpoint.parse(state.dump())) == ["c"]


@pytest.mark.parametrize(
    "stored",
    [
        None,
        "text",
        {},
        {**LogPosition().dump(), "count": "1"},
        {**LogPosition().dump(), "cursor": []},
    ],
)
def test_a_position_that_cannot_be_read_is_none(stored):
    assert LogPosition.parse(stored) is None


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"endpoint": "/log", "line": "x"},
            r"logs: unknown key 'line' \(did you mean 'lines'\?\); a request has .*lines, cursor",
        ),
        ({"lines": "x"}, "logs: endpoint is missing"),
        ({"endpoint": "/log", "cursor": "next"}, r"logs: cursor is never used, .* {log_cursor}"),
        ({"endpoint": "/log?{log_cursor}", "lines": "x"}, r"logs: cursor is missing"),
        ({"endpoint": "/log", "lines": "header:"}, r"logs.lines: malformed selector"),
        (5, "logs: a selector has to be a string"),
    ],
)
def test_an_invalid_description_is_refused(given, message):
    with pytest.raises(ConfigurationError, match=message):
        WaitPlan.parse(plan_fields(logs=given))


def test_a_wait_for_a_callback_alone_reads_no_log():
    with pytest.raises(ConfigurationError, match="logs: the log is read after each poll"):
        WaitPlan.parse({"callback": True, "logs": "logs"})
