from __future__ import annotations

import json

import pytest

from airflow_provider_asyncapi.core.errors import (
    AmbiguousSubmitError,
    NewerLayoutError,
)
from airflow_provider_asyncapi.core.http.file_bodies import find_literal_bytes
from airflow_provider_asyncapi.core.submit.flow import submit
from airflow_provider_asyncapi.core.submit.plan import SubmitPlan
from airflow_provider_asyncapi.core.submit.submission import Submission
from tests.unit.core.flow_runner import FlowRunner, make_api, make_response
from tests.unit.core.submit.tries import CREATED, FIELDS, LOOKED_UP, NEW, Tries

# What was kept by others


@pytest.mark.parametrize(
    "kept", [{"version": "?", "key": "k", "generation": 3}, {"version": 1, "key": "k", "generation": 3}]
)
def test_a_record_that_cannot_be_read_may_be_of_a_job(kept):
    record = Submission.parse(kept)
    assert record is not None
    assert (record.key, record.generation, record.sent) == ("k", 3, True)
    runner = FlowRunner(make_api())
    with pytest.raises(AmbiguousSubmitError):
        runner.run(submit(runner.api, SubmitPlan.parse(FIELDS), NEW, record))


def test_a_record_of_a_newer_layout_is_an_error_that_a_later_try_may_mend():
    with pytest.raises(NewerLayoutError, match=r"the record of the submission was stored in layout 2 by a newer"):
        Submission.parse({**Submission("k").dump(), "version": 2})


def test_a_broken_record_belongs_to_no_generation():
    assert Submission.parse("?") == Submission("", None, sent=True)
    assert Submission.parse(None) is None


def test_a_broken_record_is_not_taken_for_one_of_a_cleared_task_and_makes_no_second_job():
    tries = Tries(FIELDS)
    tries.stored = '"?"'
    with pytest.raises(AmbiguousSubmitError):
        tries.run()
    assert tries.paths == []
    # Whoever has looked into it clears the task.
    tries.generation += 1
    assert tries.run(CREATED).identifier == "j-1"


def test_a_broken_record_is_no_obstacle_where_the_api_knows_the_job():
    tries = Tries(LOOKED_UP)
    tries.stored = '"?"'
    assert tries.run(make_response({"jobs": [{"id": 9}]})).identifier == 9


def test_where_nothing_is_kept_the_look_up_alone_tells():
    runner = FlowRunner(make_api(), make_response({"jobs": [{"id": 9}]}))
    unknown = Submission("key-1", 3, sent=True)
    assert runner.run(submit(runner.api, SubmitPlan.parse(LOOKED_UP), NEW, unknown)).identifier == 9


def test_a_record_of_a_request_that_was_not_sent_is_used_on():
    runner = FlowRunner(make_api(), CREATED)
    handle = runner.run(submit(runner.api, SubmitPlan.parse(FIELDS), NEW, Submission("key-0", 3)))
    assert handle.identifier == "j-1"
    assert runner.kept[0].key == "key-0"


def test_further_variables_may_be_named():
    runner = FlowRunner(make_api(), CREATED)
    plan = SubmitPlan.parse({**FIELDS, "json": {"to": "{callback_url}"}})
    runner.run(submit(runner.api, plan, NEW, None, {"callback_url": "https://af/cb"}))
    assert json.loads(find_literal_bytes(runner.requests[0].body)) == {"to": "https://af/cb"}
