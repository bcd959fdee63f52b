"""The dependencies of FastAPI routes in Airflow's API server: the user, and what that user may see."""

from __future__ import annotations

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.common.db.common import SessionDep
from airflow.api_fastapi.core_api.security import GetUserDep

__all__ = ["BaseUser", "DagAccessEntity", "DagDetails", "GetUserDep", "SessionDep", "get_auth_manager"]
