"""
Airflow's database as its API server sees it: models, sessions, the task state store, how a deferred task resumes, and
how an asset event is stored.

Airflow's public interface has nothing that resumes a task from a request of another one, or reads the XComs of many
tasks at once. Import this in the API server only: tasks have no access to the database.
"""

from __future__ import annotations

from airflow.assets.manager import asset_manager
from airflow.jobs.job import Job
from airflow.models.asset import AssetDagRunQueue, AssetEvent, AssetModel
from airflow.models.connection import Connection
from airflow.models.dag import DagModel
from airflow.models.dagrun import DagRun
from airflow.models.log import Log
from airflow.models.taskinstance import TaskInstance
from airflow.models.taskinstancehistory import TaskInstanceHistory
from airflow.models.taskreschedule import TaskReschedule
from airflow.models.trigger import Trigger, handle_event_submit
from airflow.models.xcom import XComModel
from airflow.utils.session import create_session
from airflow.utils.state import DagRunState, State, TaskInstanceState

try:
    from airflow.state import TaskScope, get_state_backend
except ImportError:  # before Airflow 3.3
    TaskScope = get_state_backend = None  # type: ignore[assignment,misc]  # None if Airflow lacks it

__all__ = [
    "AssetDagRunQueue",
    "AssetEvent",
    "AssetModel",
    "Connection",
    "DagModel",
    "DagRun",
    "DagRunState",
    "Job",
    "Log",
    "State",
    "TaskInstance",
    "TaskInstanceHistory",
    "TaskInstanceState",
    "TaskReschedule",
    "TaskScope",
    "Trigger",
    "XComModel",
    "asset_manager",
    "create_session",
    "get_state_backend",
    "handle_event_submit",
]
