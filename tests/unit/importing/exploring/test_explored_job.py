"""An explored job is written as a profile with variables, and as a DAG that sets them."""

import ast
import tomllib

from airflow_provider_asyncapi.importing.exploring.explored_job import ExploredJob

JSON = {
    "table": "orders",
    "limit": 7,
    "flag": True,
    "query": "{ orders }",
    "long": "x" * 80,
    "filter": {"a": 1},
    "identifier": "taken",
    "odd name": "x",
}


def make(**more):
    return ExploredJob(
        **{"name": "acme", "submit": {"endpoint": "/x", "json": JSON}, "status": {"endpoint": "/y"}, **more}
    )


def test_short_values_of_the_body_become_variables():
    job = make()
    submit = tomllib.loads(job.format_profile())["submit"]
    assert submit["json"] == {**JSON, "table": "{table}", "limit": "{limit}"}
    assert submit["variables"] == {"table": "orders", "limit": 7}
    assert 'variables={"table": "orders", "limit": 7},' in job.format_dag()


def test_the_dag_is_valid_python_however_long_its_values_are():
    values = {f"name_{number}": "it's \U0001f600 " * 8 for number in range(9)}
    job = make(submit={"endpoint": "/x", "data": values}, fetch={}, destination="file:///tmp/x/{{ ds }}/")
    text = job.format_dag()
    ast.parse(text)
    assert "it's \U0001f600 it's" in text
    assert max(map(len, text.splitlines())) <= 120
    assert len(tomllib.loads(job.format_profile())["submit"]["variables"]) == 6
    assert 'fetch={"destination": "file:///tmp/x/{{ ds }}/"},' in text


def test_a_request_without_a_body_needs_no_variables():
    job = make(submit={"endpoint": "/x"})
    assert "variables" not in job.format_dag()
    assert "fetch=" not in job.format_dag()
