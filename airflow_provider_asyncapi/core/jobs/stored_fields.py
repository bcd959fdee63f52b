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

#: Version of the layout of a trigger's arguments; layout 1 was never released.
TRIGGER_LAYOUT = 2


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
