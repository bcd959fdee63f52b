"""What parsing a DAG of 200 tasks costs, beside 200 HttpOperators; imports aside."""

from __future__ import annotations

from benchmarks.imports import OURS, PEER
from benchmarks.measure import cpu_milliseconds, table

TASKS = 200
_TIMED = """
from airflow.sdk import DAG
{imports}
import time
def parse():
    with DAG("bench", schedule=None):
        for number in range({tasks}):
            {task}
parse_start = time.process_time()
parse()
print((time.process_time() - parse_start) * 1000)
"""
_SENSOR = (
    'AsyncApiSensor(task_id=f"wait_{number}", job="7", endpoint="/v1/jobs/{{identifier}}",'
    ' completion_key="data.status", completion_value="done", failure_value=["failed", "error"],'
    ' capture={{"pages": "data.pages"}}, poke_interval=30)'
)
_SUBMIT = (
    'AsyncApiTriggerOperator(task_id=f"submit_{number}", endpoint="/v1/jobs", json={{"name": "{{{{ ds }}}}"}},'
    ' identifier="data.id")'
)
_FETCH = (
    'AsyncApiFetchOperator(task_id=f"fetch_{number}", job="7", endpoint="/v1/jobs/{{identifier}}/result",'
    ' result_path="data.rows")'
)
_HTTP = 'HttpOperator(task_id=f"call_{number}", endpoint="/v1/jobs", method="POST", data={{"name": "{{{{ ds }}}}"}})'


def main() -> None:
    """Measure and print."""
    tasks = {
        "trigger operators": (OURS, _SUBMIT),
        "sensors": (OURS, _SENSOR),
        "fetch operators": (OURS, _FETCH),
        "HttpOperators": (PEER, _HTTP),
    }
    scripts = {
        name: _TIMED.format(imports=imports, tasks=TASKS, task=task.replace("{{", "{").replace("}}", "}"))
        for name, (imports, task) in tasks.items()
    }
    costs = cpu_milliseconds(scripts)
    rows = [(f"{TASKS} tasks in a DAG", "CPU ms", "of http's")]
    rows += [(name, f"{cost:.1f}", f"{cost / costs['HttpOperators']:.2f}") for name, cost in costs.items()]
    table("Parse cost", rows)
