from __future__ import annotations

import pytest

from airflow_provider_asyncapi.core.errors import (
    ConfigurationError,
)
from airflow_provider_asyncapi.core.requests.request_step import RequestStep
from airflow_provider_asyncapi.core.submit.plan import SUBMIT_PARAMETERS, SubmitPlan
from tests.unit.core.submit.submits import CREATED, FIELDS, submitted

# The plan


def test_a_plan_takes_all_parameters_of_the_operator():
    plan = SubmitPlan.parse(
        {
            **FIELDS,
            "start": {"endpoint": "/jobs/{identifier}/start"},
            "max_consecutive_errors": 3,
            "retry_delays": {503: 9},
            "poke_interval": 5,
        }
    )
    assert plan.submit.request.method == "POST"
    assert [step.request.method for step in plan.start] == ["POST"]
    assert (plan.schedule.max_errors, plan.schedule.retry_delays) == (3, {503: 9.0})
    assert {"identifier", "start", "rules", "json"} <= set(SUBMIT_PARAMETERS)


def test_a_plan_needs_an_identifier():
    with pytest.raises(ConfigurationError, match=r"identifier: is missing.*data\.id"):
        SubmitPlan.parse({"endpoint": "/jobs"})


@pytest.mark.parametrize("given", ["3", 0, True, 1.5])
def test_a_number_of_errors_that_is_none_is_refused(given):
    with pytest.raises(ConfigurationError, match="max_consecutive_errors: has to be a whole number of at least 1, not"):
        SubmitPlan.parse({**FIELDS, "max_consecutive_errors": given})


def test_variables_of_the_author_are_a_mapping():
    with pytest.raises(ConfigurationError, match="variables: has to be a mapping of names to values, not list"):
        SubmitPlan.parse({**FIELDS, "variables": ["a"]})


def test_variables_of_the_author_go_along_with_the_job():
    handle, runner = submitted(CREATED, json={"a": "{period}"}, variables={"period": 5})
    assert runner.requests[0].body == b'{"a":5}'
    assert handle.variables["period"] == 5


def test_a_step_is_a_mapping():
    with pytest.raises(ConfigurationError, match="start: has to be a mapping"):
        SubmitPlan.parse({**FIELDS, "start": "/start"})


@pytest.mark.parametrize(("name", "where"), [("submit", r"^rules\[0\]"), ("start", r"^start\.rules\[0\]")])
def test_a_malformed_rule_is_named_by_its_place(name, where):
    with pytest.raises(ConfigurationError, match=where):
        RequestStep.parse({"endpoint": "/x", "rules": [{}]}, name)


@pytest.mark.parametrize("name", ["start", "lookup"])
def test_a_request_without_an_endpoint_is_refused_and_is_not_sent_to_the_root(name):
    with pytest.raises(ConfigurationError, match=f"{name}: endpoint is missing"):
        SubmitPlan.parse({**FIELDS, name: {"json": {}}})
    assert SubmitPlan.parse({**FIELDS, name: {"endpoint": "/"}})


def test_the_submits_endpoint_may_come_from_a_profile_but_not_from_nowhere():
    assert SubmitPlan.parse({"identifier": "id"}, complete=False)
    with pytest.raises(ConfigurationError, match=r"submit: endpoint is missing.*'/'"):
        SubmitPlan.parse({"identifier": "id"})
