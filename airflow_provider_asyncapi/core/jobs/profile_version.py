"""The version of a profile, which a job handle stores: a job outlives changes of the profile that describes its API."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from typing import Any, TypeVar

from airflow_provider_asyncapi.core.effects import Flow, Log
from airflow_provider_asyncapi.core.errors import AsyncApiError

T = TypeVar("T")

#: Tables that describe no requests about jobs.
_NOT_ABOUT_JOBS = frozenset({"about", "connection", "events"})
#: Hexadecimal digits of a version.
_DIGITS = 12


def version_of(name: str, profile: Mapping[str, Any]) -> dict[str, str]:
    """
    Return the name and the version of a profile as a job handle stores them.

    The version is a digest of all keys that describe requests about jobs, including the inherited ones.

    :param profile: the profile, with what it inherits.
    """
    described = {table: content for table, content in profile.items() if table not in _NOT_ABOUT_JOBS}
    text = json.dumps(described, sort_keys=True, default=str)
    return {"name": name, "version": hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]}


def explain_change(then: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """
    Return what has changed since a job was submitted; empty if nothing has, or if it isn't known.

    :param then: the version in the job handle; empty if no profile described the submit.
    :param now: the version of the profile of this request; empty if there is none. Another profile than that of the
        submit is the choice of the DAG author.
    """
    if not then or then.get("name") != now.get("name") or then.get("version") == now.get("version"):
        return ""
    return (
        f"the profile {now['name']!r} has changed since the job was submitted (version {then.get('version')}, now"
        f" {now['version']}); if its description doesn't fit this job any more, restore the former one, or submit the"
        " job again"
    )


def advise_on_address(profile: Mapping[str, Any]) -> str:
    """
    Return the advice about a submit whose address doesn't exist; empty without a profile, which has set the address.

    :param profile: the version of the profile.
    """
    if not profile:
        return ""
    return (
        "; if the values in the address are right, the vendor may no longer serve this version of its API: extend the"
        f" profile {profile['name']!r} with the endpoints of a newer one"
    )


def warn_of_change(change: str) -> Flow[None]:
    """Log that a profile has changed, as :func:`explain_change` explains it."""
    yield Log(logging.WARNING, f"{change[0].upper()}{change[1:]}")


def run_under_changed_profile(flow: Flow[T], change: str) -> Flow[T]:
    """
    Run a flow about a job; warn if the profile has changed since its submit, and say so in the flow's error.

    :param change: what has changed, as :func:`explain_change` returns it.
    """
    if not change:
        return (yield from flow)
    yield from warn_of_change(change)
    try:
        return (yield from flow)
    except AsyncApiError as error:
        raise error.with_message(f"{error}; {change}") from error.__cause__
