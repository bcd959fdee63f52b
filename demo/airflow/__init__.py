"""
A real Airflow in a folder of its own: start it, talk to it, stop it.

:class:`LocalAirflow` runs Airflow's components as child processes, by default on SQLite; :class:`AirflowClient` is the
part of Airflow's REST API that the demo and the integration tests need.
"""

from __future__ import annotations

from demo.airflow.client import RUN_OVER, AirflowApiError, AirflowClient, Dag, TaskState
from demo.airflow.local import LocalAirflow
from demo.airflow.processes import AirflowStartError

__all__ = ["RUN_OVER", "AirflowApiError", "AirflowClient", "AirflowStartError", "Dag", "LocalAirflow", "TaskState"]
