"""Functions of the http provider are translated if selectors and rules can express them, and refused otherwise."""

import ast

import pytest

from airflow_provider_asyncapi.core.status.rules import parse_rules
from airflow_provider_asyncapi.core.wait.plan import WaitPlan
from airflow_provider_asyncapi.importing.http_dags.callables import FunctionReader, UntranslatableError


def parse(source):
    return ast.parse(source, mode="eval").body


def read(method, source):
    tree = ast.parse(source)
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    last = tree.body[-1]
    function = ast.Name(last.name) if isinstance(last, ast.FunctionDef) else last.value
    return getattr(FunctionReader(functions), method)(function)


@pytest.mark.parametrize(
    ("check", "parameters"),
    [
        ("r.json()['status'] == 'done'", {"completion_key": "status", "completion_value": "done"}),
        ("'done' == r.json().get('status')", {"completion_key": "status", "completion_value": "done"}),
        (
            "r.json()['a']['b'][0].get('c', {}) in ('x', 'y')",
            {"completion_key": "a.b[0].c", "completion_value": ["x", "y"]},
        ),
        ("json.loads(r.text)['odd key'] == 1", {"completion_key": '$."odd key"', "completion_value": 1}),
        ("r.json()['done']", {"completion_key": "done", "completion_value": True}),
        ("r.json()['done'] is True", {"completion_key": "done", "completion_value": True}),
        ("bool(r.json()['done'])", {"completion_key": "done", "completion_value": True}),
        (
            "r.json()['status'].lower() == 'done'",
            {"completion_key": "status", "completion_value": "done", "ignore_case": True},
        ),
        (
            "r.json()['status'] != 'running'",
            {"rules": [{"selector": "status", "not_in": "running", "outcome": "success"}]},
        ),
        ("not r.json()['busy']", {"rules": [{"selector": "busy", "not_in": True, "outcome": "success"}]}),
        ("r.status_code == 200", {"rules": [{"selector": "status_code", "in": 200, "outcome": "success"}]}),
        (
            "r.ok and r.headers['X-State'] == 'done'",
            {"completion_key": "header:X-State", "completion_value": "done"},
        ),
        (
            "r.json()['a'] == 1 and not (r.json()['b'] == 2 or r.json()['c'] > 3) if False else False",
            None,
        ),
        (
            "r.json()['a'] == 1 and r.json()['c'] > 3",
            {
                "rules": [
                    {"all": [{"selector": "a", "in": 1}, {"selector": "c", "gt": 3}], "outcome": "success"},
                ]
            },
        ),
        (
            "not (r.json()['a'] == 1 and r.json()['b'] == 2)",
            {
                "rules": [
                    {"selector": "a", "not_in": 1, "outcome": "success"},
                    {"selector": "b", "not_in": 2, "outcome": "success"},
                ]
            },
        ),
        ("r.json()['url'] is not None", {"rules": [{"selector": "url", "exists": True, "outcome": "success"}]}),
        ("'url' in r.json()", {"rules": [{"selector": "url", "exists": True, "outcome": "success"}]}),
        ("'url' not in r.json()", {"rules": [{"selector": "url", "exists": False, "outcome": "success"}]}),
        (
            "'all done.' in r.text",
            {"rules": [{"selector": "response_text", "matches": "all\\ done\\.", "outcome": "success"}]},
        ),
        (
            "True",
            {"rules": [{"selector": "status_code", "in": [200, 201, 202, 204], "outcome": "success"}]},
        ),
        ("len(r.json()['rows']) > 3", None),
        ("r.json()[-1] == 'x'", None),
        ("r.json()['a'] == r.json()['b']", None),
        ("r.json()['a'] >= 3", None),
        ("not r.json()['a'] > 3", None),
        ("r.json()['a'] < 'x'", None),
        ("any(x['s'] == 'y' for x in r.json())", None),
        ("r.json()['a'] == {'b': 1}", None),
        ("1 < r.json()['a'] < 3", None),
        ("'x' in r.json()['a']", None),
        ("4 in r.json()", None),
        ("r.json()[key] == 'x'", None),
        ("r.text[0] == 'x'", None),
        ("check(r)", None),
        (" and ".join(["(r.json()['a'] or r.json()['b'])"] * 12), None),
    ],
)
def test_checks_of_sensors(check, parameters):
    source = f"lambda r, **context: {check}"
    if parameters is None:
        with pytest.raises(UntranslatableError):
            read("read_check", source)
        return
    found = read("read_check", source).to_parameters()
    assert found == parameters
    WaitPlan.parse({"endpoint": "/x", **found})


def test_a_function_with_statements_is_read_in_their_order():
    found = read(
        "read_check",
        '''
def check(response, **context):
    """Is it over?"""
    job = response.json()["job"]
    state = job["state"]
    print(state)
    if state in ["FAILED", "LOST"]:
        log.error("it has failed")
        raise AirflowException(state)
    if job["paused"]:
        return False
    if state == "SKIPPED":
        return True
    return state == "DONE"
''',
    )
    assert found.rules == [
        {"selector": "job.state", "in": ["FAILED", "LOST"], "outcome": "failure"},
        {"selector": "job.paused", "in": True, "outcome": "running"},
        {"selector": "job.state", "in": "SKIPPED", "outcome": "success"},
        {"selector": "job.state", "in": "DONE", "outcome": "success"},
    ]
    parse_rules(found.rules)
    assert found.to_parameters() == {"rules": found.rules}


def test_success_and_failure_of_one_status_are_values():
    found = read(
        "read_check",
        "def check(r):\n if r.json()['s'] == 'BAD':\n  raise ValueError\n"
        " if r.json()['s'] == 'OK':\n  return True\n return False",
    )
    assert found.to_parameters() == {"completion_key": "s", "completion_value": "OK", "failure_value": "BAD"}


@pytest.mark.parametrize(
    "source",
    [
        "def check(r):\n for x in r.json():\n  pass\n return True",
        "def check(r):\n x, y = r.json()\n return x",
        "def check(r):\n x = x\n return x == 1",
        "def check(r):\n return",
        "def check():\n return True",
        "functools.partial(check, 1)",
        "unknown",
    ],
)
def test_other_functions_are_refused(source):
    with pytest.raises((UntranslatableError, RecursionError)):
        read("read_check", source)


@pytest.mark.parametrize(
    ("source", "selector"),
    [
        ("lambda response: response.json()", "$"),
        ("lambda response: response.json()['export']['id']", "export.id"),
        ("lambda response: str(response.json()['id']).strip()", "id"),
        ("lambda response: json.loads(response.content)['id']", "id"),
        ("lambda response: response.headers.get('Location')", "header:Location"),
        ("lambda response: response.text", "response_text"),
        ("def take(r):\n data = r.json()\n return data['id']", "id"),
    ],
)
def test_filters(source, selector):
    assert read("read_selector", source) == selector


@pytest.mark.parametrize(
    "source",
    ["lambda r: [x for x in r.json()]", "lambda r: pd.read_csv(r.text)", "def take(r):\n if r:\n  return 1\n return 2"],
)
def test_filters_that_compute_are_refused(source):
    with pytest.raises(UntranslatableError):
        read("read_selector", source)


def test_a_requirement_refuses_the_opposite():
    found = read("read_requirement", "lambda r: r.json()['ok'] and r.status_code == 201")
    assert found.rules == [
        {"selector": "ok", "not_in": True, "outcome": "failure"},
        {"selector": "status_code", "not_in": 201, "outcome": "failure"},
    ]
    assert read("read_requirement", "lambda r: True").rules == []
    assert read("read_requirement", "lambda r: r.ok").rules == []
    with pytest.raises(UntranslatableError):
        read("read_requirement", "def check(r):\n if r:\n  return 1\n return 2")
