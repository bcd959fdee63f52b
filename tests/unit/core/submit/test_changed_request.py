from __future__ import annotations

import contextlib
import json

import pytest

from airflow_provider_asyncapi.core.errors import (
    ChangedRequestError,
    ConfigurationError,
    RequestRejectedError,
)
from airflow_provider_asyncapi.core.submit.flow import submit
from airflow_provider_asyncapi.core.submit.plan import SubmitPlan
from tests.unit.core.flow_runner import FlowRunner, make_api, make_response
from tests.unit.core.submit.tries import (
    CANCEL,
    CREATED,
    FIELDS,
    KEYED,
    LOOKED_UP,
    NEW,
    KilledError,
    Tries,
    killed,
)

# Another request

CHANGED = {"json": {"gstin": "y", "asked_at": "12:01"}, "query_params": {"day": "2"}, "headers": {"X-Run": "b"}}


def test_a_request_that_differs_from_that_of_the_known_job_fails_and_submits_nothing():
    tries = Tries({**FIELDS, "query_params": {"day": "1"}, "headers": {"X-Run": "a"}})
    tries.run(CREATED)
    differ = r"differ in headers.x-run, json.asked_at, json.gstin, query_params.day\), which has submitted job j-1"
    with pytest.raises(ChangedRequestError, match=differ):
        tries.run(**CHANGED)
    with pytest.raises(
        ChangedRequestError, match=r"a second job would run beside it\. Replace a value that differs in each try"
    ):
        tries.run(**CHANGED)
    assert tries.paths == ["POST /jobs?day=1"]
    # Whoever wants another job clears the task.
    tries.generation += 1
    assert tries.run(make_response({"id": "j-2"}), **CHANGED).identifier == "j-2"


@pytest.mark.parametrize(
    ("first", "then", "names"),
    [
        ({"data": "a"}, {"data": "b"}, "body"),
        ({"json": [1]}, {"json": [2]}, "body"),
        ({"endpoint": "/jobs/a"}, {"endpoint": "/jobs/b"}, "endpoint"),
        ({"method": "PUT"}, {"method": "POST"}, "method"),
        ({"query_params": {"a": ["1", "2"]}}, {"query_params": {"a": ["1", "3"]}}, "query_params.a"),
        ({"json": {"a": {"b": 1}}}, {"json": {"a": {"b": 2}}}, "json.a"),
    ],
)
def test_what_has_changed_is_named(first, then, names):
    fields = {name: value for name, value in FIELDS.items() if name != "json"}
    tries = Tries(fields)
    tries.run(CREATED, **first)
    with pytest.raises(ChangedRequestError, match=rf"\(they differ in {names}\)"):
        tries.run(**then)


def test_what_an_earlier_version_kept_tells_that_a_request_has_changed_and_not_where():
    tries = Tries(FIELDS)
    tries.run(CREATED)
    stored = json.loads(tries.stored or "")
    del stored["parts"]
    tries.stored = json.dumps(stored)
    with pytest.raises(
        ChangedRequestError, match="differs from that of the earlier try, which has submitted job j-1"
    ) as raised:
        tries.run(**CHANGED)
    assert raised.value.job == "j-1"


def test_of_a_long_request_some_parts_are_told_apart_and_no_value_is_kept():
    tries = Tries({**FIELDS, "json": {f"key-{number}" * 20: f"planted-{number}" for number in range(500)}})
    tries.run(CREATED)
    parts = json.loads(tries.stored or "")["parts"]
    assert len(parts) <= 100
    assert "planted" not in (tries.stored or "")
    assert {len(digest) for digest in parts.values()} == {4}


def test_a_request_that_differs_is_no_matter_where_the_earlier_one_has_made_no_job():
    tries = Tries(KEYED)
    with pytest.raises(RequestRejectedError):
        tries.run(make_response({}, 422))
    assert tries.run(CREATED, json={"gstin": "y"}).identifier == "j-1"
    keys = [runner.header("Idempotency-Key") for runner in tries.scripts]
    assert keys[0] == "key-1"
    assert keys[1] != "key-1"


@pytest.mark.parametrize("fields", [FIELDS, KEYED, LOOKED_UP])
def test_a_request_that_differs_from_one_whose_answer_was_lost_fails_too(fields):
    tries = Tries(fields)
    with contextlib.suppress(KilledError):
        tries.run(killed)
    with pytest.raises(ChangedRequestError, match="which may have submitted a job"):
        tries.run(json={"gstin": "y"})


def test_a_request_that_differs_may_go_on_with_the_known_job():
    tries = Tries({**FIELDS, "on_changed_request": "resume"})
    first = tries.run(CREATED)
    assert tries.run(json={"gstin": "y"}) == first
    assert (
        "Resuming the earlier submission: the request differs from that of the earlier try (they differ in json.gstin)"
        in tries.log_text
    )
    assert "Resuming job j-1" in tries.log_text


def test_a_request_that_differs_may_go_on_with_the_job_that_a_look_up_finds():
    tries = Tries({**LOOKED_UP, "on_changed_request": "resume"})
    with contextlib.suppress(KilledError):
        tries.run(killed)
    assert tries.run(make_response({"jobs": [{"id": 9}]}), json={"gstin": "y"}).identifier == 9


def test_a_request_that_differs_may_cancel_the_known_job_and_submit_another():
    tries = Tries({**KEYED, **CANCEL})
    tries.run(CREATED)
    assert tries.run(make_response(None, 202), make_response({"id": "j-2"}), json={"gstin": "y"}).identifier == "j-2"
    assert tries.paths == ["POST /jobs", "POST /jobs/j-1/cancel", "POST /jobs"]
    assert "Job j-1: the API has accepted the cancel (the request has changed since)" in tries.log_text
    assert "Submitting a new job: the request differs from that of the earlier try" in tries.log_text
    keys = [runner.header("Idempotency-Key") for runner in tries.scripts]
    assert keys[0] != keys[1]
    assert tries.run(json={"gstin": "y"}).identifier == "j-2"


def test_a_job_that_was_cancelled_is_not_cancelled_again_by_the_try_after_one_that_was_killed_then():
    tries = Tries({**FIELDS, **CANCEL})
    tries.run(CREATED)
    tries.run(make_response(None, 202), make_response({"id": "j-2"}), json={"gstin": "y"})
    # What was kept when the cancel had been accepted, and nothing sent yet.
    tries.stored = json.dumps(tries.scripts[-1].kept[0].dump())
    assert tries.run(make_response({"id": "j-3"}), json={"gstin": "y"}).identifier == "j-3"
    assert tries.paths[-1:] == ["POST /jobs"]
    assert tries.paths.count("POST /jobs/j-1/cancel") == 1


def test_no_second_job_is_submitted_where_the_first_cannot_be_cancelled():
    tries = Tries({**FIELDS, **CANCEL})
    tries.run(CREATED)
    with pytest.raises(
        ChangedRequestError, match=r"would run beside it: the cancel failed, so it may still be running: POST .* 409"
    ):
        tries.run(make_response({}, 409), json={"gstin": "y"})
    assert tries.paths == ["POST /jobs", "POST /jobs/j-1/cancel"]


def test_a_job_that_was_over_when_submitted_needs_no_cancel():
    rules = [{"selector": "state", "in": "done", "outcome": "success"}]
    tries = Tries({**FIELDS, **CANCEL, "rules": rules})
    tries.run(make_response({"id": "j-1", "state": "done"}))
    assert tries.run(make_response({"id": "j-2"}), json={"gstin": "y"}).identifier == "j-2"
    assert tries.paths == ["POST /jobs"] * 2


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"on_changed_request": "submit"}, "on_changed_request: has to be one of"),
        ({"on_changed_request": True}, "on_changed_request: has to be one of"),
        ({"on_changed_request": "cancel"}, "go together"),
        ({"cancel": {"endpoint": "/x"}}, "go together"),
        ({**CANCEL, "cancel": {}}, "cancel: endpoint is missing"),
    ],
)
def test_what_to_do_about_another_request_is_checked(given, message):
    with pytest.raises(ConfigurationError, match=message):
        SubmitPlan.parse({**FIELDS, **given})


def test_a_secret_that_changes_makes_no_other_request():
    plan = SubmitPlan.parse({**FIELDS, "headers": {"X-Api-Key": "a", "X-Item": "{connection.item}"}})
    prints = set()
    for password, item in (("planted-1", "1"), ("planted-2", "1"), ("planted-2", "2")):
        api = make_api(login="ann", password=password, variables={"item": item}, auth="basic")
        runner = FlowRunner(api, CREATED)
        runner.run(submit(api, plan, NEW))
        prints.add(runner.kept[0].fingerprint)
    assert len(prints) == 2
