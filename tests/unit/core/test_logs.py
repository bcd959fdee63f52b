"""What an API says reaches the log without what a terminal acts on."""

from __future__ import annotations

import re
from typing import Any

import pytest

from airflow_provider_asyncapi.core.errors import AsyncApiError
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.submit.flow import submit
from airflow_provider_asyncapi.core.submit.plan import SubmitPlan
from airflow_provider_asyncapi.core.submit.submission import Submission
from airflow_provider_asyncapi.core.wait.checkpoint import WaitCheckpoint
from airflow_provider_asyncapi.core.wait.flow import wait
from airflow_provider_asyncapi.core.wait.plan import WaitPlan
from tests.unit.core.flow_runner import START, FlowRunner, make_api, make_response

ESC, CSI, OVERRIDE = "\x1b[2J", "\x9b1m", "\u202e"
NASTY = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def said_in_wait(job: JobHandle, *replies: Any, **given: Any) -> str:
    plan = WaitPlan.parse(
        {"endpoint": "/s", "completion_key": "state", "completion_value": "done", "failure_value": "failed", **given}
    )
    runner = FlowRunner(make_api(), *replies)
    error = ""
    try:
        runner.run(wait(runner.api, plan, WaitCheckpoint(job, START, START + 100)))
    except AsyncApiError as raised:
        error = str(raised)
    assert not NASTY.search(error)
    assert not NASTY.search(runner.log_text)
    return runner.log_text + error


@pytest.mark.parametrize("nasty", [ESC, CSI, OVERRIDE])
@pytest.mark.parametrize(
    "reply",
    [
        lambda nasty: make_response(None, 302, location=f"ftp://{nasty}/"),
        lambda nasty: make_response(None, 302, location=f"http://api.example.com/{nasty}"),
        lambda nasty: make_response(b"<html>", content_type=f"text/{nasty}"),
        lambda nasty: make_response(b"{}", content_type=f"application/json; charset={nasty}"),
        lambda nasty: make_response({"message": nasty}, 400),
        lambda nasty: make_response({"state": f"new {nasty}"}),
        lambda nasty: make_response({"state": "failed", "message": nasty}),
    ],
)
def test_no_answer_sends_escape_sequences_to_the_log(reply: Any, nasty: str) -> None:
    assert said_in_wait(JobHandle("7"), reply(nasty), make_response({"state": "done"}))


@pytest.mark.parametrize("nasty", [CSI, OVERRIDE])
def test_no_identifier_sends_escape_sequences_to_the_log(nasty: str) -> None:
    plan = SubmitPlan.parse({"endpoint": "/jobs", "identifier": "id"})
    runner = FlowRunner(make_api(), make_response({"id": f"a{nasty}b"}))
    handle = runner.run(submit(runner.api, plan, Submission("key", 0)))
    assert not NASTY.search(runner.log_text)
    assert not NASTY.search(handle.printable_identifier)
    running = make_response({"state": "running"})
    assert "Job a\N{REPLACEMENT CHARACTER}" in said_in_wait(handle, running, make_response({"state": "failed"}))
