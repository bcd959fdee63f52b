"""
Read data that another version of this provider has stored: a job handle, a wait, a submission, a callback.

While workers and triggerers are upgraded one after another, each reads data that the others have written. So each
stored mapping has a `version`, with one rule for all of them:

- A new key has a default, and an old reader works without it: the version stays. A reader ignores unknown keys, and
  uses the default for missing keys.
- If an old reader would misunderstand the data, the writer raises the version. Then the old reader refuses the data
  with an error that a later try may resolve, and the new reader still reads the old layout.

`tests/unit/layouts` contains an example of each layout; a task is resumed from each of them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from airflow_provider_asyncapi.core.errors import NewerLayoutError
from airflow_provider_asyncapi.core.former_names import FORMER_NAMES

#: Version of the layout of a trigger's arguments. Up to 1, parameters of the sensor had other names.
TRIGGER_LAYOUT = 2
#: Parameters of the sensor that contained requests in layout 1; later ones have had no other names.
_REQUESTS = ("cancel", "cleanup", "batch", "status_details", "failure_details")


def read_fields(given: Any, what: str, *, version: int, known: Collection[str]) -> dict[str, Any]:
    """
    Return the fields of a stored mapping that this version knows.

    :param given: the stored mapping; one without a version was stored before there were versions.
    :param what: a name for the mapping, for messages.
    :param version: the newest layout that this version of the provider reads.
    :param known: the names of the fields.
    :raises NewerLayoutError: if the layout is newer.
    :raises ValueError: if it isn't a mapping, or its version is invalid.
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
    Return the parameters of a sensor that a trigger has stored, under the current names.

    :param layout: the version of the layout of the trigger's arguments.
    """
    if layout >= TRIGGER_LAYOUT:
        return parameters
    return {
        FORMER_NAMES.get(name, name): _upgrade_requests(value) if name in _REQUESTS else value
        for name, value in parameters.items()
    }


def _upgrade_requests(value: Any) -> Any:
    """Return a request within the sensor's parameters, or a list of requests, under the current names."""
    if isinstance(value, list):
        return [_upgrade_requests(each) for each in value]
    if not isinstance(value, Mapping):
        return value
    return {FORMER_NAMES.get(name, name): part for name, part in value.items()}
