"""
Read what another version of this provider has stored: a job handle, a wait, a submission, a callback.

While workers and triggerers are upgraded one after another, each reads what the others write. So each stored mapping
has a `version`, and one rule holds for all:

- A new key has a default, and an old reader does without it: the version stays. A reader ignores keys that it doesn't
  know, and takes the default for keys that are missing.
- If an old reader would misunderstand what is written, the writer raises the version. Then that reader refuses it with
  an error that a later try may mend, and the new reader still reads the old layout.

`tests/unit/layouts` holds what each layout looked like; a task is resumed from each of them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from airflow_provider_asyncapi.core.errors import NewerLayoutError
from airflow_provider_asyncapi.core.former_names import FORMER_NAMES

#: The layout of a trigger's arguments. Up to 1, parameters of the sensor had other names.
TRIGGER_LAYOUT = 2
#: The sensor's parameters that hold requests.
_REQUESTS = ("cancel", "cleanup", "batch", "status_details", "failure_details")


def read_fields(given: Any, what: str, *, version: int, known: Collection[str]) -> dict[str, Any]:
    """
    Return the fields of a stored mapping that this version knows.

    :param given: what was stored; one without a version was stored before there were versions.
    :param what: what it is, for messages.
    :param version: the newest layout that this version reads.
    :param known: the names of the fields.
    :raises NewerLayoutError: if it is of a newer layout.
    :raises ValueError: if it is no mapping, or its version isn't one.
    """
    if not isinstance(given, Mapping):
        raise ValueError(f"{what} can't be of type {type(given).__name__}")  # noqa: TRY004 - one error for broken data
    stored = given.get("version", 1)
    if not isinstance(stored, int) or isinstance(stored, bool) or stored < 1:
        raise ValueError(f"the version of {what} can't be {stored!r}")
    if stored > version:
        raise NewerLayoutError(
            f"{what} was stored in layout {stored} by a newer version of airflow-provider-asyncapi, and this process"
            f" reads up to layout {version}: upgrade it on all workers and triggerers, and restart them"
        )
    return {name: given[name] for name in known if name in given}


def upgrade_parameters(parameters: dict[str, Any], layout: int) -> dict[str, Any]:
    """
    Return the parameters of a sensor, as a trigger has stored them, under the names that this version reads.

    :param layout: of the trigger's arguments.
    """
    if layout >= TRIGGER_LAYOUT:
        return parameters
    return {
        FORMER_NAMES.get(name, name): _upgrade_requests(value) if name in _REQUESTS else value
        for name, value in parameters.items()
    }


def _upgrade_requests(value: Any) -> Any:
    """Return a request within the sensor's parameters, or a list of requests, under the names of today."""
    if isinstance(value, list):
        return [_upgrade_requests(each) for each in value]
    if not isinstance(value, Mapping):
        return value
    return {FORMER_NAMES.get(name, name): part for name, part in value.items()}
