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


def describe_former_name(name: str, known: Collection[str]) -> str | None:
    """
    Return what is wrong with a name, without the name; None if it isn't a former one.

    :param known: the names that can be given here.
    """
    new = FORMER_NAMES.get(name)
    return f"is called {new} now" if new in known and name not in known else None


def find_former_name(given: Collection[str], known: Collection[str]) -> str | None:
    """
    Return what is wrong with the first of some names that is a former one; None if none of them is.

    :param given: the names to look at.
    :param known: the names that can be given here.
    """
    for name in given:
        if problem := describe_former_name(name, known):
            return f"{name}: {problem}"
    return None
