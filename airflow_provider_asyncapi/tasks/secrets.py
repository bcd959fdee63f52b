"""A secret that only the tries of a task know."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import conf

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

#: Key in the task state store.
SECRET_KEY = "asyncapi_secret"  # noqa: S105 - a key, no secret


def load_secret(context: Context) -> bytes | None:
    """
    Return the secret of a task instance, the same on each try and each worker.

    The task state store of Airflow 3.3 keeps a random secret. Before Airflow 3.3, the Fernet key is the only secret
    that workers share.

    :return: None if there is no store, and the workers have no Fernet key. Then no try removes what another has left.
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
