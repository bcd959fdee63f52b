"""Wait for a remote job in the triggerer."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import time
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from airflow.providers.common.compat.sdk import conf, redact
from airflow.triggers.base import BaseTrigger, TaskSuccessEvent, TriggerEvent

from airflow_provider_asyncapi.airflow_private.supervisor import AirflowAwayError, read_xcom
from airflow_provider_asyncapi.connections.profiles import load_profile
from airflow_provider_asyncapi.core import plans
from airflow_provider_asyncapi.core.effects import Log, Notification, Polled
from airflow_provider_asyncapi.core.errors import (
    AsyncApiError,
    ConfigurationError,
    DeadlineError,
    NewerLayoutError,
    SlowAnswerError,
    UnstorableValueError,
)
from airflow_provider_asyncapi.core.http.redaction import holds_secret, masked_in
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.jobs.layouts import TRIGGER_LAYOUT, read_fields, upgrade_parameters
from airflow_provider_asyncapi.core.jobs.storable import to_storable
from airflow_provider_asyncapi.core.outcome import Outcome
from airflow_provider_asyncapi.core.requests.request_template import WHY_NO_SECRETS, refuse_secrets
from airflow_provider_asyncapi.core.templates import strings_in
from airflow_provider_asyncapi.core.wait.callback_flow import wait_or_hear
from airflow_provider_asyncapi.core.wait.cancel_if_running import cancel_if_running
from airflow_provider_asyncapi.core.wait.flow import expire, stop, wait
from airflow_provider_asyncapi.core.wait.plan import Wait, WaitPlan
from airflow_provider_asyncapi.core.wait.poll_summary import PollSummary, summarize_wait
from airflow_provider_asyncapi.hooks.clients import CurrentClient, SharedClient
from airflow_provider_asyncapi.monitoring import late_polls, metrics
from airflow_provider_asyncapi.monitoring.xcoms import JOB_KEY, WAIT_KEY, ProgressReporter, task_ids
from airflow_provider_asyncapi.triggers.callbacks_seen import has_called_back
from airflow_provider_asyncapi.triggers.cancellation import reason_to_cancel
from airflow_provider_asyncapi.triggers.events import WaitEvent, make_event, to_storable_error
from airflow_provider_asyncapi.triggers.xcom_publisher import XComPublisher, push_result

if TYPE_CHECKING:
    from airflow_provider_asyncapi.core.connection.settings import Api

#: A trigger's event comes no sooner than this after its start, in seconds. Until the process that deferred the task has
#: ended, and the executor noticed (its supervisor looks every ``min_heartbeat_interval``), Airflow may take the end of
#: that process for the end of the task that has just been resumed, and fail it.
SHORTEST_DEFERRAL = conf.getfloat("workers", "min_heartbeat_interval", fallback=5.0) + 1
#: Seconds after that in which a callback may still be on its way into the database.
_MARGIN = 1.0
#: Seconds within which Airflow has to tell what the connection is when a job is to be cancelled.
_CANCEL_PATIENCE = 60.0
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
            plan = await asyncio.to_thread(_read_plan, spec, text)
            known = _descriptions.setdefault(text, cls(spec, plan))
        return known


_descriptions: WeakValueDictionary[str, _Description] = WeakValueDictionary()


def _read_plan(spec: dict[str, Any], text: str) -> WaitPlan:
    """Read the parameters, and import what searches for regular expressions if they seem to hold one."""
    if "regex:" in text or "matches" in text:
        import re2  # noqa: F401
    return WaitPlan.parse(spec)


class AsyncApiJobTrigger(BaseTrigger):
    """
    Poll until the job is over, then hand its handle, or what went wrong, to the sensor.

    The trigger only reads, save that it cancels the remote job when its deadline passes or its task is killed, where
    the sensor says how. Its arguments stand in the metadata database as plain text: no secret is among them.

    :param asyncapi_conn_id: the connection.
    :param spec: the parameters of the sensor; complete, unless the wait begins here.
    :param wait: where the wait stands, as :meth:`~.plan.Wait.dump` gives it; left out where it begins here.
    :param begin: how it begins here: the ``job``, or ``task_id`` and ``key`` of its XCom; ``timeout``, and
        ``airflow_timeout`` after which Airflow ends it, in seconds; and ``names_profile``, whether the sensor does, so
        that the connection's doesn't count.
    :param end_from_trigger: whether a wait that ends well ends here, without a worker.
    :param version: of the layout of these arguments; see :mod:`~.layouts`.
    :param unknown: what a newer version of this provider has stored beside them; it doesn't count here.
    """

    #: Airflow's, from the row of the task instance: it stays the same across restarts.
    timeout_after: datetime | None = None

    def __init__(
        self,
        *,
        asyncapi_conn_id: str,
        spec: dict[str, Any],
        wait: dict[str, Any] | None = None,
        begin: dict[str, Any] | None = None,
        end_from_trigger: bool = False,
        version: int = 1,
        **unknown: Any,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.asyncapi_conn_id = asyncapi_conn_id
        self.spec = spec
        self.wait: Wait | None = None
        self._unreadable: AsyncApiError | None = None
        try:
            read_fields({**unknown, "version": version}, "the trigger of the wait", version=TRIGGER_LAYOUT, known=())
            self.spec = upgrade_parameters(spec, version)
            self.wait = Wait.parse(wait) if wait else None
        except AsyncApiError as error:
            # Raised here, it would reach the task as a traceback.
            self._unreadable = error
        self.begin = begin
        self.end_from_trigger = end_from_trigger
        self._latest = self.wait.handle if self.wait else None
        self._reporter = ProgressReporter()
        self._xcom_publisher: XComPublisher | None = None
        self._description: _Description | None = None
        self._polled: Polled | None = None

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Give the class path and the arguments."""
        path = f"{type(self).__module__}.{type(self).__qualname__}"
        given = {name: getattr(self, name) for name in ("asyncapi_conn_id", "spec", "begin", "end_from_trigger")}
        return path, {"version": TRIGGER_LAYOUT, **given, "wait": self.wait and self.wait.dump()}

    def __repr__(self) -> str:
        job = None if self._latest is None else self._latest.identifier
        return f"<AsyncApiJobTrigger {self.asyncapi_conn_id} job={job}>"

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """
        Wait, and yield one event.

        It has a ``status`` (``success``, ``error``, ``callback``, ``begin``) and a ``message``, as :class:`WaitEvent`
        says. A wait that ends here yields the task's success.
        """
        if self._unreadable is not None:
            await asyncio.sleep(SHORTEST_DEFERRAL)
            yield make_event(WaitEvent.of_error(self._unreadable))
            return
        if self.begin is not None and (why := await self._why_not_here(self.begin)):
            yield make_event(WaitEvent.of_begin(why))
            return
        began, handle = time.monotonic(), None
        try:
            handle = await (self._wait_or_hear() if self.spec.get("callback") else self._wait())
            event = WaitEvent.of_callback() if handle is None else WaitEvent.of_success(handle)
        except (AsyncApiError, AirflowAwayError) as error:
            # An Airflow that is away is waited for until the deadline.
            problem = DeadlineError(str(error)) if isinstance(error, AirflowAwayError) else error
            if self._latest is not None:
                problem.with_job(self._latest.identifier, self._latest.status)
            event = WaitEvent.of_error(problem, self._latest)
        except Exception as error:  # noqa: BLE001 - raised again, as Airflow can store it
            raise to_storable_error(error) from None
        finally:
            # The last handle is pushed after the end; a late push of progress must not come after it.
            await self._publisher().close()
        if self.begin is not None:
            # The triggerer can't keep it for the next try.
            event = dataclasses.replace(event, began_at=self._standing().started_at)
        elif self.task_instance is not None:
            # In ``airflow dags test`` there is no task instance, and no other process that has to end first.
            await asyncio.sleep(began + SHORTEST_DEFERRAL - time.monotonic())
        if handle is not None and self._may_end_here(handle) and await push_result(self.task_instance, handle):
            yield TaskSuccessEvent()
        else:
            yield make_event(event)

    async def _wait_or_hear(self) -> JobHandle | None:
        """
        Wait; give None where the job called back while the task was on its way from the worker to here.

        Any later callback resumes the task by itself. Those until then don't, for the time of the shortest deferral.
        """
        state = self._standing()
        waiting = asyncio.create_task(self._wait())
        asking = asyncio.create_task(self._ask_for_calls(state))
        try:
            # The wait ends by its deadline at the latest, however long Airflow can't tell of calls.
            await asyncio.wait({waiting, asking}, return_when=asyncio.FIRST_COMPLETED)
            if not waiting.done() and await asking:
                return None
            return await waiting
        finally:
            for task in (waiting, asking):
                task.cancel()
            await asyncio.wait({waiting, asking})

    async def _ask_for_calls(self, state: Wait) -> bool:
        """Return whether the job called back while the task was on its way from the worker to here."""
        await asyncio.sleep(SHORTEST_DEFERRAL + _MARGIN)
        return await has_called_back(state.handle, state.callbacks_seen)

    async def _wait(self) -> JobHandle:
        now = time.time()
        begun: tuple[WaitPlan, Wait] | None = None
        slow: SlowAnswerError | None = None
        while True:
            async with CurrentClient(self.asyncapi_conn_id, self._patience) as (api, driver):
                plan, state = begun = begun or await self._begun(api, now)
                try:
                    if slow is not None:
                        return await driver.run(expire(api, plan, state, slow), observe=self._observe)
                    flow = wait if plan.callback is None else wait_or_hear
                    return await driver.run(flow(api, plan, state, spread=plan.batch is None), observe=self._observe)
                except SlowAnswerError as error:
                    if slow is not None:
                        # The answer to the cancel.
                        raise DeadlineError(f"{slow}; {error}") from None
                    slow = error
            begun = plan, self._continued(state)

    def _continued(self, state: Wait) -> Wait:
        """Return where a wait stands by now."""
        at = self._polled
        if at is None:
            return state
        return dataclasses.replace(state, handle=at.handle, polls=at.polls, errors=at.errors, next_poll=None)

    async def _begun(self, api: Api, now: float) -> tuple[WaitPlan, Wait]:
        """Read how to wait, and where the wait stood when this process took it up."""
        if self.begin is not None:
            if not self.begin["names_profile"] and api.settings.profile is not None:
                profile = await asyncio.to_thread(load_profile, api.settings.profile)
                self.spec = plans.merged("status", profile, self.spec)
            check_storable(self.spec, api)
        try:
            self._description = await _Description.of(self.spec)
        except ConfigurationError as error:
            if self.begin is not None:
                raise
            # The worker that has stored them reads them.
            raise NewerLayoutError(
                "another version of airflow-provider-asyncapi has stored the sensor's parameters, and this process"
                f" can't read them: {error}; have the same version on all workers and triggerers"
            ) from None
        self.spec, plan = self._description.spec, self._description.plan
        state = self._standing().resumed(plan.schedule, now)
        if state.polls and not state.errors and state.next_poll and state.next_poll > now:
            # The sensor has shown its first poll, and nobody has polled since.
            self._reporter = ProgressReporter(PollSummary(now, state.next_poll - now))
        if self.begin is not None:
            if plan.callback is not None:
                raise ConfigurationError("callback: needs a worker to begin the wait; leave start_from_trigger out")
            ti: Any = self.task_instance
            begun = summarize_wait(self.asyncapi_conn_id, ti.id, state)
            self._publisher().publish({JOB_KEY: state.handle.dump(), WAIT_KEY: begun})
        return plan, state

    def _patience(self) -> float | None:
        """Return the seconds until the deadline; None if there is no deadline."""
        deadline = self._standing().deadline
        return None if deadline is None else deadline - time.time()

    def _standing(self) -> Wait:
        """Give where the wait stood when it was handed over, or began here."""
        assert self.wait is not None, "a wait that begins here has begun once its job is known"  # noqa: S101 - for mypy
        return self.wait

    async def _why_not_here(self, begin: Mapping[str, Any]) -> str | None:
        """Find the job whose wait begins here, or say why a worker has to begin it after all."""
        ti: Any = self.task_instance
        if ti.try_number > 1:
            # Airflow deletes what earlier tries have pushed, and corrects the task's times, on workers only.
            return f"this is try {ti.try_number}"
        job: Any = begin.get("job")
        try:
            if "task_id" in begin:
                upstream = {**task_ids(ti), "task_id": begin["task_id"], "map_index": -1}
                job = await read_xcom(begin["key"], upstream)
            handle = JobHandle.parse(job)
        except Exception as error:  # noqa: BLE001 - Airflow's line, an XCom backend, a task that has pushed nothing
            return f"the job can't be read from here: {error}"
        # The trigger may have been started before, in a triggerer that has stopped since.
        started_at = (
            time.time() if self.timeout_after is None else _epoch(self.timeout_after) - begin["airflow_timeout"]
        )
        self._latest, self.wait = handle, Wait(handle, started_at, started_at + begin["timeout"])
        return None

    def _may_end_here(self, handle: JobHandle) -> bool:
        """Tell whether a wait that is over needs no worker to end its task."""
        # A list or mapping may have tasks mapped over it, of which Airflow learns on a worker only.
        is_plain = not isinstance(handle.result_identifier, list | Mapping)
        # There is no task instance in dag.test(), which can't end a task so.
        is_in_triggerer = self.task_instance is not None
        return self.end_from_trigger and handle.outcome is Outcome.SUCCESS and is_plain and is_in_triggerer

    async def on_kill(self) -> None:
        """
        Cancel the remote job when a user ends the task (Airflow 3.3).

        Airflow gives this about a second, and calls it too when the trigger moves to another triggerer, or when the
        task is resumed from outside. So the cancel is a task of its own, and it looks first whether the job is wanted.
        """
        if self._latest is None or self.task_instance is None:
            return
        plan = WaitPlan.parse(self.spec)
        if plan.cancel is None:
            return
        task = asyncio.create_task(self._abandon(plan, self._latest))
        _cancels.add(task)
        task.add_done_callback(_cancels.discard)
        await asyncio.shield(task)

    async def _abandon(self, plan: WaitPlan, handle: JobHandle) -> None:
        reason = await reason_to_cancel(self.task_instance, handle, has_callback=plan.callback is not None)
        if reason is not None:
            async with SharedClient(self.asyncapi_conn_id, patience=_CANCEL_PATIENCE) as (api, driver):
                # Its poll is none of the wait: what people see by now may be of the next try.
                try:
                    await driver.run(cancel_if_running(api, plan, handle, reason), observe=self._log_event)
                except SlowAnswerError:
                    await driver.run(stop(api, plan, handle, reason, may_look=False), observe=self._log_event)

    def _observe(self, event: Notification) -> None:
        self._log_event(event)
        if isinstance(event, Polled):
            self._watch(event)

    def _log_event(self, event: Notification) -> None:
        if isinstance(event, Log):
            # Not self.log, which makes a logger for each trigger.
            self.logger().log(event.level, "%s", event.message)

    def _publisher(self) -> XComPublisher:
        # Airflow gives the trigger its task instance once it is made.
        if self._xcom_publisher is None:
            self._xcom_publisher = XComPublisher(self.task_instance)
        return self._xcom_publisher

    def _watch(self, event: Polled) -> None:
        metrics.count_poll(self.asyncapi_conn_id, event, self._standing().started_at)
        if event.delay is not None:
            late_polls.note(self.asyncapi_conn_id, event.delay)
        self._latest, self._polled = event.handle, event
        if not event.handle.outcome.is_final:
            self._publisher().publish(self._reporter.xcoms_after(event))


def _epoch(moment: datetime) -> float:
    """Give a moment in seconds since the epoch; Airflow's are UTC, also where they don't say so."""
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def check_storable(spec: Mapping[str, Any], api: Api) -> None:
    """
    Make sure that a description can be stored with the trigger, and holds no secret.

    :param spec: the sensor's parameters, complete.
    :raises ConfigurationError: naming the parameter that holds one, and where secrets belong; or the value that Airflow
        can't store.
    """
    # Airflow's serializer knows dates and more, which are no JSON.
    plain = json.loads(json.dumps(spec, default=str))
    try:
        if to_storable(plain, "the sensor's parameters") != plain:
            raise ConfigurationError("the sensor's parameters hold an integer beyond 64 bits; write it as a string")
    except UnstorableValueError as error:
        raise ConfigurationError(str(error)) from None
    # Shorter ones are words, or numbers.
    secrets = {secret for secret in api.settings.secrets() - api.settings.shown if len(secret) > 3}  # noqa: PLR2004
    refuse_secrets(spec)
    for name, value in spec.items():
        for text in strings_in(value):
            # What Airflow masks may be of another connection, or of a variable that a template has named.
            suspects = secrets.union(masked_in(text, str(redact(text))))
            if any(holds_secret(text, secret) for secret in suspects):
                raise ConfigurationError(f"{name}: holds a secret, and {WHY_NO_SECRETS}")
