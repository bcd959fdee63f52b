"""The equivalents of tasks of the http provider are operators that can be made."""

from typing import Any

import pytest

from airflow_provider_asyncapi.importing.http_dags.equivalents import write_equivalents
from airflow_provider_asyncapi.importing.http_dags.tasks import read_dag_file
from airflow_provider_asyncapi.operators.asyncapi import AsyncApiFetchOperator, AsyncApiTriggerOperator
from airflow_provider_asyncapi.operators.job import AsyncApiJobOperator
from airflow_provider_asyncapi.sensors.asyncapi import AsyncApiSensor

KINDS = (AsyncApiFetchOperator, AsyncApiJobOperator, AsyncApiSensor, AsyncApiTriggerOperator)
#: The note about each fetch.
IN_XCOM = (
    "destination: a result without one is in XCom, which takes 48 KiB at most (max_xcom_bytes); for a download, set"
    ' output_type="file" as well'
)


def convert(source: str, **names: Any) -> tuple[list[Any], list[list[str]]]:
    """Return the tasks that the equivalents make, and the notes about each."""
    found = write_equivalents(read_dag_file(source.encode(), "dag.py"))
    scope = {**{kind.__name__: kind for kind in KINDS}, **names}
    tasks = [eval(each.source.partition(" = ")[2] if each.tasks[0].variable else each.source, scope) for each in found]
    return tasks, [[f"{note.line}: {note.message}" for note in each.notes] for each in found]


JOB = """
submit = HttpOperator(
    task_id="submit",
    http_conn_id="vendor",
    endpoint="v1/exports",
    data='{"table": "orders", "day": "{{ ds }}"}',
    headers={"Content-Type": "application/json", "X-Org": "7"},
    response_filter=lambda response: response.json()["export"],
    retries=2,
)
wait = HttpSensor(
    task_id="wait",
    http_conn_id="vendor",
    endpoint="/v1/exports/{{ ti.xcom_pull('submit')['id'] }}",
    response_check=lambda response: response.json()["state"] == "FINISHED",
    poke_interval=30,
    timeout=60 * 60,
    mode="reschedule",
    retries=5,
)
fetch = HttpOperator(
    task_id="fetch",
    http_conn_id="vendor",
    method="GET",
    endpoint=f"/v1/exports/{submit.output}/rows",
    data={"page": "1"},
    response_filter=lambda r: r.json()["rows"],
)
"""


def test_a_submit_a_sensor_and_a_fetch_become_one_task() -> None:
    (task,), (notes,) = convert(JOB)
    assert isinstance(task, AsyncApiJobOperator)
    assert (task.task_id, task.asyncapi_conn_id, task.retries, task.deferrable) == ("submit", "vendor", 2, True)
    assert task.submit == {
        "endpoint": "/v1/exports",
        "headers": {"X-Org": "7"},
        "json": {"table": "orders", "day": "{{ ds }}"},
        "identifier": "export.id",
    }
    assert task.status == {
        "endpoint": "/v1/exports/{identifier}",
        "completion_key": "state",
        "completion_value": "FINISHED",
        "poke_interval": 30,
        "timeout": 3600,
    }
    assert task.fetch == {
        "endpoint": "/v1/exports/{identifier}/rows",
        "query_params": {"page": "1"},
        "result_path": "rows",
    }
    assert notes == [
        "2: replaces submit, wait, fetch: change the tasks and templates that name the others",
        "11: failure_value: add the statuses of a job that has failed; HttpSensor ignores them",
        "19: retries: differs between the tasks; the new task has that of the first",
        f"21: {IN_XCOM}",
    ]


def test_options_of_a_sensor_become_those_of_the_wait() -> None:
    (task,), (notes,) = convert(JOB.replace("    retries=5,", "    soft_fail=True, never_fail=True, max_wait=60,"))
    assert task.status["soft_fail"] is True
    assert [note for note in notes if "never_fail" in note] == [
        "11: never_fail: AsyncApiJobOperator has no such argument; see soft_fail of its status"
    ]


def test_a_sensor_alone_stays_one() -> None:
    (task,), (notes,) = convert(
        "HttpSensor(task_id='up', http_conn_id='v', endpoint='health', request_params={'a': 'b'}, mode='reschedule',"
        " pool='p', response_error_codes_allowlist=['404', '503'])"
    )
    assert isinstance(task, AsyncApiSensor)
    assert (task.job, task.endpoint, task.query_params, task.mode, task.pool) == (
        "up",
        "/health",
        {"a": "b"},
        "reschedule",
        "p",
    )
    assert task.rules == [
        {"selector": "status_code", "in": [404, 503], "outcome": "running"},
        {"selector": "status_code", "in": 200, "outcome": "success"},
    ]
    assert notes == ["1: job: the endpoint contains no identifier, so this is a name only"]


def test_a_sensor_of_a_job_that_another_task_submits_takes_its_xcom() -> None:
    (task,), _ = convert(
        "HttpSensor(task_id='w', endpoint='/x/{{ ti.xcom_pull(task_ids=\"made\") }}', deferrable=True,"
        " response_check=lambda r: r.json()['done'])"
    )
    assert (task.job, task.endpoint) == ("{{ ti.xcom_pull(task_ids='made') }}", "/x/{identifier}")
    assert task.deferrable is True


def test_operators_alone() -> None:
    (post, get), notes = convert(
        "a = HttpOperator(task_id='a', http_conn_id='v', endpoint='/x', data=json.dumps({'n': N}),"
        " response_filter=lambda r: r.json()['id'], response_check=lambda r: r.json()['ok'])\n"
        "HttpOperator(task_id='b', http_conn_id='v', method='GET', endpoint=URL, response_filter=lambda r: r.text)",
        N=4,
        URL="/y",
    )
    assert isinstance(post, AsyncApiTriggerOperator)
    assert (post.json, post.identifier) == ({"n": 4}, "id")
    assert post.rules == [{"selector": "ok", "not_in": True, "outcome": "failure"}]
    assert isinstance(get, AsyncApiFetchOperator)
    assert (get.endpoint, get.result_format) == ("/y", "text")
    assert notes == [[], [f"2: {IN_XCOM}", "2: job: the request belongs to no job, so this is a name only"]]


def test_a_job_has_the_connection_and_the_schedule_of_default_args() -> None:
    (task,), _ = convert(
        "with DAG('d', default_args={'http_conn_id': 'reports', 'poke_interval': 7, 'retries': 3}):\n"
        "    HttpOperator(task_id='s', endpoint='/r', response_filter=lambda r: r.json()['id'])\n"
        "    HttpSensor(task_id='w', endpoint='/r/{{ ti.xcom_pull(\"s\") }}', response_check=lambda r: r.json()['ok'])"
    )
    # The retries stay in default_args, which the new task has too.
    assert (task.asyncapi_conn_id, task.status["poke_interval"], task.retries) == ("reports", 7, 0)


@pytest.mark.parametrize(
    ("before", "argument", "connection", "note"),
    [
        ("", "", "http_default", 'the task names no connection, so it has the default, "http_default"'),
        ("", "**load(), ", "…", "name the connection: the task names none, and **kwargs can't be read"),
        (
            "DAG('d', default_args=load())\n",
            "",
            "…",
            "name the connection: the task names none, and default_args can't",
        ),
    ],
)
def test_a_task_without_a_connection_is_named(before: str, argument: str, connection: str, note: str) -> None:
    (task,), (notes,) = convert(f"{before}HttpOperator({argument}task_id='a', method='GET')", load=dict)
    assert task.asyncapi_conn_id == connection
    assert [each for each in notes if f": asyncapi_conn_id: {note}" in each]


def test_another_connection_of_a_task_of_the_job_is_named() -> None:
    _, (notes,) = convert(JOB.replace('http_conn_id="vendor",\n    method', "http_conn_id=OTHER,\n    method"))
    assert '21: http_conn_id: is OTHER here; the new task has "vendor" for all requests' in notes


def test_arguments_that_cannot_be_read_are_named() -> None:
    _, (notes,) = convert("HttpOperator(task_id='a', http_conn_id='v', method='GET', **load(1))")
    assert "1: **load(1): can't be read without executing the file; add the arguments" in notes


@pytest.mark.parametrize(
    ("check", "note"),
    [
        ("'DONE' in r.text", 'rules: add one with the outcome "failure" for a job that has failed;'),
        ("r.json()['a'] == 1 and r.json()['b'] == 2", 'rules: add one with the outcome "failure"'),
        ("r.json()['state'] == 'DONE'", "failure_value: add the statuses of a job that has failed;"),
    ],
)
def test_a_check_that_knows_no_failure_is_named(check: str, note: str) -> None:
    _, (notes,) = convert(f"HttpSensor(task_id='w', endpoint='/x', response_check=lambda r: {check})")
    assert any(each.startswith(f"1: {note}") for each in notes)


@pytest.mark.parametrize(
    ("arguments", "note"),
    [
        ("extra_options={'verify': False}", "extra_options: isn't carried over; verify, proxies and cert are settings"),
        ("pagination_function=turn", "pagination_function: isn't carried over; pages are fetched with next_page"),
        ("auth_type=Auth", "auth_type: isn't carried over; the kind of authentication is the connection's"),
        (
            "response_check=lambda r: len(r.json())",
            "response_check: can't be expressed with selectors and rules: len(r.",
        ),
        (
            "response_filter=lambda r: r.json()[0:3]",
            "response_filter: can't be expressed with selectors and rules: r.json()[",
        ),
        ("response_filter=lambda r: r.json()", "identifier: name the selector of the identifier"),
    ],
)
def test_what_is_not_carried_over_is_named_with_its_line(arguments: str, note: str) -> None:
    found = write_equivalents(read_dag_file(f"HttpOperator(task_id='a', data='x',\n {arguments})".encode(), "dag.py"))
    assert any(each.message.startswith(note) and each.line in {1, 2} for each in found[0].notes)


def test_a_mapped_task_is_named() -> None:
    _, (notes,) = convert("HttpOperator.partial(task_id='m', method='GET').expand(endpoint=['/a'])")
    assert notes[0] == "1: is a mapped task: write partial(…).expand(…) of the new task by hand"


def test_bodies_and_methods() -> None:
    tasks, _ = convert(
        "HttpOperator(task_id='a', endpoint='https://h/x', data={'a': '{{ ds }}'}, headers=HEADERS,"
        " response_filter=lambda r: r.json()['id'])\n"
        "HttpOperator(task_id='b', method=METHOD, data='{', headers={'content-type': 'application/json'},"
        " response_filter=lambda r: r.headers['Location'])\n"
        "HttpOperator(task_id='c', method='PUT', request_kwargs={'json': {'a': 1}, 'params': {'b': 2}},"
        " response_filter=lambda r: r.json()['id'])\n",
        HEADERS={"a": "b"},
        METHOD="PATCH",
    )
    assert [(task.endpoint, task.method, task.data, task.json, task.headers) for task in tasks] == [
        ("https://h/x", None, {"a": "{{ ds }}"}, None, {"a": "b"}),
        ("/", "PATCH", "{", None, {"content-type": "application/json"}),
        ("/", "PUT", None, {"a": 1}, None),
    ]
    assert tasks[1].identifier == "header:Location"
    assert tasks[2].query_params == {"b": 2}


def test_long_arguments_have_a_line_for_each_key() -> None:
    long = ", ".join(f"'key_{number}': 'value_{number}'" for number in range(9))
    found = write_equivalents(
        read_dag_file(
            f"HttpOperator(task_id='a', data=json.dumps({{'deep': {{{long}}}, 'x': [1]}}))".encode(), "dag.py"
        )
    )
    assert '        "deep": {\n            "key_0": "value_0",\n' in found[0].source
