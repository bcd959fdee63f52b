"""Fetch a result as the hook's method does: parameters in, a value or a manifest out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_asyncapi.core.errors import AsyncApiError
from airflow_provider_asyncapi.core.fetch.plan import FetchPlan, fetch_parameters
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.json_values import JsonValue
from airflow_provider_asyncapi.core.parameter_names import RESULT_LIMITS
from airflow_provider_asyncapi.exceptions import to_airflow
from airflow_provider_asyncapi.hooks.calls import add_profile_parameters, find_version
from airflow_provider_asyncapi.hooks.parameter_check import check_parameter_names
from airflow_provider_asyncapi.results.fetching import FetchTask, fetch
from airflow_provider_asyncapi.results.limits import ResultLimits

if TYPE_CHECKING:
    from airflow_provider_asyncapi.hooks.running import FlowRunner
    from airflow_provider_asyncapi.transports.cancellation import Cancellation


def list_fetch_parameters(given: Iterable[str] = ()) -> set[str]:
    """Return the names of the parameters that the hook's method takes; ``given`` may add names of other packages."""
    own = {"destination", *RESULT_LIMITS}
    return {*fetch_parameters({*given} - own), *own} - FetchPlan.task_parameters


def fetch_result(
    hook: FlowRunner,
    job: Any,
    profile: str | None,
    parameters: Mapping[str, Any],
    cancellation: Cancellation | None = None,
) -> JsonValue:
    """
    Fetch a result as the hook's method does.

    :param profile: the profile that fills in the parameters that are left out.
    :param parameters: the parameters of the fetch operator.
    :param cancellation: stops the writing of files.
    """
    try:
        given = check_parameter_names(
            "fetch_result", parameters, list_fetch_parameters(parameters), FetchPlan.task_parameters
        )
        destination = given.pop("destination", None)
        described = add_profile_parameters(hook.api, "fetch", profile, given)
        limits = ResultLimits(**{name: described.pop(name) for name in RESULT_LIMITS if name in described})
        plan = FetchPlan.parse(described)
        handle, version = JobHandle.parse(job), find_version(hook.api, profile)
    except AsyncApiError as error:
        raise to_airflow(error) from error
    return fetch(hook, FetchTask(plan, handle, destination, limits, profile=version, cancellation=cancellation))
