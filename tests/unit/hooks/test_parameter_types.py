"""What type checkers see of the hook's methods is what the methods and the operators take."""

from __future__ import annotations

import inspect
import typing
from typing import Any

import pytest

from airflow_provider_asyncapi.core.parameter_names import RESULT_LIMITS
from airflow_provider_asyncapi.core.requests.schedule import RETRY_PARAMETERS
from airflow_provider_asyncapi.hooks import calls, fetch_result, parameter_types
from airflow_provider_asyncapi.hooks.asyncapi import AsyncApiHook
from airflow_provider_asyncapi.operators.asyncapi import AsyncApiFetchOperator, AsyncApiTriggerOperator
from airflow_provider_asyncapi.sensors.asyncapi import AsyncApiSensor
from tests.unit.hooks.hook_calls import TWINS

pytestmark = pytest.mark.usefixtures("connection")


@pytest.mark.parametrize("name", TWINS)
def test_each_method_has_an_asynchronous_twin_that_takes_the_same(name: str) -> None:
    method, twin = getattr(AsyncApiHook, name), getattr(AsyncApiHook, f"a{name}")
    own, others = inspect.signature(method), inspect.signature(twin)
    without_reason = {each: given.replace(default=None) for each, given in own.parameters.items() if each == "reason"}
    assert inspect.iscoroutinefunction(twin)
    assert own.return_annotation == others.return_annotation
    assert {**own.parameters, **without_reason} == {
        **others.parameters,
        **{each: others.parameters[each].replace(default=None) for each in without_reason},
    }


TYPED: list[tuple[Any, Any, Any]] = [
    (parameter_types.SubmitParameters, calls.SUBMIT_PARAMETERS, AsyncApiTriggerOperator),
    (parameter_types.WaitParameters, calls.WAIT_PARAMETERS, AsyncApiSensor),
    (parameter_types.FetchParameters, fetch_result.list_fetch_parameters(), AsyncApiFetchOperator),
]


@pytest.mark.parametrize(("typed", "known", "operator"), TYPED, ids=lambda each: getattr(each, "__name__", ""))
def test_the_typed_parameters_are_those_that_the_method_and_the_operator_take(
    typed: Any, known: Any, operator: Any
) -> None:
    assert typed.__optional_keys__ == {*known}
    taken = typing.get_type_hints(operator.__init__)
    for name, hint in typing.get_type_hints(typed).items():
        assert taken[name] in (hint, hint | None) or hint is Any, name


@pytest.mark.parametrize(("known", "operator"), [each[1:] for each in TYPED])
def test_a_method_takes_what_the_operator_takes_unless_it_needs_a_task(known: Any, operator: Any) -> None:
    plan = operator.stage.plan_type
    # The hook submits one job.
    assert {*plan.parameters} - known - {"identifiers"} == plan.task_parameters


def test_the_typed_parameters_of_a_request_are_those_that_are_taken() -> None:
    assert parameter_types.SendParameters.__optional_keys__ == calls._REQUEST.union(RETRY_PARAMETERS)
    assert parameter_types.StepParameters.__optional_keys__ == {*calls._STEP}


def test_the_limits_of_a_fetch_are_left_to_the_profile_and_to_their_defaults() -> None:
    parameters = inspect.signature(AsyncApiFetchOperator.__init__).parameters
    assert {parameters[name].default for name in RESULT_LIMITS} == {None}
