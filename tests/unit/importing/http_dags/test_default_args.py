"""The arguments that a task gets from default_args and unpacked dictionaries are read without executing the file."""

import ast

import pytest

from airflow_provider_asyncapi.importing.http_dags.tasks import read_dag_file

TASK = "HttpOperator(task_id='a')"
IN_DAG = "with DAG('d', default_args={'http_conn_id': 'v'}):\n"


def find_connection(source):
    """Return the connection of the last task; None if there is none, and ... if it can't be read."""
    task = read_dag_file(source.encode(), "dag.py").tasks[-1]
    node = task.arguments.get("http_conn_id")
    if node is not None:
        return ast.unparse(node)
    return ... if task.has_unread_defaults or task.unread_arguments is not None else None


@pytest.mark.parametrize(
    ("source", "connection"),
    [
        (f"with DAG('d', default_args={{'http_conn_id': 'v'}}):\n {TASK}", "'v'"),
        (f"with models.DAG('d', default_args=dict(http_conn_id=CONN)) as dag:\n {TASK}", "CONN"),
        (f"with DAG('d'):\n {TASK}", None),
        (f"@dag(default_args={{'http_conn_id': 'v'}})\ndef d():\n {TASK}", "'v'"),
        (f"d = DAG('d', default_args={{'http_conn_id': 'v'}})\nwith d:\n {TASK}", "'v'"),
        # The inner one counts, and what a task says itself.
        (f"{IN_DAG} with TaskGroup('g', default_args={{'http_conn_id': 'w'}}):\n  {TASK}", "'w'"),
        (f"with DAG('d', default_args={{'http_conn_id': 'v'}}), TaskGroup('g', default_args=load()):\n {TASK}", ...),
        ("with DAG(default_args={'http_conn_id': 'v'}):\n HttpOperator(default_args={'http_conn_id': 'w'})", "'w'"),
        ("with DAG(default_args={'http_conn_id': 'v'}):\n HttpOperator(http_conn_id='w')", "'w'"),
        # The DAG of a task that is outside of its block.
        ("d = DAG(default_args={'http_conn_id': 'v'})\ne = DAG()\nHttpOperator(dag=d)", "'v'"),
        (f"def make():\n {TASK}\nwith DAG(default_args={{'http_conn_id': 'v'}}):\n make()", "'v'"),
        (f"def make():\n {TASK}\nDAG(default_args={{'http_conn_id': 'v'}})\nDAG()", ...),
        (f"def make():\n {TASK}\nDAG(default_args=load())", ...),
        # Dictionaries of dictionaries.
        (f"A: dict = {{'http_conn_id': 'v'}}\nB = {{**A, 'x': 1}}\nwith DAG(default_args=B | {{}}):\n {TASK}", "'v'"),
        (f"A = {{'http_conn_id': 'v'}}\nwith DAG(default_args=dict(A.copy(), **{{}})):\n {TASK}", "'v'"),
        (f"with DAG(default_args={{**load(), 'http_conn_id': 'v'}}):\n {TASK}", "'v'"),
        (f"with DAG(default_args={{'http_conn_id': 'v', **load()}}):\n {TASK}", ...),
        (f"with DAG(default_args={{'http_conn_id': 'v', KEY: 1}}):\n {TASK}", ...),
        (f"with DAG(default_args=None):\n {TASK}", None),
        (f"with DAG(**load()):\n {TASK}", ...),
        (f"A = {{'default_args': {{'http_conn_id': 'v'}}}}\nwith DAG(**A):\n {TASK}", "'v'"),
        ("A = dict(http_conn_id='v')\nHttpOperator(**A)", "'v'"),
        ("HttpOperator(**load())", ...),
        ("HttpOperator(**load(), http_conn_id='v')", "'v'"),
        # The file has to be executed to know the value.
        (f"A = {{}}\nA['http_conn_id'] = 'v'\nwith DAG(default_args=A):\n {TASK}", ...),
        (f"A = {{}}\nA.update(load())\nwith DAG(default_args=A):\n {TASK}", ...),
        (f"A = {{}}\nA |= load()\nwith DAG(default_args=A):\n {TASK}", ...),
        (f"A = {{}}\ndef make(A):\n with DAG(default_args=A):\n  {TASK}", ...),
        (f"from common import A\nwith DAG(default_args=A):\n {TASK}", ...),
        (f"A = {{**A}}\nwith DAG(default_args=A):\n {TASK}", ...),
    ],
)
def test_the_connection_of_a_task(source, connection):
    assert find_connection(source) == connection


def test_a_task_inherits_what_its_class_takes():
    operator, sensor = read_dag_file(
        b"with DAG(default_args={'timeout': 5, 'auth_type': X, 'method': 'PUT', 'retries': 2}):\n"
        b" HttpOperator(task_id='a')\n"
        b" HttpSensor(task_id='b', method='GET')",
        "dag.py",
    ).tasks
    assert {*operator.arguments} == {"task_id", "auth_type", "method"}
    assert {*sensor.arguments} == {"task_id", "timeout", "method"}
    assert ast.unparse(sensor.arguments["method"]) == "'GET'"
