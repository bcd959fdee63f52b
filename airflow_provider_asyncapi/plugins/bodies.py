"""Store large bodies of callbacks as files in a folder that the API server and the workers share."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
from datetime import UTC, date, datetime, timedelta

from airflow.providers.common.compat.sdk import conf
from airflow.sdk import ObjectStoragePath

from airflow_provider_asyncapi.core.callbacks.calls import ReceivedCallback

log = logging.getLogger(__name__)
#: Bytes above which a body is stored in the folder, if one is set.
_LARGE = 48 * 1024
#: The day on which this process last deleted old bodies.
last_deletion: date | None = None


def belongs_in_folder(call: ReceivedCallback) -> bool:
    """Return whether the body is stored in the folder instead of the database."""
    return len(call.body) > _LARGE and bool(_folder())


def write(key: str, call: ReceivedCallback) -> ReceivedCallback:
    """
    Write the body to the folder.

    :param key: key of the job's submission.
    :return: the callback, with the path instead of the body.
    """
    day = datetime.fromtimestamp(call.received_at, UTC).date()
    path = ObjectStoragePath(_folder()).joinpath(day.isoformat(), key, call.identity)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(call.body)
    return dataclasses.replace(call, body=b"", path=str(path))


def remove(call: ReceivedCallback) -> None:
    """Remove the file of a callback that isn't stored after all."""
    if call.path is not None:
        with contextlib.suppress(OSError):
            ObjectStoragePath(call.path).unlink()


def delete_old(now: float) -> None:
    """
    Delete bodies that were written ``callback_keep_days`` ago or earlier, at most once a day.

    :param now: current time, in seconds since the epoch.
    """
    global last_deletion  # noqa: PLW0603 - each process deletes on its own
    today, keep = datetime.fromtimestamp(now, UTC).date(), conf.getint("asyncapi", "callback_keep_days", fallback=30)
    if not keep or today == last_deletion:
        return
    last_deletion = today
    try:
        for folder in list(ObjectStoragePath(_folder()).iterdir()):
            day = _parse_day(folder.name)
            if day is not None and today - day >= timedelta(days=keep):
                folder.fs.rm(folder.path, recursive=True)
    except Exception:
        # The callback itself is stored.
        log.warning("Old bodies in [asyncapi] callback_folder can't be deleted", exc_info=True)


def _folder() -> str:
    return str(conf.get("asyncapi", "callback_folder", fallback=""))


def _parse_day(name: str) -> date | None:
    """Return the day that a folder of bodies is named after; None for any other folder."""
    try:
        return date.fromisoformat(name) if len(name) == len("2026-01-31") else None
    except ValueError:
        return None
