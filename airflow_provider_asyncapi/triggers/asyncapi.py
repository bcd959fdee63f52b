"""Wait for a remote job in the triggerer."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import time
from collections.abc import AsyncIterator, Coroutine, Mapping
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakValueDictionary

from airflow.providers.common.compat.sdk import conf, redact
from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_asyncapi import metrics
from airflow_provider_asyncapi.core.callbacks import Call
from airflow_provider_asyncapi.core.effects import Log, News, Polled
from airflow_provider_asyncapi.core.errors import AsyncApiError, AuthenticationError, ConfigurationError
from airflow_provider_asyncapi.core.flows.abandon import abandon
from airflow_provider_asyncapi.core.flows.callbacks import wait_or_hear
from airflow_provider_asyncapi.core.flows.wait import wait
from airflow_provider_asyncapi.core.handle import JobHandle
from airflow_provider_asyncapi.core.plans.wait import Wait, WaitPlan
from airflow_provider_asyncapi.core.redaction import holds_secret, masked_in
from airflow_provider_asyncapi.core.request_templates import WHY_NO_SECRETS, refuse_secrets
from airflow_provider_asyncapi.core.showing import ShownPoll
from airflow_provider_asyncapi.core.templates import strings_in
from airflow_provider_asyncapi.hooks.clients import SupersededError, is_superseded, shared_client
from airflow_provider_asyncapi.xcoms import CALLS_KEY, JOB_KEY, Showing

if TYPE_CHECKING:
    from airflow_provider_asyncapi.core.settings import Api

T = TypeVar("T")
#: News go to XCom at most this often, in seconds: each is a request to the API server.
_NEWS_EVERY = 2.0
#: A trigger's event comes no sooner than this after its start, in seconds. Until the process that deferred the task has
#: ended, and the executor noticed (its supervisor looks every ``min_heartbeat_interval``), Airflow may take the end of
#: that process for the end of the task that has just been resumed, and fail it.
SHORTEST_DEFERRAL = conf.getfloat("workers", "min_heartbeat_interval", fallback=5.0) + 1
#: Seconds after that in which a callback may still be on its way into the database.
_MARGIN = 1.0
#: Seconds between attempts to ask Airflow something, at most.
_LONGEST_PAUSE = 60.0
#: States of a task that waits for nothing any more.
_OVER = frozenset({"success", "failed", "skipped", "upstream_failed", "removed"})
#: Cancels that outlive their trigger; the event loop itself holds its tasks only weakly.
_cancels: set[asyncio.Task[None]] = set()


@dataclasses.dataclass(frozen=True, slots=True, weakref_slot=True)
class _Description:
    """
    The sensor's parameters, and the plan that was read of them: one for all triggers of the same sensor.

    A thousand mapped tasks wait alike; without this each would hold a plan of its own.
    """

    spec: dict[str, Any]
    plan: WaitPlan

    @classmethod
    async def of(cls, spec: dict[str, Any]) -> _Description:
        """Read the parameters, or give what another trigger has read."""
        text = json.dumps(spec, default=repr)
        known = _descriptions.get(text)
        if known is None:
            # The first plan imports what reads selectors, which takes longer than the loop should be held up.
            plan = await asyncio.to_thread(WaitPlan.parse, spec)
            known = _descriptions.setdefault(text, cls(spec, plan))
        return known


_descriptions: WeakValueDictionary[str, _Description] = WeakValueDictionary()


class AsyncApiJobTrigger(BaseTrigger):
    """
    Poll until the job is over, then hand its handle, or what went wrong, to the sensor.

    The trigger only reads, save that it cancels the remote job when its deadline passes or its task is killed, where
    the sensor says how. Its arguments stand in the metadata database as plain text: no secret is among them.

    :param asyncapi_conn_id: the connection.
    :param spec: the parameters of the sensor, complete.
    :param wait: where the wait stands, as :meth:`~..core.flows.wait.Wait.dump` gives it.
    """

    def __init__(self, *, asyncapi_conn_id: str, spec: dict[str, Any], wait: dict[str, Any]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.asyncapi_conn_id = asyncapi_conn_id
        self.spec = spec
        self.wait = wait
        self._latest = Wait.parse(wait).handle
        self._showing = Showing()
        self._unpushed: dict[str, Any] = {}
        self._pushed_at = 0.0
        self._pushing: asyncio.Task[None] | None = None
        self._description: _Description | None = None
        self._polled: Polled | None = None

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Give the class path and the arguments."""
        path = f"{type(self).__module__}.{type(self).__qualname__}"
        return path, {"asyncapi_conn_id": self.asyncapi_conn_id, "spec": self.spec, "wait": self.wait}

    def __repr__(self) -> str:
        return f"<AsyncApiJobTrigger {self.asyncapi_conn_id} job={self._latest.identifier}>"

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """
        Wait, and yield one event.

        It is ``{"handle": …}``, after a failure with ``"error": {"kind": …, "message": …}``, or ``{"called": True}``
        where there is a callback for the sensor to read.
        """
        began = time.monotonic()
        try:
            handle = await self._wait_or_hear()
            event: dict[str, Any] = {"called": True} if handle is None else {"handle": handle.dump()}
        except AsyncApiError as error:
            event = {
                "handle": self._latest.dump(),
                "error": {"kind": type(error).__name__, "message": str(error)},
            }
        finally:
            # The sensor pushes the last handle itself; a late push of ours must not come after it.
            if self._pushing is not None:
                self._pushing.cancel()
                await asyncio.wait({self._pushing})
        await asyncio.sleep(began + SHORTEST_DEFERRAL - time.monotonic())
        yield TriggerEvent(event)  # type: ignore[no-untyped-call]

    async def _wait_or_hear(self) -> JobHandle | None:
        """
        Wait; give None where the job called back while the task was on its way from the worker to here.

        Any later callback resumes the task by itself. Those until then don't, for the time of the shortest deferral.
        """
        if not self.spec.get("callback"):
            return await self._wait()
        waiting = asyncio.create_task(self._wait())
        try:
            await asyncio.wait({waiting}, timeout=SHORTEST_DEFERRAL + _MARGIN)
            return None if not waiting.done() and await self._has_called() else await waiting
        finally:
            waiting.cancel()
            await asyncio.wait({waiting})

    async def _has_called(self) -> bool:
        """Tell whether there are callbacks that the sensor doesn't know of; tried until Airflow can tell."""
        from airflow.providers.common.compat.sdk import XCom

        state, pause = Wait.parse(self.wait), 1.0
        task: Any = state.handle.task
        # Before Airflow 3.2 a trigger can't ask.
        while hasattr(XCom, "aget_one"):
            try:
                kept: Any = await _uninterrupted(XCom.aget_one(key=CALLS_KEY, **task))
            except Exception as error:  # noqa: BLE001 - the API server may be away for a while
                self.log.warning("Can't tell yet whether job %s has called back: %s", state.handle.identifier, error)
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
            else:
                return len(Call.parse_all(kept)) > state.heard
        return False

    async def _wait(self) -> JobHandle:
        self._description = await _Description.of(self.spec)
        self.spec, plan = self._description.spec, self._description.plan
        now = time.time()
        state = Wait.parse(self.wait).resumed(plan.schedule, now)
        if state.polls and not state.errors and state.next_poll and state.next_poll > now:
            # The sensor has shown its first poll, and nobody has polled since.
            self._showing = Showing(ShownPoll(now, state.next_poll - now))
        flow = wait if plan.callback is None else wait_or_hear
        while True:
            async with shared_client(self.asyncapi_conn_id) as (api, driver):
                try:
                    return await driver.run(flow(api, plan, state, spread=plan.batch is None), observe=self._observe)
                except SupersededError:
                    self.log.info("The connection has changed: going on with what it is now")
                except AuthenticationError:
                    # The credentials may have been rotated since the connection was looked up.
                    if not await is_superseded(self.asyncapi_conn_id, api):
                        raise
            if self._polled is not None:
                at = self._polled
                state = dataclasses.replace(state, handle=at.handle, polls=at.polls, errors=at.errors, next_poll=None)

    async def on_kill(self) -> None:
        """
        Cancel the remote job when a user ends the task (Airflow 3.3).

        Airflow gives this about a second, and calls it too when the trigger moves to another triggerer, or when the
        task is resumed from outside. So the cancel is a task of its own, and it looks first whether the job is wanted.
        """
        plan = WaitPlan.parse(self.spec)
        if plan.cancel is None:
            return
        task = asyncio.create_task(self._abandon(plan))
        _cancels.add(task)
        task.add_done_callback(_cancels.discard)
        await asyncio.shield(task)

    async def _abandon(self, plan: WaitPlan) -> None:
        job = self._latest.identifier
        try:
            reason = await self._unwanted()
            if reason is not None and plan.callback is not None and await self._has_ended():
                self.log.info("Job %s is over, as its callback said, so it isn't cancelled", job)
                return
        except Exception as error:  # noqa: BLE001 - whatever it is, nothing is known, and a lost cancel does less harm
            self.log.warning("Can't tell whether job %s is still wanted, so it isn't cancelled: %s", job, error)
            return
        if reason is None:
            self.log.info("Job %s is still wanted, so it isn't cancelled", job)
            return
        async with shared_client(self.asyncapi_conn_id) as (api, driver):
            await driver.run(abandon(api, plan, self._latest, reason), observe=self._observe)

    async def _unwanted(self) -> str | None:
        """
        Say why nobody wants the job any more; None where somebody does.

        A task that is over has no use for it. One that is not may wait elsewhere, may have been resumed, or may have
        been cleared: then it waits for this job again, unless the task that submitted it was cleared too.
        """
        from airflow.providers.common.compat.sdk import XCom

        ti = self.task_instance
        if ti is None:
            return None
        state = await _state_of(_place_of(ti))
        if state is None or state in _OVER:
            return f"the task is {state or 'gone'}"
        submitter: Any = self._latest.task
        if not submitter:
            return None
        if await _state_of(submitter) == "success":
            handle: Any = await XCom.aget_one(key=JOB_KEY, **submitter)
            if not isinstance(handle, dict) or handle.get("identifier") == self._latest.identifier:
                return None
        return "the task was cleared"

    async def _has_ended(self) -> bool:
        """Tell whether the sensor has gone on without this trigger, and has written down the job's end."""
        from airflow.providers.common.compat.sdk import XCom

        handle: Any = await XCom.aget_one(key=JOB_KEY, **_place_of(self.task_instance))
        return isinstance(handle, dict) and JobHandle.parse(handle).outcome.is_final

    def _observe(self, event: News) -> None:
        if isinstance(event, Log):
            self.log.log(event.level, "%s", event.message)
        elif isinstance(event, Polled):
            self._watch(event)

    def _watch(self, event: Polled) -> None:
        metrics.poll_made(self.asyncapi_conn_id, event, self.wait["started_at"])
        self._latest, self._polled = event.handle, event
        if event.handle.outcome.is_final:
            return
        news = self._showing.after(event)
        self._unpushed |= news
        if news and (self._pushing is None or self._pushing.done()):
            self._pushing = asyncio.get_running_loop().create_task(self._push_news())

    async def _push_news(self) -> None:
        """Show status, progress and errors while waiting: in XCom, which a trigger can write from Airflow 3.2 on."""
        from airflow.providers.common.compat.sdk import XCom

        ti = self.task_instance
        if ti is None or not hasattr(XCom, "aset"):
            return
        where = _place_of(ti)
        while self._unpushed:
            await asyncio.sleep(max(0.0, self._pushed_at + _NEWS_EVERY - time.monotonic()))
            news, self._unpushed, self._pushed_at = self._unpushed, {}, time.monotonic()
            try:
                for key, value in news.items():
                    await _uninterrupted(XCom.aset(key, value, **where))
            except Exception as error:  # noqa: BLE001 - news are shown where possible; that is no reason to stop
                self.log.debug("News of the job could not be shown: %s", error)


async def _uninterrupted(talk: Coroutine[Any, Any, T]) -> T:
    """
    Talk to Airflow to the end, even when cancelled meanwhile.

    Up to Airflow 3.2 all triggers share one line to their supervisor, and an answer that is left unread breaks it.
    """
    task = asyncio.create_task(talk)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        raise


async def _state_of(task: Mapping[str, Any]) -> str | None:
    """Ask Airflow for the state of a task instance: "none" before it is scheduled, None where there is no such."""
    from airflow.sdk.execution_time.comms import GetTaskStates
    from airflow.sdk.execution_time.task_runner import SUPERVISOR_COMMS

    answer: Any = await SUPERVISOR_COMMS.asend(  # codespell:ignore asend
        GetTaskStates(
            dag_id=task["dag_id"],
            task_ids=[task["task_id"]],
            run_ids=[task["run_id"]],
            map_index=task["map_index"],
        )
    )
    states = [str(state).lower() for run in answer.task_states.values() for state in run.values()]
    return states[0] if states else None


def _place_of(ti: Any) -> dict[str, Any]:
    """Give what tells a task instance from all others."""
    map_index = -1 if ti.map_index is None else ti.map_index
    return {"dag_id": ti.dag_id, "run_id": ti.run_id, "task_id": ti.task_id, "map_index": map_index}


def check_storable(spec: Mapping[str, Any], api: Api) -> None:
    """
    Make sure that a description holds no secret before it is stored with the trigger.

    :param spec: the sensor's parameters, complete.
    :raises ConfigurationError: naming the parameter that holds one, and where secrets belong.
    """
    # Shorter ones are words, or numbers.
    secrets = {secret for secret in api.settings.secrets() - api.settings.shown if len(secret) > 3}  # noqa: PLR2004
    refuse_secrets(spec)
    for name, value in spec.items():
        for text in strings_in(value):
            # What Airflow masks may be of another connection, or of a variable that a template has named.
            suspects = secrets.union(masked_in(text, str(redact(text))))
            if any(holds_secret(text, secret) for secret in suspects):
                raise ConfigurationError(f"{name}: holds a secret, and {WHY_NO_SECRETS}")
