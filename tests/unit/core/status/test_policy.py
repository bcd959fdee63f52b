import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_asyncapi.core.errors import ConfigurationError, ContentError, SelectorError
from airflow_provider_asyncapi.core.http.messages import Response
from airflow_provider_asyncapi.core.outcome import Outcome
from airflow_provider_asyncapi.core.status.policy import STATUS_PARAMETERS, StatusPolicy, Verdict

GIVEN = {
    "completion_key": ["data.task.status", "data.status"],
    "completion_value": "completed",
    "failure_value": ["failed", "canceled"],
    "no_data_value": "empty",
}


def answer(body=None, status=200):
    return Response(status, body=b"" if body is None else json.dumps(body).encode())


def classify(given_, body=None, status=200):
    return StatusPolicy.parse(given_).classify(answer(body, status), {})


@pytest.mark.parametrize(
    ("value", "outcome"),
    [("completed", "success"), ("failed", "failure"), ("canceled", "failure"), ("empty", "no_data")],
)
def test_a_value_that_is_given_decides(value, outcome):
    assert classify(GIVEN, {"data": {"status": value}}) == Verdict(Outcome(outcome), value)
    assert classify(GIVEN, {"data": {"task": {"status": value}}}) == Verdict(Outcome(outcome), value)


def test_an_unknown_value_is_still_running():
    assert classify(GIVEN, {"data": {"status": "Completed"}}) == Verdict(Outcome.RUNNING, "Completed", is_known=False)
    assert classify(GIVEN, {"data": {}}) == Verdict(Outcome.RUNNING, None, is_known=False)


def test_an_unknown_value_fails_where_the_running_ones_are_given():
    given_ = {**GIVEN, "running_value": ["queued", "running"]}
    assert classify(given_, {"data": {"status": "running"}}) == Verdict(Outcome.RUNNING, "running")
    assert classify(given_, {"data": {"status": "lost"}}) == Verdict(Outcome.FAILURE, "lost", is_known=False)


@pytest.mark.parametrize(
    ("completion_value", "value"), [("200", 200), (200, "200"), (True, "true"), ("true", True), ([1, 2], 2.0)]
)
def test_values_compare_as_json(completion_value, value):
    given_ = {"completion_key": "s", "completion_value": completion_value}
    assert classify(given_, {"s": value}).outcome is Outcome.SUCCESS


def test_case_is_ignored_on_request():
    assert classify({**GIVEN, "ignore_case": True}, {"data": {"status": "COMPLETED"}}).outcome is Outcome.SUCCESS
    rules = [{"selector": "x", "in": "YES", "outcome": "failure"}]
    assert classify({**GIVEN, "ignore_case": True, "rules": rules}, {"x": "yes"}).outcome is Outcome.FAILURE


def test_null_is_no_status_even_where_one_is_called_so():
    given_ = {"completion_key": "s", "completion_value": "null"}
    assert classify(given_, {"s": None}) == Verdict(Outcome.RUNNING, None, is_known=False)
    assert classify(given_, {"s": "null"}).outcome is Outcome.SUCCESS


def test_rules_come_before_values_and_keep_the_status_to_be_shown():
    rules = [{"selector": "numError", "gt": 0, "outcome": "failure"}]
    given_ = {"completion_key": "status", "completion_value": "completed", "rules": rules}
    assert classify(given_, {"status": "completed", "numError": 1}) == Verdict(Outcome.FAILURE, "completed")
    assert classify(given_, {"status": "completed", "numError": 0}) == Verdict(Outcome.SUCCESS, "completed")


ACCEPTED = [
    {"selector": "status_code", "in": 202, "outcome": "running"},
    {"selector": "status_code", "in": [200, 404], "outcome": "success"},
]


def test_a_job_that_is_judged_by_rules_alone_has_the_outcome_for_its_status():
    assert classify({"rules": ACCEPTED}, None, 202) == Verdict(Outcome.RUNNING, "running")
    assert classify({"rules": ACCEPTED}, None, 200) == Verdict(Outcome.SUCCESS, "success")
    assert classify({"rules": ACCEPTED}, None, 404) == Verdict(Outcome.SUCCESS, "success")
    assert classify({"rules": ACCEPTED}, None, 201) == Verdict(Outcome.RUNNING, None, is_known=False)


def test_an_empty_202_is_no_error_where_a_rule_has_decided():
    assert classify({**GIVEN, "rules": ACCEPTED}, None, 202) == Verdict(Outcome.RUNNING, "running")


def test_a_body_that_can_not_be_read_is_an_error_where_no_rule_has_decided():
    with pytest.raises(ContentError, match="empty body"):
        classify(GIVEN)
    with pytest.raises(ContentError, match="HTML page"):
        StatusPolicy.parse(GIVEN).classify(Response(200, body=b"<html>"), {})


def test_nothing_given_is_an_empty_policy():
    assert StatusPolicy.parse({}).is_empty
    assert not StatusPolicy.parse(GIVEN).is_empty
    assert not StatusPolicy.parse({"rules": ACCEPTED}).is_empty
    assert StatusPolicy().classify(answer({}), {}) == Verdict(Outcome.RUNNING, None, is_known=False)


def test_a_value_may_be_said_twice_with_the_same_meaning():
    assert (
        classify({"completion_key": "s", "completion_value": [200, "200", 200.0]}, {"s": 200}).outcome
        is Outcome.SUCCESS
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"failure_value": "completed"},
            "failure_value: 'completed' is also a completion_value; a status has one meaning",
        ),
        ({"completion_value": 200, "running_value": ["200"]}, "running_value: '200' is also a completion_value"),
        ({"no_data_value": ["x", "failed"]}, "no_data_value: 'failed' is also a failure_value"),
        ({"failure_value": "Completed", "ignore_case": True}, "failure_value: 'Completed' is also a completion_value"),
        ({"completion_key": None}, "completion_value: needs completion_key"),
        ({"completion_value": None}, r"completion_key: needs completion_value, .* \(or rules\)"),
        ({"completion_key": "a["}, r"completion_key: malformed selector 'a\['"),
        ({"completion_key": []}, "completion_key: at least one selector"),
        ({"completion_value": {"a": 1}}, "completion_value: has to be a string, a number or a boolean"),
        ({"failure_value": ["x", None]}, "failure_value: has to be a string, .* not None; .* use rules"),
        ({"ignore_case": "no"}, "ignore_case: has to be True or False, not 'no'"),
        ({"rules": [{"selector": "x"}]}, r"rules\[0\]: outcome None"),
    ],
)
def test_what_can_not_be_meant_is_an_error_that_names_the_parameter(change, message):
    with pytest.raises(ConfigurationError, match=message):
        StatusPolicy.parse({**GIVEN, **change})


def test_what_a_profile_may_add_is_not_missed_yet():
    assert StatusPolicy.parse({"completion_value": "x"}, complete=False).key is None
    assert StatusPolicy.parse({"completion_key": "x"}, complete=False).key is not None
    with pytest.raises(ConfigurationError):
        StatusPolicy.parse({"completion_value": "x", "failure_value": "x"}, complete=False)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5) | st.integers(), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(STATUS_PARAMETERS), JSON), JSON)
def test_any_rubbish_is_a_policy_or_a_configuration_error(rubbish, body):
    try:
        policy = StatusPolicy.parse(rubbish)
    except ConfigurationError:
        return
    with contextlib.suppress(ContentError, SelectorError):
        assert isinstance(policy.classify(answer(body), {}), Verdict)
