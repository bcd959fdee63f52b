import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_asyncapi.core.errors import ConfigurationError, ContentError, SelectorError, UnknownVariableError
from airflow_provider_asyncapi.core.http.messages import Response
from airflow_provider_asyncapi.core.outcome import Outcome
from airflow_provider_asyncapi.core.selectors.captures import walk_variable_users
from airflow_provider_asyncapi.core.status.rules import Condition, Rule, find_match, parse_rules

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5) | st.integers(), inner, max_size=3),
    max_leaves=6,
)


def answer(body=None, status=200):
    return Response(status, body=b"" if body is None else json.dumps(body).encode())


def holds(condition, body, *, status=200, ignore_case=False, variables=None):
    return Condition.parse(condition, "rules[0]", ignore_case=ignore_case).holds(answer(body, status), variables or {})


@pytest.mark.parametrize(
    ("test", "value", "passes"),
    [
        ({"in": "done"}, "done", True),
        ({"in": ["a", "done"]}, "done", True),
        ({"in": "done"}, "Done", False),
        ({"in": [200, True]}, "200", True),
        ({"in": "true"}, True, True),
        ({"not_in": ["a", "b"]}, "c", True),
        ({"not_in": ["a", "b"]}, "b", False),
        ({"gt": 0}, 1, True),
        ({"gt": 0}, 0, False),
        ({"gt": "1.5"}, "2", True),
        ({"gt": 0}, "many", False),
        ({"lt": 3}, 2.9, True),
        ({"lt": 3}, 3, False),
        ({"lt": 3}, None, False),
        ({"lt": 3}, {}, False),
        ({"gt": "2026-01-31T10:00:00Z"}, "2026-01-31T11:00:00+00:00", True),
        ({"gt": "2026-01-31T10:00:00Z"}, "2026-01-31T10:30:00+01:00", False),
        ({"lt": "2026-01-31"}, "2026-01-30T23:59:59", True),
        ({"gt": "2026-01-31T10:00:00Z"}, 1769853600, False),
        ({"gt": "2026-01-31T10:00:00Z"}, 1769853601, True),
        ({"gt": "2026-01-31T10:00:00Z"}, 1769853601000, True),
        ({"gt": 1769853600}, "2026-01-31T10:00:01Z", True),
        ({"gt": "2026-01-31T10:00:00Z"}, 7, False),
        ({"gt": 7}, "2026-01-31T10:00:00Z", False),
        ({"gt": 7}, "soon", False),
        ({"matches": "^err-"}, "err-9", True),
        ({"matches": "^err-"}, "no err-9", False),
        ({"matches": "^4.4$"}, 404, True),
        ({"exists": True}, 0, True),
        ({"exists": True}, False, True),
        ({"exists": True}, [], False),
        ({"exists": True}, {}, False),
        ({"exists": True}, "", False),
        ({"exists": True}, None, False),
        ({"exists": False}, None, True),
        ({"exists": False}, "x", False),
        ({"exists": True}, ["x"], True),
    ],
)
def test_an_operator_tests_a_value(test, value, passes):
    assert holds({"selector": "v", **test}, {"v": value}) is passes
    if value is not None and not isinstance(value, list):
        assert Condition.parse({"selector": "v", **test}, "").passes(value, {}) is passes


@pytest.mark.parametrize(
    ("test", "variables", "value", "passes"),
    [
        ({"gt": "{before}"}, {"before": 3}, 4, True),
        ({"gt": "{before}"}, {"before": "2026-01-31T10:00:00Z"}, "2026-01-31T10:00:01Z", True),
        ({"lt": "{before}"}, {"before": "2026-01-31T10:00:00Z"}, "2026-01-31T10:00:01Z", False),
        ({"gt": "{day}T10:00:00Z"}, {"day": "2026-01-31"}, "2026-01-31T10:00:01Z", True),
        ({"in": ["{done}", "skipped", 7]}, {"done": "DONE"}, "DONE", True),
        ({"in": ["{done}", "skipped", 7]}, {"done": "DONE"}, "skipped", True),
        ({"in": ["{done}", "skipped", 7]}, {"done": ["DONE", "ended"]}, "ended", True),
        ({"not_in": "{before}"}, {"before": "v1"}, "v2", True),
        ({"not_in": "{before}"}, {"before": "v1"}, "v1", False),
        ({"matches": "x{2}"}, {"2": "y"}, "xx", True),
    ],
)
def test_an_operand_may_name_variables(test, variables, value, passes):
    assert holds({"selector": "v", **test}, {"v": value}, variables=variables) is passes


def test_a_variable_that_cannot_be_compared_is_an_error_that_names_the_rule():
    condition = {"selector": "v", "gt": "{before}"}
    with pytest.raises(ConfigurationError, match=r"rules\[0\]: gt needs a number or an ISO 8601 time, not 'soon'"):
        holds(condition, {"v": 1}, variables={"before": "soon"})
    with pytest.raises(UnknownVariableError, match=r"rules\[0\]: gt.*before"):
        holds(condition, {"v": 1})


def test_the_variables_of_an_operand_are_known_to_the_checks_of_a_dag():
    rules = parse_rules([{"selector": "v", "in": ["{a}", "x{b}"], "outcome": "success"}])
    assert [(user.text, user.variable_names()) for user in walk_variable_users(rules)] == [
        ("v", []),
        ('["{a}","x{b}"]', ["a", "b"]),
    ]


def test_case_is_ignored_on_request():
    assert holds({"selector": "v", "in": "DONE"}, {"v": "Done"}, ignore_case=True)
    assert not holds({"selector": "v", "not_in": "DONE"}, {"v": "Done"}, ignore_case=True)
    assert holds({"selector": "v", "matches": "^DO"}, {"v": "Done"}, ignore_case=True)
    assert not holds({"selector": "v", "matches": "^DO"}, {"v": "Done"})


@pytest.mark.parametrize(
    ("over", "states", "passes"),
    [
        ("any", ["DONE", "RUNNING"], True),
        ("all", ["DONE", "RUNNING"], False),
        ("all", ["DONE", "DONE"], True),
        ("any", [], False),
        ("all", [], False),
        ("all", ["DONE"], True),
    ],
)
def test_any_or_all_of_several_values_have_to_pass(over, states, passes):
    condition = {"selector": "$.parts[*].state", "in": "DONE", "over": over}
    assert holds(condition, {"parts": [{"state": state} for state in states]}) is passes
    assert holds({**condition, "selector": "states"}, {"states": states}) is passes


def test_values_are_counted_one_by_one():
    condition = Condition.parse({"selector": "r", "in": "x"}, "")
    assert condition.find_values(answer({"r": ["x", "y"]}), {}) == ["x", "y"]
    assert condition.find_values(answer({"r": "x"}), {}) == ["x"]
    assert condition.find_values(answer({}), {}) == []


def test_nothing_found_passes_no_test_but_exists():
    assert not holds({"selector": "v", "not_in": "a"}, {})
    assert not holds({"selector": "v", "lt": 5}, {"v": None})


def test_a_condition_may_hold_variables():
    condition = {"selector": '$[?(@.id == "{identifier}")].state', "in": "done"}
    assert holds(condition, [{"id": "7", "state": "done"}], variables={"identifier": 7})


def matching(rules, body=None, status=200):
    found = find_match(parse_rules(rules), answer(body, status), {})
    return found and found.outcome


CELIGO = [
    {"selector": "numError", "gt": 0, "outcome": "failure"},
    {"selector": "status", "in": "completed", "outcome": "success"},
]


def test_the_first_rule_that_matches_decides():
    assert matching(CELIGO, {"status": "completed", "numError": 2}) is Outcome.FAILURE
    assert matching(CELIGO, {"status": "completed", "numError": 0}) is Outcome.SUCCESS
    assert matching(CELIGO, {"status": "running"}) is None
    assert matching(None, {}) is None


def test_all_conditions_of_a_rule_have_to_hold():
    rules = [
        {"all": [{"selector": "s", "in": "completed"}, {"selector": "errors", "exists": True}], "outcome": "failure"}
    ]
    assert matching(rules, {"s": "completed", "errors": [1]}) is Outcome.FAILURE
    assert matching(rules, {"s": "completed", "errors": []}) is None
    assert matching(rules, {"s": "running", "errors": [1]}) is None


@pytest.mark.parametrize("status", [400, 404, 409, 422])
def test_an_error_answer_that_a_rule_can_read_is_read(status):
    rules = [{"selector": "error", "exists": True, "outcome": "failure"}]
    assert matching(rules, {"jsonrpc": "2.0", "error": {"code": -32000}}, status=status) is Outcome.FAILURE
    assert matching(rules, {"message": "no"}, status=status) is None


@pytest.mark.parametrize(
    "test",
    [{"exists": True}, {"not_in": ["quota"]}, {"gt": 0}, {"in": ["Internal Server Error"]}, {"matches": "Server"}],
)
def test_a_server_error_is_read_only_by_a_rule_that_names_what_it_looks_for(test):
    selector = "status" if "gt" in test else "error"
    rules = [{"selector": selector, **test, "outcome": "failure"}]
    found = matching(rules, {"status": 500, "error": "Internal Server Error"}, status=500)
    assert (found is Outcome.FAILURE) is ("in" in test or "matches" in test)
    by_value = {"all": [{"selector": "jsonrpc", "in": "2.0"}, {"selector": "error", "exists": True}]}
    said = {"jsonrpc": "2.0", "error": {"code": -32000}}
    assert matching([{**by_value, "outcome": "failure"}], said, status=500) is Outcome.FAILURE


@pytest.mark.parametrize("status", [401, 403, 408, 425, 429, 502, 503, 504])
def test_the_body_of_a_gateway_or_of_a_refused_login_is_no_answer_about_the_job(status):
    rules = [{"selector": "error", "exists": True, "outcome": "failure"}]
    assert matching(rules, {"error": "busy"}, status=status) is None


@pytest.mark.parametrize("body", [b"<html>Bad gateway error", b"", b"Bad gateway error"])
def test_an_error_page_that_a_rule_can_not_read_is_no_answer(body):
    rules = [
        {"selector": "error", "exists": True, "outcome": "failure"},
        {"selector": "xpath://error", "in": "x", "outcome": "failure"},
    ]
    assert find_match(parse_rules(rules), Response(500, body=body), {}) is None
    text = [{"selector": "response_text", "matches": "error", "outcome": "failure"}]
    assert (find_match(parse_rules(text), Response(500, body=body), {}) is None) is (body != b"Bad gateway error")


def test_no_error_answer_is_a_success_by_its_body_alone():
    assert (
        matching([{"selector": "status", "in": "completed", "outcome": "success"}], {"status": "completed"}, 400)
        is None
    )
    nothing = [{"selector": "code", "in": "NO_DATA", "outcome": "no_data"}]
    assert matching(nothing, {"code": "NO_DATA"}, 404) is Outcome.NO_DATA


def test_a_rule_for_what_is_missing_does_not_match_an_error_answer():
    missing = {"selector": "result", "exists": False}
    assert matching([{**missing, "outcome": "running"}], {"message": "bad id"}, status=400) is None
    both = {"all": [missing, {"selector": "state", "in": "queued"}], "outcome": "running"}
    assert matching([both], {"state": "queued"}, status=400) is Outcome.RUNNING


def test_an_error_status_is_judged_by_rules_that_test_it():
    """The body of a gateway's 503 isn't the job's own answer."""
    assert matching(CELIGO, {"status": "completed"}, status=503) is None
    rules = [
        *CELIGO,
        {"all": [{"selector": "error", "in": "gone"}, {"selector": "status_code", "in": [404]}], "outcome": "no_data"},
    ]
    assert matching(rules, {"status": "completed", "error": "gone"}, status=404) is Outcome.NO_DATA
    assert [rule.tests_status_code for rule in parse_rules(rules)] == [False, False, True]


def test_the_body_is_not_read_where_the_status_code_does_not_fit():
    rules = [{"all": [{"selector": "a", "in": "x"}, {"selector": "status_code", "in": 202}], "outcome": "running"}]
    assert find_match(parse_rules(rules), Response(200, body=b"<html>"), {}) is None


ACCEPTED = {"selector": "status_code", "in": [202], "outcome": "running"}


def test_an_empty_202_is_judged_by_its_code_whatever_the_order_of_the_rules():
    assert matching([*CELIGO, ACCEPTED], status=202) is Outcome.RUNNING


def test_a_body_that_can_not_be_read_is_an_error_where_a_rule_needs_it():
    with pytest.raises(ContentError, match="empty body"):
        matching([*CELIGO, ACCEPTED], status=200)
    with pytest.raises(ContentError, match="HTML page"):
        find_match(parse_rules([*CELIGO, ACCEPTED]), Response(202, body=b"<html>"), {})


@pytest.mark.parametrize(
    ("outcome", "final"),
    [("running", False), ("retry", False), ("success", True), ("failure", True), ("no_data", True)],
)
def test_some_outcomes_end_the_job(outcome, final):
    assert Outcome(outcome).is_final is final


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("x", r"rules\[0\]: a rule has to be a mapping, not 'x'"),
        (
            {"selector": "a", "in": "x"},
            r"rules\[0\]: outcome None isn't one of running, success, failure, no_data, retry",
        ),
        ({"selector": "a", "in": "x", "outcome": "done"}, "outcome 'done' isn't one of"),
        ({"selector": "a", "in": "x", "outcome": ["success"]}, "outcome .* isn't one of"),
        (
            {"selector": "a", "outcome": "success"},
            r"has to have a selector and one of in, not_in, .*; it has 'selector', 'outcome'",
        ),
        ({"in": "x", "outcome": "success"}, "has to have a selector"),
        ({"selector": "a", "in": "x", "gt": 1, "outcome": "success"}, "has to have a selector and one of"),
        ({"selector": "a", "in": "x", 7: 1, "b": 2, "outcome": "success"}, "it has 'selector', 'in', 7, 'b'"),
        (
            {"selector": "a", "in": "x", "over": "some", "outcome": "success"},
            "over has to be 'any' or 'all', not 'some'",
        ),
        ({"selector": "a[", "in": "x", "outcome": "success"}, r"rules\[0\]: malformed selector 'a\['"),
        ({"selector": "a", "in": [], "outcome": "success"}, r"in needs a string, a number or a boolean, .* not \[\]"),
        ({"selector": "a", "in": None, "outcome": "success"}, "in needs .* null counts as nothing, which exists tests"),
        ({"selector": "a", "not_in": [{}], "outcome": "success"}, "not_in needs a string"),
        ({"selector": "a", "gt": "many", "outcome": "success"}, "gt needs a number or an ISO 8601 time, not 'many'"),
        ({"selector": "a", "lt": None, "outcome": "success"}, "lt needs a number or an ISO 8601 time, not None"),
        ({"selector": "a", "exists": "yes", "outcome": "success"}, "exists has to be True or False, not 'yes'"),
        (
            {"selector": "a", "matches": "(", "outcome": "success"},
            r"matches needs a regular expression: regex '\(': missing \)",
        ),
        ({"selector": "a", "matches": 7, "outcome": "success"}, "matches needs a regular expression, not 7"),
        ({"selector": "a", "matches": b"x", "outcome": "success"}, "matches needs a regular expression, not b'x'"),
        ({"selector": "a", "matches": "a{9999999999999}", "outcome": "success"}, "matches needs a regular expression"),
        ({"all": [], "outcome": "success"}, "all has to be a list of conditions and stand alone"),
        ({"all": "a", "outcome": "success"}, "all has to be a list"),
        ({"all": [{"selector": "a", "in": 1}], "selector": "b", "outcome": "success"}, "stand alone"),
        ({"all": ["a"], "outcome": "success"}, r"rules\[0\]\.all\[0\]: has to be a mapping, not 'a'"),
        (
            {"all": [{"selector": "a", "in": 1, "outcome": "x"}], "outcome": "success"},
            r"all\[0\]: has to have a selector",
        ),
    ],
)
def test_a_wrong_rule_is_an_error_that_names_it(rule, message):
    with pytest.raises(ConfigurationError, match=message):
        parse_rules([rule])


def test_rules_are_a_list():
    with pytest.raises(ConfigurationError, match="rules: has to be a list of rules, not dict"):
        parse_rules({"selector": "a"})


def test_a_condition_may_have_keys_that_its_owner_reads():
    assert Condition.parse({"selector": "a", "gt": 1, "member": "x"}, "", also=("member",)).operand.number == 1
    with pytest.raises(ConfigurationError):
        Condition.parse({"selector": "a", "gt": 1, "member": "x"}, "")


KEYS = st.sampled_from(["selector", "in", "not_in", "exists", "gt", "lt", "matches", "over", "outcome", "all", 7])
RUBBISH = st.dictionaries(
    KEYS,
    JSON
    | st.sampled_from(["success", "a.b", "any", "[", "status_code"])
    | st.lists(st.dictionaries(KEYS, JSON), max_size=2),
    max_size=5,
)


@given(JSON | st.lists(RUBBISH, max_size=3))
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_any_rubbish_is_rules_or_a_configuration_error(rubbish):
    try:
        parsed = parse_rules(rubbish)
    except ConfigurationError as error:
        assert str(error).startswith("rules")  # noqa: PT017 - either way is right
        return
    try:
        found = find_match(parsed, answer({"a": {"b": 1}}), {})
    except (ContentError, SelectorError):
        return
    assert found is None or isinstance(found, Rule)
