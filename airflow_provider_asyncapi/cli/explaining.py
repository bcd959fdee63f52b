"""Explain the meaning of a response: what each selector finds, and which rule or value decides."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from airflow_provider_asyncapi.core.errors import AsyncApiError
from airflow_provider_asyncapi.core.http.messages import Response
from airflow_provider_asyncapi.core.json_values import as_list, to_comparable
from airflow_provider_asyncapi.core.selectors.selector import SelectorChain
from airflow_provider_asyncapi.core.status import rules
from airflow_provider_asyncapi.core.templates import Variables
from airflow_provider_asyncapi.core.text import shorten
from airflow_provider_asyncapi.core.wait.plan import WaitPlan

_VALUE_PARAMETERS = ("completion_value", "failure_value", "no_data_value", "running_value")
_MAX_VALUE = 120


def explain_selector(name: str, chain: SelectorChain, response: Response, variables: Variables) -> str:
    """
    Return what a parameter's selectors find in a response, in a line.

    :param name: the parameter.
    """
    try:
        found = chain.find_first(response, variables)
    except AsyncApiError as error:
        return f"{name}: {error}"
    if found is None:
        return f"{name}: {chain} finds nothing{chain.describe_nearest(response, variables)}"
    selector, value = found
    return f"{name}: {selector.text!r} finds {format_value(value)}"


def format_value(value: Any) -> str:
    """Return a value from a response as JSON, shortened."""
    return shorten(json.dumps(value, ensure_ascii=False, default=str), _MAX_VALUE)


def explain_status(plan: WaitPlan, given: Mapping[str, Any], response: Response, variables: Variables) -> Iterator[str]:
    """
    Yield what the selectors of a wait find in the response to a poll, and how it is classified, in lines.

    :param given: the parameters that the plan was made of.
    """
    policy = plan.policy
    if policy.key is not None:
        yield explain_selector("completion_key", policy.key, response, variables)
    for name, chain in plan.captures.items():
        yield explain_selector(name, chain, response, variables)
    try:
        rule = rules.find_match(policy.rules, response, variables)
        verdict = policy.classify(response, variables)
    except AsyncApiError as error:
        yield f"not classified: {error}"
        return
    if rule is not None:
        index = policy.rules.index(rule)
        yield f"{rule.outcome}, by rules[{index}]: {format_value(given['rules'][index])}"
    elif verdict.is_known:
        yield f"{verdict.outcome}, by {_find_parameter(given, verdict.value, ignore_case=policy.ignore_case)}"
    elif policy.is_exhaustive:
        yield f"{verdict.outcome}, since no value lists this status, and running_value closes the list"
    else:
        yield f"{verdict.outcome}, since no rule and no value lists this status"
    if plan.progress is not None and (progress := plan.progress.read_fraction(response, variables)) is not None:
        yield f"progress: {progress:.0%}"


def _find_parameter(given: Mapping[str, Any], value: Any, *, ignore_case: bool) -> str:
    """Return the parameter that lists a status."""
    wanted = to_comparable(value, ignore_case=ignore_case)
    return next(
        name
        for name in _VALUE_PARAMETERS
        if any(to_comparable(each, ignore_case=ignore_case) == wanted for each in as_list(given.get(name)))
    )
