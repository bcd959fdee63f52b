"""Airflow's parser of DAG files, which each task imports; it moved with Airflow 3.2."""

from __future__ import annotations

try:
    from airflow.dag_processing.dagbag import DagBag
except ImportError:
    # Airflow 3.1.0 has it here.
    from airflow.models.dagbag import DagBag  # type: ignore[no-redef,assignment,unused-ignore]  # another Airflow

__all__ = ["DagBag"]
