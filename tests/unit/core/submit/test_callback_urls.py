from __future__ import annotations

import contextlib
import json
from typing import Any

from airflow_provider_asyncapi.core.submit.flow import submit
from airflow_provider_asyncapi.core.submit.plan import SubmitPlan
from airflow_provider_asyncapi.core.submit.submission import Submission
from tests.unit.core.flow_runner import FlowRunner, make_api, make_response
from tests.unit.core.submit.tries import CANCEL, CREATED, FIELDS, NEW, KilledError, killed, stored

# Callbacks

CALLED_BACK = {**FIELDS, "headers": {"X-Callback": "{callback_url}"}, "callback": True}


def called_back(kept: Submission | None, number: int, *replies: Any, **fields: Any) -> FlowRunner:
    """Run a try that gives away a callback URL of its own."""
    runner = FlowRunner(make_api(), *replies)
    new = Submission("key-1", 3, callbacks=(f"digest-{number}",), connection="vendor")
    plan = SubmitPlan.parse({**CALLED_BACK, **fields})
    variables = {"callback_url": f"https://airflow.example.com/{number}"}
    with contextlib.suppress(KilledError):
        runner.run(submit(runner.api, plan, new, kept, variables))
    return runner


def test_the_digest_of_the_callback_url_is_kept_before_the_url_is_given_away():
    runner = called_back(None, 1, killed)
    assert [(kept.sent, kept.callbacks, kept.connection) for kept in runner.kept] == [(True, ("digest-1",), "vendor")]
    assert runner.header("X-Callback") == "https://airflow.example.com/1"
    assert "airflow.example.com" not in json.dumps(runner.kept[-1].dump())


def test_the_url_that_an_earlier_try_gave_away_counts_on():
    keyed = {"query_params": {"key": "{idempotency_key}"}}
    first = called_back(None, 1, killed, **keyed)
    second = called_back(stored(first), 2, CREATED, **keyed)
    assert stored(second).callbacks == ("digest-1", "digest-2")
    assert second.header("X-Callback") == "https://airflow.example.com/2"
    assert "differs from that of the earlier try" not in second.log_text


def test_a_callback_url_makes_no_other_request_of_it():
    first = called_back(None, 1, CREATED)
    second = called_back(stored(first), 2)
    assert second.requests == []
    assert "j-1" in second.log_text


def test_a_url_that_was_given_away_for_another_request_counts_no_more():
    first = called_back(None, 1, CREATED)
    second = called_back(stored(first), 2, make_response(None, 202), CREATED, json={"gstin": "y"}, **CANCEL)
    assert stored(second).callbacks == ("digest-2",)
    assert stored(second).key != stored(first).key


def test_what_was_kept_before_there_were_callbacks_can_be_read():
    kept = {name: value for name, value in NEW.dump().items() if name not in ("callbacks", "connection")}
    assert Submission.parse(kept) == NEW
