"""An auth manager with a user who may read some DAGs only, which Airflow's simple one can't be told."""

from __future__ import annotations

from typing import Any

from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager

#: Who is restricted, and the beginning of the ids of the DAGs that are left.
RESTRICTED = {"reader": "open_"}


class RestrictedAuthManager(SimpleAuthManager):
    def is_authorized_dag(self, *, details: Any = None, user: Any, **given: Any) -> bool:
        beginning = RESTRICTED.get(user.username, "")
        may = details is None or details.id is None or details.id.startswith(beginning)
        return may and super().is_authorized_dag(details=details, user=user, **given)
