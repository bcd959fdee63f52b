"""Tasks and loops are found in a DAG file without executing it."""

import pytest

from airflow_provider_asyncapi.core.errors import ConfigurationError
from airflow_provider_asyncapi.importing.http_dags.tasks import read_dag_file


def read(source):
    return read_dag_file(source.encode(), "dag.py")


def test_tasks_are_found_however_they_are_made():
    found = read(
        "from airflow.providers.http.operators.http import HttpOperator as Op\n"
        "raise SystemExit  # not executed\n"
        "a = Op(task_id='one')\n"
        "with DAG('x'):\n"
        "    a >> http.HttpSensor(task_id=NAME)\n"
        "    b = SimpleHttpOperator.partial(task_id='three').expand(endpoint=[])\n"
        "Other(task_id='x')\n"
    )
    assert [(task.kind, task.variable, task.task_id, task.line, task.is_mapped) for task in found.tasks] == [
        ("HttpOperator", "a", "one", 3, False),
        ("HttpSensor", None, "task", 5, False),
        ("SimpleHttpOperator", None, "three", 6, True),
    ]
    assert [task.is_sensor for task in found.tasks] == [False, True, False]


@pytest.mark.parametrize(
    ("endpoint", "references"),
    [
        ("'/x/{{ ti.xcom_pull(\"submit\") }}'", [("submit", ())]),
        ('\'/x/{{ task_instance.xcom_pull(task_ids="a.b", key="k")["job"].id }}\'', [("a.b", ("job", "id"))]),
        ("'{{ ti.xcom_pull(task_ids=[\"submit\"]) | first }}'", [("submit", ())]),
        ("f'/x/{submit.output}'", [("submit", ())]),
        ("'/x/{{ ds }}'", []),
    ],
)
def test_references_to_other_tasks(endpoint, references):
    (task,) = read(f"HttpSensor(task_id='x', endpoint={endpoint})").tasks
    assert [(each.task, each.keys) for each in task.find_references()] == references
    assert task.find_references("data") == []


def test_loops_that_send_requests_and_sleep_are_found_once():
    found = read(
        "def outer():\n"
        "    def poll():\n"
        "        while True:\n"
        "            if requests.get(url).json()['done']:\n"
        "                break\n"
        "            time.sleep(5)\n"
        "def other():\n"
        "    for _ in range(9):\n"
        "        self.hook.run(url)\n"
        "        sleep(1)\n"
        "def neither():\n"
        "    while True:\n"
        "        time.sleep(5)\n"
        "    for x in y:\n"
        "        requests.get(x)\n"
    )
    assert found.loops == [(3, "outer"), (8, "other")]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"x = (", "dag.py:1: isn't Python: "),
        (b"\0", "dag.py"),
        (b"\xff\xfe", "dag.py"),
        (b"x" * (1024 * 1024 + 1), "dag.py: has more than 1048576 bytes"),
        (b"(" * 100_000, "dag.py"),
        (b"-" * 200_000 + b"1", "dag.py"),
    ],
)
def test_what_is_no_python_is_an_error(content, message):
    with pytest.raises(ConfigurationError) as raised:
        read_dag_file(content, "dag.py")
    assert str(raised.value).startswith(message)
