from __future__ import annotations

import json

import pytest

from airflow_provider_asyncapi.core.errors import (
    ConfigurationError,
    MissingValueError,
)
from airflow_provider_asyncapi.core.http.file_bodies import find_literal_bytes
from airflow_provider_asyncapi.core.submit.flow import submit
from airflow_provider_asyncapi.core.submit.plan import SubmitPlan
from airflow_provider_asyncapi.core.submit.submission import Submission
from tests.unit.core.flow_runner import FlowRunner, make_api, make_response

# Several jobs


def several(**given):
    return {"endpoint": "/jobs", "identifiers": "jobs[*].id", **given}


def test_one_submit_may_make_several_jobs_each_with_a_handle():
    runner = FlowRunner(make_api(), make_response({"jobs": [{"id": "a"}, {"id": 2}], "account": "x"}))
    plan = SubmitPlan.parse(several(variables={"day": "1"}, capture={"account": "account"}))
    handle = runner.run(submit(runner.api, plan, Submission("k")))
    assert [(each.identifier, each.variables) for each in handle.split()] == [
        ("a", {"day": "1", "account": "x"}),
        (2, {"day": "1", "account": "x"}),
    ]


def test_a_start_request_names_all_jobs():
    runner = FlowRunner(make_api(), make_response({"jobs": [{"id": "a"}, {"id": "b"}]}), make_response({}))
    plan = SubmitPlan.parse(several(start={"endpoint": "/start", "json": {"ids": "{identifiers}"}}))
    runner.run(submit(runner.api, plan, Submission("k")))
    assert json.loads(find_literal_bytes(runner.requests[-1].body)) == {"ids": ["a", "b"]}


@pytest.mark.parametrize("body", [{"jobs": []}, {}, {"jobs": [{"id": "a"}, {"id": {}}]}])
def test_a_response_without_identifiers_fails(body):
    runner = FlowRunner(make_api(), make_response(body))
    with pytest.raises(MissingValueError, match=r"there is no job identifier at 'jobs\[\*\]\.id'"):
        runner.run(submit(runner.api, SubmitPlan.parse(several()), Submission("k")))


def test_a_lookup_finds_all_jobs_of_the_submit():
    lookup = {"endpoint": "/jobs", "query_params": {"key": "{idempotency_key}"}}
    runner = FlowRunner(make_api(), make_response({"jobs": [{"id": "a"}, {"id": "b"}]}))
    plan = SubmitPlan.parse(several(lookup=lookup, data="{idempotency_key}"))
    handle = runner.run(submit(runner.api, plan, Submission("k"), Submission("k", sent=True)))
    assert [each.identifier for each in handle.split()] == ["a", "b"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"identifier": "id"}, "identifiers: set this one or identifier"),
        ({"callback": True}, "callback: is about one job, and identifiers makes several"),
        ({"cancel": {"endpoint": "/x"}, "on_changed_request": "cancel"}, "cancel: is about one job"),
    ],
)
def test_what_is_about_one_job_does_not_go_with_several(given, message):
    with pytest.raises(ConfigurationError, match=message):
        SubmitPlan.parse(several(**given))
