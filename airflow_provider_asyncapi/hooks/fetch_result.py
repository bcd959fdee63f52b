"""Fetch a result as the hook's method does: parameters in, a value or a manifest out."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_asyncapi.core.errors import AsyncApiError
from airflow_provider_asyncapi.core.fetch.plan import FetchPlan, fetch_parameters
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.json_values import JsonValue
from airflow_provider_asyncapi.exceptions import to_airflow
from airflow_provider_asyncapi.hooks.calls import add_profile_parameters, check_parameter_names
from airflow_provider_asyncapi.results.fetching import FetchTask, fetch
from airflow_provider_asyncapi.results.limits import ResultLimits

if TYPE_CHECKING:
    from airflow_provider_asyncapi.hooks.running import FlowRunner

_LIMITS = tuple(each.name for each in dataclasses.fields(ResultLimits))


def list_fetch_parameters(given: Iterable[str] = ()) -> set[str]:
    """Return the names of the parameters that the hook's method takes; ``given`` may name those of other packages."""
    of_task = {"destination", *_LIMITS}
    return {*fetch_parameters({*given} - of_task), *of_task} - {"capture"}


def fetch_result(hook: FlowRunner, job: Any, profile: str | None, parameters: Mapping[str, Any]) -> JsonValue:
    """
    Fetch a result as the hook's method does.

    :param profile: the profile that fills in the parameters that are left out.
    :param parameters: those of the fetch operator.
    """
    try:
        given = check_parameter_names("fetch_result", parameters, list_fetch_parameters(parameters))
        destination = given.pop("destination", None)
        described = add_profile_parameters(hook.api, "fetch", profile, given)
        limits = ResultLimits(**{name: described.pop(name) for name in _LIMITS if name in described})
        plan = FetchPlan.parse(described)
        handle = JobHandle.parse(job)
    except AsyncApiError as error:
        raise to_airflow(error) from error
    return fetch(hook, FetchTask(plan, handle, destination, limits))
