"""
Measure what parsing a DAG of 200 tasks costs, next to 200 HttpOperators.

Before the measurement, each side creates a small DAG of the same tasks, so that imports at the first use don't count. A
second table has the cost of the first task with its imports. Tasks with equal parameters, such as those of a loop, are
checked once; a row of sensors that all differ shows what that saves.
"""

from __future__ import annotations

import sys

from benchmarks.imports import OURS, PEER
from benchmarks.measure import cpu_milliseconds, parse_rounds, table

TASKS = 200
_TIMED = """
from airflow.sdk import DAG
{imports}
import time
def parse(dag_id, numbers):
    start = time.process_time()
    with DAG(dag_id, schedule=None):
        for number in numbers:
            {task}
    return (time.process_time() - start) * 1000
DAG("no_tasks", schedule=None)
first = parse("first", range(1))
parse("warm", range(5))
print({shown})
"""
_STEADY = f'parse("bench", range({TASKS}))'
_SENSOR = (
    'AsyncApiSensor(task_id=f"wait_{number}", job="7", endpoint="/v1/jobs/{identifier}",'
    ' completion_key="data.status", completion_value="done", failure_value=["failed", "error"],'
    ' capture={"pages": "data.pages"}, poke_interval=30)'
)
_SENSOR_UNLIKE = _SENSOR.replace('"data.status"', 'f"data.status_{number}"')
_SUBMIT = (
    'AsyncApiTriggerOperator(task_id=f"submit_{number}", endpoint="/v1/jobs", json={"name": "{{ ds }}"},'
    ' identifier="data.id")'
)
_FETCH = (
    'AsyncApiFetchOperator(task_id=f"fetch_{number}", job="7", endpoint="/v1/jobs/{identifier}/result",'
    ' result_path="data.rows")'
)
_HTTP = 'HttpOperator(task_id=f"call_{number}", endpoint="/v1/jobs", method="POST", data={"name": "{{ ds }}"})'
_HTTP_SENSOR = 'HttpSensor(task_id=f"poll_{number}", endpoint="/v1/jobs/7", poke_interval=30)'
_PEER = "HttpOperators"
_TASKS = {
    "submit operators": (OURS, _SUBMIT),
    "sensors": (OURS, _SENSOR),
    "sensors, no two alike": (OURS, _SENSOR_UNLIKE),
    "fetch operators": (OURS, _FETCH),
    _PEER: (PEER, _HTTP),
    "HttpSensors": (PEER, _HTTP_SENSOR),
}


def main(given: list[str] | None = None) -> None:
    """Measure and print."""
    rounds = parse_rounds("python -m benchmarks.parsing", __doc__, given)
    _compare(f"Parse cost of {TASKS} tasks", _STEADY, rounds)
    _compare("Parse cost of the first task, with what it imports", "first", rounds)


def _compare(title: str, shown: str, rounds: int) -> None:
    costs = cpu_milliseconds(
        {name: _TIMED.format(imports=imports, task=task, shown=shown) for name, (imports, task) in _TASKS.items()},
        rounds,
    )
    rows = [("tasks", "CPU ms", f"of {_PEER}")]
    rows += [(name, f"{cost:.1f}", f"{cost / costs[_PEER]:.2f}") for name, cost in costs.items()]
    table(title, rows)


if __name__ == "__main__":
    main(sys.argv[1:])
