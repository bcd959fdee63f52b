"""Wait for a remote job in the triggerer."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_asyncapi.core.effects import Log, Polled
from airflow_provider_asyncapi.core.errors import AsyncApiError, ConfigurationError
from airflow_provider_asyncapi.core.flows.cancel import cancel
from airflow_provider_asyncapi.core.flows.wait import Wait, WaitPlan, wait
from airflow_provider_asyncapi.core.redaction import is_sensitive_name
from airflow_provider_asyncapi.core.templates import strings_in, variable_names
from airflow_provider_asyncapi.hooks.clients import shared_client

if TYPE_CHECKING:
    from airflow_provider_asyncapi.core.settings import Api

#: Progress goes to XCom at most this often, in seconds: each is a request to the API server.
_PROGRESS_EVERY = 2.0
#: Cancels that outlive their trigger; the event loop itself holds its tasks only weakly.
_cancels: set[asyncio.Task[None]] = set()


class AsyncApiJobTrigger(BaseTrigger):
    """
    Poll until the job is over, then hand its handle, or what went wrong, to the sensor.

    The trigger only reads, save that it cancels the remote job when its deadline passes or its task is killed, where the
    sensor says how. Its arguments stand in the metadata database as plain text: no secret is among them.

    :param asyncapi_conn_id: the connection.
    :param spec: the parameters of the sensor, complete.
    :param wait: where the wait stands, as :meth:`~..core.flows.wait.Wait.dump` gives it.
    """

    def __init__(self, *, asyncapi_conn_id: str, spec: dict[str, Any], wait: dict[str, Any]) -> None:
        super().__init__()
        self.asyncapi_conn_id = asyncapi_conn_id
        self.spec = spec
        self.wait = wait
        self._latest = Wait.parse(wait).handle
        self._pushed_at = 0.0
        self._pushing: asyncio.Task[None] | None = None

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Give the class path and the arguments."""
        path = f"{type(self).__module__}.{type(self).__qualname__}"
        return path, {"asyncapi_conn_id": self.asyncapi_conn_id, "spec": self.spec, "wait": self.wait}

    def __repr__(self) -> str:
        return f"<AsyncApiJobTrigger {self.asyncapi_conn_id} job={self._latest.identifier}>"

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, and yield one event: ``{"handle": …}``, or ``{"error": {"kind": …, "message": …}, "handle": …}``."""
        try:
            handle = await self._wait()
            event: dict[str, Any] = {"handle": handle.dump()}
        except AsyncApiError as error:
            event = {
                "handle": self._latest.dump(),
                "error": {"kind": type(error).__name__, "message": str(error)},
            }
        finally:
            # The sensor pushes the last handle itself; a late push of ours must not come after it.
            if self._pushing is not None:
                self._pushing.cancel()
        yield TriggerEvent(event)

    async def _wait(self) -> Any:
        plan, state = WaitPlan.parse(self.spec), Wait.parse(self.wait)
        # After a restart nobody knows how many polls there have been; as many as there was time for are taken as made.
        made = plan.schedule.polls_within(time.time() - state.started_at)
        state = dataclasses.replace(state, polls=max(state.polls, made))
        async with shared_client(self.asyncapi_conn_id) as (api, driver):
            return await driver.run(wait(api, plan, state), observe=self._observe)

    async def on_kill(self) -> None:
        """
        Cancel the remote job when a user ends the task (Airflow 3.3).

        Airflow gives this about a second, and calls it too when the trigger moves to another triggerer. So the cancel is a
        task of its own, and it looks first whether the Airflow task is still waiting.
        """
        if self.spec.get("cancel") is None:
            return
        task = asyncio.create_task(self._cancel())
        _cancels.add(task)
        task.add_done_callback(_cancels.discard)
        await asyncio.shield(task)

    async def _cancel(self) -> None:
        if await self._is_still_waiting():
            self.log.info("Job %s is still waited for elsewhere: not cancelled", self._latest.identifier)
            return
        plan = WaitPlan.parse(self.spec)
        if plan.cancel is None:
            return
        async with shared_client(self.asyncapi_conn_id) as (api, driver):
            await driver.run(cancel(api, plan.cancel, self._latest, "the task was killed"), observe=self._observe)

    async def _is_still_waiting(self) -> bool:
        """Tell whether the Airflow task is deferred still; when in doubt it is, for a lost cancel does less harm."""
        from airflow.sdk.execution_time.comms import GetTaskStates
        from airflow.sdk.execution_time.task_runner import SUPERVISOR_COMMS

        ti = self.task_instance
        if ti is None:
            return True
        try:
            answer = await SUPERVISOR_COMMS.asend(
                GetTaskStates(
                    dag_id=ti.dag_id, task_ids=[ti.task_id], run_ids=[ti.run_id], map_index=_map_index(ti)
                )
            )
            states = {state for run in answer.task_states.values() for state in run.values()}
        except Exception as error:  # noqa: BLE001 - whatever it is, nothing is known
            self.log.warning("Can't tell whether job %s is still waited for: %s", self._latest.identifier, error)
            return True
        return "deferred" in states

    def _observe(self, event: Log | Polled) -> None:
        if isinstance(event, Log):
            self.log.log(event.level, "%s", event.message)
            return
        self._latest = event.handle
        if event.changed and (self._pushing is None or self._pushing.done()):
            self._pushing = asyncio.get_running_loop().create_task(self._push_progress())

    async def _push_progress(self) -> None:
        """Show status and progress while waiting: the handle in XCom, where the triggerer can write it (Airflow 3.2)."""
        from airflow.providers.common.compat.sdk import XCom

        ti = self.task_instance
        if ti is None or not hasattr(XCom, "aset"):
            return
        await asyncio.sleep(max(0.0, self._pushed_at + _PROGRESS_EVERY - time.monotonic()))
        self._pushed_at = time.monotonic()
        try:
            await XCom.aset(
                "job",
                self._latest.dump(),
                dag_id=ti.dag_id,
                task_id=ti.task_id,
                run_id=ti.run_id,
                map_index=_map_index(ti) if _map_index(ti) is not None else -1,
            )
        except Exception as error:  # noqa: BLE001 - progress is shown where possible, and is no reason to stop waiting
            self.log.debug("Progress could not be shown: %s", error)


def _map_index(ti: Any) -> int | None:
    return None if ti.map_index is None or ti.map_index < 0 else ti.map_index


def check_storable(spec: Mapping[str, Any], api: Api) -> None:
    """
    Make sure that a description holds no secret before it is stored with the trigger.

    :param spec: the sensor's parameters, complete.
    :raises ConfigurationError: naming the parameter that holds one, and where secrets belong.
    """
    from airflow.sdk.log import redact

    secrets = {secret for secret in api.settings.secrets() if len(secret) > 3}  # noqa: PLR2004 - shorter ones are words
    advice = (
        "a waiting task's request is stored in the metadata database in plain text. Put the secret into the connection"
        " (headers, or variables that the request names {connection.<name>})"
    )
    requests = {"the request": spec, "cancel": spec.get("cancel") or {}}
    for where, request in requests.items():
        for name, value in (request.get("headers") or {}).items():
            if is_sensitive_name(name) and not all(map(_names_connection, strings_in(value))):
                raise ConfigurationError(f"headers[{name!r}] of {where} looks like a secret, and {advice}")
    for name, value in spec.items():
        for text in strings_in(value):
            if any(secret in text for secret in secrets) or redact(text) != text:
                raise ConfigurationError(f"{name}: holds a secret, and {advice}")


def _names_connection(text: str) -> bool:
    return any(name.startswith("connection.") for name in variable_names(text))
