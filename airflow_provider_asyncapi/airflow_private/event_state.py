"""
Where an event trigger keeps its state: in the state store of its asset (Airflow 3.3), before that in a Variable.

Airflow stores an event and the state in two transactions, and the triggerer can't read events.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowRuntimeError
from airflow.sdk.execution_time.comms import GetVariable, PutVariable

from airflow_provider_asyncapi.airflow_private.supervisor import (
    AirflowUnavailableError,
    is_unavailable,
    send_to_supervisor,
)
from airflow_provider_asyncapi.airflow_private.variables import read_value

if TYPE_CHECKING:
    from airflow.triggers.base import BaseEventTrigger


async def load_event_state(trigger: BaseEventTrigger, key: str) -> Any:
    """
    Return the state that was stored under a key; None if there is none.

    :raises AirflowUnavailableError: if Airflow can't answer now.
    """
    accessors = _find_accessors(trigger)
    with _distinguish_unavailable():
        if not accessors:
            return await _load_variable(key)
        # If two assets are watched with equal parameters, they share the trigger and its state.
        states = [await accessor.aget(key) for accessor in accessors]
    return next((state for state in states if state is not None), None)


async def store_event_state(trigger: BaseEventTrigger, key: str, state: Any) -> None:
    """
    Store the state under a key.

    :raises AirflowUnavailableError: if Airflow can't take it now.
    """
    accessors = _find_accessors(trigger)
    with _distinguish_unavailable():
        for accessor in accessors:
            await accessor.aset(key, state)
        if not accessors:
            description = "State of an AsyncApiEventTrigger; without it, the trigger starts again"
            await send_to_supervisor(PutVariable(key=key, value=json.dumps(state), description=description))


@contextmanager
def _distinguish_unavailable() -> Iterator[None]:
    """Raise AirflowUnavailableError if Airflow can't answer now: the accessors raise what it has answered."""
    try:
        yield
    except AirflowRuntimeError as error:
        if not is_unavailable(error.error):
            raise
        raise AirflowUnavailableError(str(error)) from error


def _find_accessors(trigger: BaseEventTrigger) -> list[Any]:
    """Return the state store of each asset that the trigger is for."""
    store: Any = getattr(trigger, "asset_state_store", None)
    return list(store._by_name.values()) if store else []  # noqa: SLF001 - the public methods take one asset only


async def _load_variable(key: str) -> Any:
    try:
        answer = await send_to_supervisor(GetVariable(key=key))
    except AirflowRuntimeError as error:
        answer = error.error
    value = read_value(answer)
    return json.loads(value) if value else None
