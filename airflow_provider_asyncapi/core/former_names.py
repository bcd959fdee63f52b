"""Parameters and tables that had another name before the first release."""

from __future__ import annotations

from collections.abc import Collection, Mapping

#: The former name → the name.
FORMER_NAMES: Mapping[str, str] = {
    "error_waits": "retry_delays",
    "output": "output_type",
    "params": "query_params",
    "total": "total_rows",
    "trigger": "submit",
}


def find_former_name(given: Collection[str], known: Collection[str]) -> str | None:
    """
    Return what is wrong with the first of some names that is a former one; None if none of them is.

    :param given: the names to look at.
    :param known: the names that can be given here.
    """
    for name in given:
        if (new := FORMER_NAMES.get(name)) is not None and new in known and name not in known:
            return f"{name}: is called {new} now"
    return None
