"""Names of parameters that aren't known here: parameters of other libraries, and mistakes."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping

#: The name in other libraries → the name here. ``params`` is what requests and httpx call the query parameters; in
#: Airflow, the ``params`` of a task are those of its DAG.
FOREIGN_NAMES: Mapping[str, str] = {"params": "query_params"}


def describe_foreign_name(name: str, known: Collection[str]) -> str | None:
    """
    Return what is wrong with a name, without the name; None if it isn't that of another library.

    :param known: the names that can be given here.
    """
    here = FOREIGN_NAMES.get(name)
    return f"is called {here} here" if here in known and name not in known else None


def find_foreign_name(given: Collection[str], known: Collection[str]) -> str | None:
    """
    Return what is wrong with the first of some names that is that of another library; None if none of them is.

    :param given: the names to look at.
    :param known: the names that can be given here.
    """
    for name in given:
        if problem := describe_foreign_name(name, known):
            return f"{name}: {problem}"
    return None


def describe_unknown_key(name: object, known: Collection[str]) -> str:
    """
    Return the beginning of a message about an unknown key, with the nearest known one if there is one.

    :param known: the names that can be given here.
    """
    return f"unknown key {name!r}{suggest_nearest(name, known)}"


def suggest_nearest(name: object, known: Collection[str]) -> str:
    """Return the question about the known name that is nearest to an unknown one; empty if none is near."""
    nearest = difflib.get_close_matches(str(name).lower(), known, 1)
    return f" (did you mean {nearest[0]!r}?)" if nearest else ""
