"""A secret that all tries of a task share, and that nobody outside Airflow can know."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import conf

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

#: In the task state store.
SECRET_KEY = "asyncapi_secret"  # noqa: S105 - the name of one


def secret_of(context: Context) -> bytes | None:
    """
    Return the secret of a task instance, the same on each try and each worker.

    The task state store of Airflow 3.3 keeps a random one. Before that, Airflow's Fernet key is the only secret that
    workers share.

    :return: None if there is no store, and Airflow has no Fernet key.
    """
    store: Any = context.get("task_state_store")
    if store is not None:
        kept = store.get(SECRET_KEY)
        if not isinstance(kept, str):
            kept = secrets.token_hex(32)
            store.set(SECRET_KEY, kept)
        return kept.encode()
    shared = conf.get("core", "fernet_key", fallback="")
    return hmac.digest(shared.encode(), SECRET_KEY.encode(), hashlib.sha256) if shared else None
